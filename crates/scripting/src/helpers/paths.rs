//! Paths that scripts give: relative to the data directory, and confined to it.

use std::{
    fs,
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use boa_engine::JsResult;

use super::Call;
use crate::Request;

/// The host's own record of names, which scripts upload beside their PCAPs.
const NAMES: &str = "name_resolution_history.json";

/// A file to read. What was made for it alone is deleted with `done`.
#[derive(Debug)]
pub(super) struct Readable {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its name in the data directory, if it was made to be sent.
    made: Option<String>,
}

/// Where a script's path leads. A directory above the data directory, by `..` or by a link, is refused.
pub(super) fn inside(call: &Call<'_>, given: &str) -> JsResult<PathBuf> {
    let root = &call.about().data_dir;
    confined(root, given)
        .ok_or_else(|| call.error(format!("{given:?} is not in the data directory of scripts")))
}

fn confined(root: &Path, given: &str) -> Option<PathBuf> {
    let root = fs::canonicalize(root).ok()?;
    let path = Path::new(given);
    let relative = if path.is_absolute() { path.strip_prefix(&root).ok()? } else { path };
    let mut whole = root.clone();
    for part in relative.components() {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    // What is there already may be a link, or be reached through one.
    let deepest = whole.ancestors().find_map(|path| fs::canonicalize(path).ok())?;
    (deepest.starts_with(&root) && whole != root).then_some(whole)
}

/// A file that a script wants to send. The PCAP of a stream is not a file until it is asked for, and the record of names
/// is written anew.
pub(super) fn readable(call: &mut Call<'_>, given: &str) -> JsResult<Readable> {
    let path = inside(call, given)?;
    if let Some(stream) = super::pcap::stream_of(given) {
        let made = unique(stream);
        let destination = PathBuf::from(&made);
        call.ask(Request::CopyStream { stream: stream.to_owned(), destination: destination.clone() })?;
        call.ask(Request::Flush { path: destination })?;
        return Ok(Readable { path: call.about().data_dir.join(&made), made: Some(made) });
    }
    if given == NAMES {
        let history = call.ask(Request::NameResolutionHistory)?.to_string();
        fs::write(&path, history).map_err(|error| call.error(format!("{NAMES}: {error}")))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        let place = std::env::temp_dir().join(format!("kubeshark-paths-{}", std::process::id()));
        let root = place.join("data");
        fs::create_dir_all(root.join("sub")).expect("a directory");
        std::os::unix::fs::symlink(&place, root.join("up")).expect("a link");
        let real = fs::canonicalize(&root).expect("a directory");
        for (given, expected) in [
            ("a.pcap", Some("a.pcap")),
            ("./sub//a", Some("sub/a")),
            ("new/deep/a", Some("new/deep/a")),
            ("..", None),
            ("sub/../../x", None),
            ("/etc/passwd", None),
            ("up/x", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(confined(&root, given), expected.map(|path| real.join(path)), "{given:?}");
        }
        let absolute = real.join("sub/a");
        assert_eq!(confined(&root, &absolute.to_string_lossy()), Some(absolute));
        fs::remove_dir_all(&place).expect("a directory");
    }
}
