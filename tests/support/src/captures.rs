//! The captures of `tests/captures`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One directory of `tests/captures`.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub directory: PathBuf,
}

impl Case {
    /// The capture of this name.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), directory: crate::root().join("tests/captures").join(name) }
    }

    /// Its capture; `None` where it has none, or more than one.
    pub fn input(&self) -> Option<PathBuf> {
        let mut inputs =
            files(&self.directory).into_iter().filter(|path| name_of(path).starts_with("input.pcap"));
        let input = inputs.next()?;
        inputs.next().is_none().then_some(input)
    }

    /// What it must give: entries, one a line.
    pub fn entries(&self) -> PathBuf {
        self.directory.join("entries.json")
    }
}

/// Every case, by name.
pub fn all() -> Vec<Case> {
    let directories = files(&crate::root().join("tests/captures")).into_iter().filter(|path| path.is_dir());
    directories.map(|directory| Case { name: name_of(&directory), directory }).collect()
}

/// What a directory holds, by name.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable directory").path()).collect();
    paths.sort();
    paths
}

/// The last part of a path.
pub fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
