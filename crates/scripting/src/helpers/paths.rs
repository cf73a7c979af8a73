//! Paths that scripts give: relative to the data directory, and confined to it.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use boa_engine::JsResult;

use super::{
    Call,
    file::{blocking, write},
};
use crate::{
    Request,
    files::{FileError, NAME_HISTORY},
};

/// A file to read. What was made for it alone is deleted with `done`.
#[derive(Debug)]
pub(super) struct Readable {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its name in the data directory, if it was made to be sent.
    made: Option<String>,
}

/// Where a script's path leads, which may also begin with the data directory. Nothing leads out of it, and no link is
/// followed. What is missing is told by whoever reads it.
fn inside(call: &mut Call<'_>, given: &str) -> JsResult<PathBuf> {
    let root = call.about().data_dir.to_str().and_then(|root| given.strip_prefix(root));
    let relative = root.and_then(|rest| rest.strip_prefix('/')).unwrap_or(given).to_owned();
    blocking(call, move |files| match files.read(&relative) {
        Ok(_) | Err(FileError::Missing(_)) => files.on_disk(&relative),
        Err(error) => Err(error),
    })
}

/// A file that a script wants to send. The PCAP of a stream is not a file until it is asked for, and the record of names
/// is written anew.
pub(super) fn readable(call: &mut Call<'_>, given: &str) -> JsResult<Readable> {
    if let Some(stream) = super::pcap::stream_of(given) {
        let made = unique(stream);
        let destination = PathBuf::from(&made);
        call.ask(Request::CopyStream { stream: stream.to_owned(), destination: destination.clone() })?;
        call.ask(Request::Flush { path: destination })?;
        return Ok(Readable { path: call.about().data_dir.join(&made), made: Some(made) });
    }
    let path = inside(call, given)?;
    if given == NAME_HISTORY {
        let history = call.ask(Request::NameResolutionHistory)?.to_string();
        blocking(call, move |files| write(files, NAME_HISTORY, history.as_bytes(), false))?;
    } else if path.exists() {
        // Packets of copied streams may still be on their way into it.
        call.ask(Request::Flush { path: path.clone() })?;
    }
    Ok(Readable { path, made: None })
}

impl Readable {
    /// It was sent, or could not be.
    pub(super) fn done(self, call: &mut Call<'_>) -> JsResult<()> {
        if let Some(made) = self.made {
            // The process behind may still write to it.
            call.ask(Request::Deleted { path: PathBuf::from(made) })?;
        }
        Ok(())
    }
}

/// A name that no other upload has.
fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(".upload-{}-{}-{name}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
