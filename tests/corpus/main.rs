//! Captures of the world, where there are some: none may crash the program or keep it busy. `KUBESHARK_CORPUS` names a
//! directory of them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use support::{captures::files, corpus, program};

const LIMIT: Duration = Duration::from_secs(10);

fn captures(directory: &Path, found: &mut Vec<PathBuf>) {
    for path in files(directory) {
        if path.is_dir() {
            captures(&path, found);
        } else if [".pcap", ".pcapng", ".cap", ".gz", ".zst", ".ntar"]
            .iter()
            .any(|end| path.to_string_lossy().ends_with(end))
        {
            found.push(path);
        }
    }
}

#[test]
fn every_capture_is_survived() {
    let directory = corpus::place();
    let mut found = Vec::new();
    if directory.is_dir() {
        captures(&directory, &mut found);
    }
    if found.is_empty() {
        program::note("corpus: not run (KUBESHARK_CORPUS names no directory of captures)");
        return;
    }
    for path in &found {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubeshark"));
        let ran = program::run(command.arg("dissect").arg(path), b"", LIMIT);
        assert!(
            matches!(ran.code, Some(0 | 1)),
            "{}: exit code {:?}: {}",
            path.display(),
            ran.code,
            ran.stderr
        );
        assert!(ran.code == Some(0) || ran.stderr.contains("error: "), "{}: no reason given", path.display());
    }
}
