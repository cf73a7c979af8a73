//! The script host as a child process: started, fed, read, and started again.

use std::{
    fs::File,
    io::{self, Write},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::fs::{MemfdFlags, memfd_create};

use super::{
    Launch,
    state::{Inner, Work},
};
use crate::{
    engine::{MARK, marked, settled},
    serve::OVERRAN,
    wire::{Frames, Kind},
};

/// The pause before a host that ended is started again; it doubles while hosts end at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A host that lived this long did not end at once.
const LONG_LIFE: Duration = Duration::from_secs(10);

/// How long a host that was told to end is given.
const PATIENCE: Duration = Duration::from_secs(15);

/// A pause after each write, in which what comes is gathered: fewer wake-ups at a high rate.
const GATHER: Duration = Duration::from_millis(1);

/// Keeps a host running, on a thread of its own.
pub(super) fn supervise(launch: Launch, inner: Arc<Inner>) -> io::Result<()> {
    let run = move || {
        let mut pause = FIRST_PAUSE;
        while inner.wait_for_scripts() {
            let started = Instant::now();
            match live(&launch, &inner) {
                Ok(Life::Ended | Life::Cured) => pause = FIRST_PAUSE,
                Ok(Life::Crashed) => {
                    pause = if started.elapsed() > LONG_LIFE {
                        FIRST_PAUSE
                    } else {
                        (pause * 2).min(LONGEST_PAUSE)
                    };
                    inner.pause(pause);
                }
                Err(error) => {
                    tracing::error!(%error, program = %launch.program.display(), "The script host cannot be started");
                    inner.ended(0, None, Some(&format!("it cannot be started: {error}")));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    inner.pause(pause);
                }
            }
        }
    };
    std::thread::Builder::new().name("script-feed".to_owned()).spawn(run).map(drop)
}

enum Life {
    /// It was told to end.
    Ended,
    /// It ended by itself.
    Crashed,
    /// It ended by itself, and the script that did it is disabled.
    Cured,
}

/// One host, from its start to its end.
fn live(launch: &Launch, inner: &Arc<Inner>) -> io::Result<Life> {
    let mark: File = memfd_create("script-mark", MemfdFlags::CLOEXEC)?.into();
    mark.set_len(MARK as u64)?;
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(&launch.program)
        .args(&launch.args)
        // The program's allocator would take a GiB in advance, which counts before it is used.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(OwnedFd::from(mark.try_clone()?)))
        .spawn()?;
    inner.runs_as(child.id());
    let reader = read(ours.try_clone()?, Arc::clone(inner))?;
    let is_wanted = write(ours, inner);
    let status = finish(&mut child, inner, !is_wanted)?;
    // The reader ends with the pipe.
    drop(reader.join());
    let crash = if is_wanted { Some(describe(status)) } else { None };
    let culprit = crash.as_ref().and_then(|_| marked(&mark));
    let is_cured = inner.ended(settled(&mark), culprit, crash.as_deref());
    if !is_wanted {
        inner.hooks.store(0, Ordering::Relaxed);
    }
    Ok(match is_wanted {
        false => Life::Ended,
        true if is_cured => Life::Cured,
        true => Life::Crashed,
    })
}

/// Writes until the pipe breaks, which is `true`: the host is still wanted; or until it is not.
fn write(mut pipe: UnixStream, inner: &Inner) -> bool {
    let mut bytes = inner.begin();
    loop {
        if pipe.write_all(&bytes).is_err() {
            return true;
        }
        std::thread::sleep(GATHER);
        bytes = match inner.work(bytes) {
            Work::Bytes(bytes) if bytes.is_empty() => return true,
            Work::Bytes(bytes) => bytes,
            Work::Idle | Work::Stop => {
                // The host sees the pipe's end, and ends what it has begun. A host that is gone does not care.
                drop(pipe.shutdown(Shutdown::Write));
                return false;
            }
        };
    }
}

/// Waits for the child to end; kills it if it takes too long, or at once if it is broken.
fn finish(child: &mut Child, inner: &Inner, is_asked: bool) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + if is_asked { PATIENCE } else { Duration::from_secs(1) };
    while Instant::now() < deadline {
        // One that has ended can be seen until it is waited for.
        inner.look();
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(OVERRAN), _) => "more CPU time than one call may use".to_owned(),
        (None, Some(6)) => "more memory than scripts may use".to_owned(),
        (None, Some(signal)) => format!("the script host was ended by signal {signal}"),
        (Some(code), _) => format!("the script host ended with code {code}"),
        (None, None) => "the script host ended".to_owned(),
    }
}

/// Reads what the host says, on a thread of its own.
fn read(pipe: UnixStream, inner: Arc<Inner>) -> io::Result<JoinHandle<()>> {
    let read = move || {
        let mut frames = Frames::new(pipe);
        loop {
            let (bytes, found) = match frames.read() {
                Ok(Some(read)) => read,
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "The pipe from the script host broke");
                    break;
                }
            };
            for (kind, range) in found {
                let body = bytes.get(range).unwrap_or_default();
                match kind {
                    Kind::Control => match serde_json::from_slice(body) {
                        Ok(message) => inner.heard(message),
                        Err(error) => tracing::error!(%error, "The script host said something unknown"),
                    },
                    Kind::Query => {
                        if let Some((number, entry)) = body.split_first_chunk() {
                            inner.answered(u64::from_le_bytes(*number), entry);
                        }
                    }
                    Kind::Entry | Kind::Packets => {}
                }
            }
        }
        inner.broke();
    };
    std::thread::Builder::new().name("script-heard".to_owned()).spawn(read)
}
