//! Directories of a test's own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    pcap::Endian,
    traffic::{self, Mix},
};

/// A directory that is removed with its value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Scratch {
    /// A new, empty one that every user may read.
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("kubeshark-test-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("a directory for temporary files");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("a temporary file");
        path
    }

    /// Writes the capture of a mix into it, as `mix.pcap`.
    pub fn mix(&self, mix: &Mix) -> PathBuf {
        self.file("mix.pcap", &traffic::capture(mix).pcap(Endian::Little, false))
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind is in a directory for temporary files.
        drop(fs::remove_dir_all(&self.0));
    }
}
