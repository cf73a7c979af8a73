//! The filter language on real entries, and through the whole system.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod completion;
mod redaction;
mod replay;
mod schema;
mod system;

use support::captures;

/// The entries of a golden capture.
fn entries(name: &str) -> Vec<api::Entry> {
    let input = captures::Case::named(name).input().unwrap();
    worker::entries(worker::Input::File(input), &worker::Limits::default()).unwrap()
}
