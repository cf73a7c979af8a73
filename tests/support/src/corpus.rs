//! A folder of captures with truth beside them, which the project does not carry: `KUBESHARK_CORPUS` names
//! it.

use std::{
    env,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{captures, program};

/// Where it would be: what `KUBESHARK_CORPUS` names, or a folder `corpora` in a folder `shared` beside the checkout.
pub fn place() -> PathBuf {
    let named = env::var_os("KUBESHARK_CORPUS").map(PathBuf::from);
    named.unwrap_or_else(|| crate::root().join("../shared/corpora"))
}

/// The folder, if there is one; if not, that is noted under `test`.
pub fn folder(test: &str) -> Option<PathBuf> {
    let folder = place();
    let folder = if folder.join("dev").is_dir() { folder.join("dev") } else { folder };
    if folder.is_dir() {
        return Some(folder);
    }
    note(&format!("{test}: corpus: not run"));
    None
}

/// The captures of the folder and the truth beside each, by name.
pub fn captures(folder: &Path) -> Vec<(PathBuf, Value)> {
    let truth_of = |path: &Path| PathBuf::from(format!("{}.truth.json", path.display()));
    let read = |path: PathBuf| {
        let truth = std::fs::read(truth_of(&path)).ok()?;
        Some((path, serde_json::from_slice(&truth).expect("truth is JSON")))
    };
    captures::files(folder).into_iter().filter_map(read).collect()
}

/// Says at the end of the test command what could not run.
pub fn note(text: &str) {
    program::note(text);
}
