//! The numbers of streams: 1, 2, 3 … for a file; live they go on where an earlier run may have stopped, so that an id
//! never means two things.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use tracing::warn;

use crate::rounds::Numbers;

/// 1, 2, 3 …
#[derive(Debug, Default)]
pub(crate) struct Counting(u64);

impl Numbers for Counting {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// How many numbers are reserved at once: a crash wastes at most so many.
const BLOCK: u64 = 100_000;

/// Numbers of which a high-water mark lies on disk.
#[derive(Debug)]
pub(crate) struct Reserved {
    file: PathBuf,
    next: u64,
    /// Numbers below were reserved on disk.
    limit: u64,
}

impl Reserved {
    /// Goes on after the mark in `directory`.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = directory.join("stream-high-water");
        let mut reserved = Self { file, next: 1, limit: 1 };
        reserved.reserve()?;
        Ok(reserved)
    }

    /// Takes a block above the mark, which another worker may have moved, and moves it, so that a reader sees the old one
    /// or the new one, never half of it.
    fn reserve(&mut self) -> io::Result<()> {
        let lock = File::create(self.file.with_extension("lock"))?;
        lock.lock()?;
        let next = self.mark()?.max(self.next);
        let limit = next + BLOCK;
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, limit.to_string())?;
        fs::rename(&fresh, &self.file)?;
        (self.next, self.limit) = (next, limit);
        Ok(())
    }

    fn mark(&self) -> io::Result<u64> {
        match fs::read_to_string(&self.file) {
            Ok(text) => text.trim().parse().map_err(|_| {
                let says = format!("{} holds no number; remove it to start from 1", self.file.display());
                io::Error::new(io::ErrorKind::InvalidData, says)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(1),
            Err(error) => Err(error),
        }
    }
}

impl Numbers for Reserved {
    fn next(&mut self) -> u64 {
        if self.next == self.limit
            && let Err(error) = self.reserve()
        {
            // Entries are worth more than ids that stay unique over a restart.
            warn!(%error, file = %self.file.display(), "Stream numbers can't be reserved");
            self.limit = self.next + BLOCK;
        }
        let number = self.next;
        self.next += 1;
        number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_is_given_twice_over_a_restart() {
        let directory = std::env::temp_dir().join(format!("kubeshark-streams-{}", std::process::id()));
        let mut first = Reserved::open(&directory).unwrap();
        let last = (0..=BLOCK).map(|_| first.next()).last().unwrap();
        assert_eq!(last, BLOCK + 1);
        let mut second = Reserved::open(&directory).unwrap();
        assert!(second.next() > last);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn two_workers_share_a_directory() {
        let directory = std::env::temp_dir().join(format!("kubeshark-shared-{}", std::process::id()));
        let mut workers = [Reserved::open(&directory).unwrap(), Reserved::open(&directory).unwrap()];
        let count = 2 * (BLOCK + 1);
        let given: HashSet<_> = (0..count).map(|index| workers[(index % 2) as usize].next()).collect();
        assert_eq!(given.len() as u64, count);
        fs::remove_dir_all(directory).unwrap();
    }
}
