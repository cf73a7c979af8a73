//! How much scripts may keep on disk.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use super::FileError;

/// A count is trusted so long: other processes write to the directory too, and files are removed.
const TRUSTED: Duration = Duration::from_secs(10);
/// When it is too much, it is counted again as often as this.
const AGAIN: Duration = Duration::from_millis(500);

/// A limit for the files of a directory. What lies there is counted now and then; what is written between is added.
#[derive(Debug)]
pub struct Room {
    limit: u64,
    state: Mutex<Option<Counted>>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    used: u64,
    at: Instant,
}

impl Room {
    /// Room for `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, state: Mutex::new(None) }
    }

    /// Makes sure that there is room for `bytes` more, and takes it. `measure` counts what is there.
    pub fn admit(
        &self,
        bytes: u64,
        measure: impl FnOnce() -> Result<u64, FileError>,
    ) -> Result<(), FileError> {
        let mut state = crate::lock(&self.state);
        let trusted = state.filter(|counted| {
            let fits = counted.used + bytes <= self.limit;
            counted.at.elapsed() < if fits { TRUSTED } else { AGAIN }
        });
        let mut counted = match trusted {
            Some(counted) => counted,
            None => Counted { used: measure()?, at: Instant::now() },
        };
        let fits = counted.used + bytes <= self.limit;
        if fits {
            counted.used += bytes;
        }
        *state = Some(counted);
        if fits { Ok(()) } else { Err(FileError::Full { limit: self.limit, used: counted.used }) }
    }
}
