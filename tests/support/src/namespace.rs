//! Namespaces of a test's own, which end with it.

use std::process::Command;

/// `unshare` with these namespaces, as root or as one who is root inside; the reason where neither may be.
pub fn command(namespaces: &[&str]) -> Result<Command, String> {
    [&[][..], &["--user", "--map-root-user"]]
        .into_iter()
        .map(|user| [user, namespaces].concat())
        .find(|options| {
            let ran = Command::new("unshare").args(options).arg("true").output();
            ran.is_ok_and(|ran| ran.status.success())
        })
        .map(|options| {
            let mut command = Command::new("unshare");
            command.args(options);
            command
        })
        .ok_or_else(|| "network namespaces may not be made here".to_owned())
}
