//! A folder of captures, some with truth beside them, which the project does not carry: `KUBESHARK_CORPUS` names it.

use std::{
    env,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{captures, program};

/// The folder: what `KUBESHARK_CORPUS` names, or `shared/corpora` beside the checkout. If there is none, that is noted
/// for `test`.
///
/// # Panics
///
/// Where `KUBESHARK_CORPUS` names something else.
pub fn folder(test: &str) -> Option<PathBuf> {
    let named = env::var_os("KUBESHARK_CORPUS").map(PathBuf::from);
    let is_named = named.is_some();
    let folder = named.unwrap_or_else(|| crate::root().join("../shared/corpora"));
    let folder = if folder.join("dev").is_dir() { folder.join("dev") } else { folder };
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(!is_named, "KUBESHARK_CORPUS={} is no folder", folder.display());
    program::note(&format!("{test} of the corpus: not run (KUBESHARK_CORPUS names a folder of captures)"));
    None
}

/// The captures of the folder that have truth beside them, with it, by name.
pub fn captures(folder: &Path) -> Vec<(PathBuf, Value)> {
    let truth_of = |path: &Path| PathBuf::from(format!("{}.truth.json", path.display()));
    let read = |path: PathBuf| {
        let truth = std::fs::read(truth_of(&path)).ok()?;
        Some((path, serde_json::from_slice(&truth).expect("truth is JSON")))
    };
    captures::files(folder).into_iter().filter_map(read).collect()
}

/// A difference from what others say that is understood: a row of `docs/correctness.md`.
#[derive(Debug)]
pub struct Known {
    /// The name of the capture.
    pub file: String,
    /// What differs.
    pub what: String,
    /// What we say is right, or as good as what the others say.
    pub ours: bool,
}

/// The rows about one of these.
pub fn known(whats: &[&str]) -> Vec<Known> {
    let text =
        std::fs::read_to_string(crate::root().join("docs/correctness.md")).expect("docs/correctness.md");
    let row = |row: &str| {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        let (file, what, who) = (cells.next()?, cells.next()?, cells.next()?);
        whats.contains(&what.as_str()).then_some(Known { file, what, ours: who != "the truth" })
    };
    text.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(row).collect()
}

/// All captures in the folder and below it, by name.
pub fn all(folder: &Path) -> Vec<PathBuf> {
    const ENDS: [&str; 6] = [".pcap", ".pcapng", ".cap", ".gz", ".zst", ".ntar"];
    let below = |path: PathBuf| {
        if path.is_dir() {
            return all(&path);
        }
        let is_capture = ENDS.iter().any(|end| path.to_string_lossy().ends_with(end));
        if is_capture { vec![path] } else { Vec::new() }
    };
    captures::files(folder).into_iter().flat_map(below).collect()
}
