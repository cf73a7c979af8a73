//! Namespaces of one's own.

use std::{
    fs,
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

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
        .ok_or_else(|| REFUSED.to_owned())
}

const REFUSED: &str = "network namespaces may not be made here";

/// A network namespace in which the calling thread is, with all that it starts, until the thread ends.
#[derive(Debug)]
pub struct Namespace(Child);

impl Namespace {
    /// Makes one and enters it; the reason where that may not be.
    pub fn enter() -> Result<Self, String> {
        let mut unshare = Command::new("unshare");
        let child = unshare.args(["--net", "sleep", "600"]).stderr(Stdio::null()).spawn();
        let mut namespace = Self(child.map_err(|error| format!("unshare: {error}"))?);
        let path = format!("/proc/{}/ns/net", namespace.0.id());
        let own = fs::read_link("/proc/thread-self/ns/net").map_err(|error| error.to_string())?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::read_link(&path).is_ok_and(|theirs| theirs == own) {
            if namespace.0.try_wait().is_ok_and(|ended| ended.is_some()) || Instant::now() > deadline {
                return Err(REFUSED.into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let file = fs::File::open(&path).map_err(|error| format!("{path}: {error}"))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| format!("a network namespace may not be entered here: {error}"))?;
        Ok(namespace)
    }

    /// A process that is in it, by whose number others can name it.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Runs a line of shell in it.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn shell(&self, line: &str) {
        let status = Command::new("sh").args(["-euc", line]).status().expect("a shell");
        assert!(status.success(), "{line}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
