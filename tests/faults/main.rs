//! What goes wrong with scripts, in the real topology: a worker on an interface of its own with its script host, a hub, and
//! an object store behind a wire that fails. Nothing that was recorded is lost, capture does not notice, and the user is
//! told.

mod hostile;
mod uploads;

use std::path::Path;

use support::site::Site;

/// Starts a worker and a hub that keep little, so that what scripts make of their memory can be seen.
fn site(part: &str, disk_mib: Option<u32>) -> Option<Site> {
    let program = Path::new(env!("CARGO_BIN_EXE_kubeshark"));
    let packets = if disk_mib.is_some() { "1" } else { "64" };
    Site::start(part, program, &["--store-mib", "1", "--packets-mib", packets], disk_mib)
}
