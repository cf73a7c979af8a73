//! Shared by the tests: captures go in, other forms of the same capture come out; programs are run and waited for.

pub mod captures;
pub mod corpus;
pub mod craft;
pub mod engine;
pub mod flows;
pub mod impair;
pub mod kubernetes;
pub mod mutate;
pub mod namespace;
pub mod pcap;
pub mod program;
pub mod receiver;
pub mod recorded;
pub mod reframe;
pub mod relay;
pub mod servers;
pub mod site;
pub mod sums;
pub mod traffic;
pub mod watch;

mod scratch;

pub use scratch::Scratch;

/// The number that an environment variable says, so that a long run can ask for more than `make test` does.
///
/// # Panics
///
/// Where it says something that is no number: nobody should wait for a long run that was a short one.
pub fn number(variable: &str, default: u64) -> u64 {
    let Some(text) = std::env::var_os(variable) else { return default };
    text.to_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{variable}={} is no number", text.display()))
}

/// The root of the checkout.
pub fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
