//! Giving up what only opening an interface needs, before the first packet is looked at.
//!
//! A worker in a cluster starts as root with three capabilities: `NET_RAW` to open its sockets, `SETUID` and `SETGID` to
//! become somebody who has none. (A capability of the file would do without root, but counts for nothing where a container
//! may not escalate.) A parser that a packet deceives then holds open sockets and nothing else.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

/// Forbids this thread, and the threads and programs that it starts from now on, to gain rights by executing a file.
///
/// Best called while the process has one thread.
pub fn forbid_escalation() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Lets the group of a user write into a directory, which is made unless it is there.
pub(crate) fn share(directory: &Path, user: u32) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    std::os::unix::fs::chown(directory, None, Some(user))?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o770))
}

/// Makes every thread of the process run as this user, in the group of the same number and in no other, without any
/// capability. There is no way back.
///
/// Fails unless the process is root and may change its user, and where a thread has kept a right: then nothing that a
/// stranger sent may be looked at.
pub(crate) fn become_user(user: u32) -> io::Result<()> {
    set_ids(user)?;
    for task in fs::read_dir("/proc/self/task")? {
        match fs::read_to_string(task?.path().join("status")) {
            Ok(status) => stripped(&status, user).map_err(io::Error::other)?,
            // It ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What reading about a thread gives that ends meanwhile.
const ESRCH: i32 = 3;

#[expect(
    unsafe_code,
    reason = "only the C library changes the user of all threads: the system call is for one"
)]
fn set_ids(user: u32) -> io::Result<()> {
    let told = |code: libc::c_int| if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: no pointer is read, as the list has no items.
    told(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: these take numbers only.
    told(unsafe { libc::setresgid(user, user, user) })?;
    // SAFETY: as above. The kernel takes all capabilities from whoever stops being root.
    told(unsafe { libc::setresuid(user, user, user) })
}

/// Whether `/proc/…/status` of a thread (`proc_pid_status(5)`) shows this user and no right.
fn stripped(status: &str, user: u32) -> Result<(), String> {
    let user = user.to_string();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|line| line.split_whitespace().collect::<Vec<_>>())
            .ok_or(format!("the system does not tell {name}"))
    };
    for name in ["Uid", "Gid"] {
        let ids = field(name)?;
        if ids.len() != 4 || ids.iter().any(|id| *id != user) {
            return Err(format!("{name} is still {}", ids.join(" ")));
        }
    }
    for name in ["CapPrm", "CapEff", "CapAmb"] {
        let held = field(name)?;
        if held.iter().any(|mask| mask.contains(|digit| digit != '0')) {
            return Err(format!("{name} is still {}", held.join(" ")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_that_was_kept_is_seen() {
        let status = "Uid:\t7\t7\t7\t7\nGid:\t7\t7\t7\t7\nCapInh:\t00\nCapPrm:\t00\nCapEff:\t00\nCapBnd:\tff\nCapAmb:\t00\n";
        assert_eq!(stripped(status, 7), Ok(()));
        for (there, instead, told) in [
            ("Uid:\t7\t7\t7\t7", "Uid:\t7\t7\t0\t7", "Uid is still 7 7 0 7"),
            ("Gid:\t7\t7", "Gid:\t0\t7", "Gid is still 0 7 7 7"),
            ("CapPrm:\t00", "CapPrm:\t20", "CapPrm is still 20"),
            ("CapEff:\t00", "CapEff:\t01", "CapEff is still 01"),
            ("CapAmb:\t00", "", "the system does not tell CapAmb"),
        ] {
            assert_eq!(stripped(&status.replace(there, instead), 7), Err(told.to_owned()));
        }
    }
}
