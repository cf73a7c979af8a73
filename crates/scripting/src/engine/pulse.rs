//! Which script runs, for whoever has to end it.

use std::{
    cell::Cell,
    fs::File,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What the watchdog looks at: the call that runs now, by number; 0 while none does.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    call: AtomicU64,
}

impl Pulse {
    /// The number of the call that runs; 0: none.
    pub(crate) fn call(&self) -> u64 {
        self.call.load(Ordering::Relaxed)
    }
}

/// Notes which script runs where the parent can read it, even if this process ends in the middle of an instruction: in a
/// file in memory that both hold open. It is written only when another script's turn comes, not at every call.
#[derive(Debug)]
pub(crate) struct Marker {
    file: Option<File>,
    marked: Cell<Option<u32>>,
    settled: Cell<u64>,
    calls: Cell<u64>,
    pulse: Arc<Pulse>,
}

/// Bytes of a mark: the script's number and 1, 0 for none; events that all scripts are done with.
pub(crate) const MARK: usize = 16;

impl Marker {
    /// Nobody's turn.
    pub(crate) fn new(file: Option<File>) -> Self {
        if let Some(file) = &file {
            drop(file.write_all_at(&[0; MARK], 0));
        }
        Self {
            file,
            marked: Cell::new(None),
            settled: Cell::new(0),
            calls: Cell::new(0),
            pulse: Arc::default(),
        }
    }

    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// This script's turn begins, or nobody's.
    pub(crate) fn turn(&self, script: Option<u32>) {
        if script.is_none() {
            self.pulse.call.store(0, Ordering::Relaxed);
        }
        if self.marked.replace(script) != script
            && let Some(file) = &self.file
        {
            let mark = script.map_or(0, |script| u64::from(script) + 1);
            // A parent that cannot be told learns less from a crash; nothing else depends on it.
            drop(file.write_all_at(&mark.to_le_bytes(), 0));
        }
    }

    /// All scripts are done with this many of the entries and packets that were taken.
    pub(crate) fn settled(&self, events: u64) {
        if self.settled.replace(events) != events
            && let Some(file) = &self.file
        {
            drop(file.write_all_at(&events.to_le_bytes(), 8));
        }
    }

    /// A call begins, or goes on after it waited: its CPU time is counted from here.
    pub(crate) fn call(&self) {
        self.calls.set(self.calls.get() + 1);
        self.pulse.call.store(self.calls.get(), Ordering::Relaxed);
    }
}

fn read(file: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).map_or(0, |()| u64::from_le_bytes(word))
}

/// The script whose turn it was, if it was one's.
pub(crate) fn marked(file: &File) -> Option<u32> {
    read(file, 0).checked_sub(1).map(|script| script as u32)
}

/// The events that all scripts were done with.
pub(crate) fn settled(file: &File) -> u64 {
    read(file, 8)
}
