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
    calls: Cell<u64>,
    pulse: Arc<Pulse>,
}

/// Bytes of a mark: the script's number and 1; 0 for none.
pub(crate) const MARK: usize = 8;

impl Marker {
    pub(crate) fn new(file: Option<File>) -> Self {
        Self { file, marked: Cell::new(None), calls: Cell::new(0), pulse: Arc::default() }
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

    /// A call begins, or goes on after it waited: its CPU time is counted from here.
    pub(crate) fn call(&self) {
        self.calls.set(self.calls.get() + 1);
        self.pulse.call.store(self.calls.get(), Ordering::Relaxed);
    }
}

/// Reads a mark.
pub(crate) fn marked(file: &File) -> Option<u32> {
    let mut mark = [0; MARK];
    file.read_exact_at(&mut mark, 0).ok()?;
    u64::from_le_bytes(mark).checked_sub(1).map(|script| script as u32)
}
