//! Shared by the tests: captures go in, other forms of the same capture come out; programs are run and waited for.

pub mod captures;
pub mod corpus;
pub mod craft;
pub mod engine;
pub mod impair;
pub mod kubernetes;
pub mod namespace;
pub mod pcap;
pub mod program;
pub mod reframe;
pub mod sums;
pub mod traffic;
pub mod watch;

mod scratch;

pub use scratch::Scratch;

/// The root of the checkout.
pub fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
