//! Segments that wait behind a hole, kept as Linux keeps them, so that overlaps come out as they do there.
//!
//! Linux (`tcp_data_queue_ofo`) drops a segment that lies within a queued one; lets it replace those that it covers;
//! appends it to one that ends where it begins; and otherwise queues it whole, even if it overlaps. When the hole is
//! filled, each gives what lies beyond what is there by then, the one that begins first going first.

use std::collections::VecDeque;

use super::past::differing;
use crate::packet::Timestamp;

/// One or more segments, each appended to the one before it.
pub(super) struct Run {
    /// The offset of its first byte.
    pub(super) from: i64,
    pub(super) bytes: Vec<u8>,
    /// When each was captured, and how many of the bytes it brought.
    pub(super) pieces: Vec<(Timestamp, usize)>,
    /// How many bytes behind its end were sent, but not captured.
    pub(super) cut: u32,
    /// Another copy of some of its bytes differs.
    pub(super) overlap: bool,
}

/// The segments, ordered by where they begin.
#[derive(Default)]
pub(super) struct Queue {
    runs: VecDeque<Run>,
    n_bytes: u64,
    n_segments: usize,
}

/// What queueing did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Queued {
    /// Whether the segment is in the queue now; if not, all of it was there.
    pub(super) kept: bool,
    /// Bytes that it pushed out of the queue.
    pub(super) replaced: u64,
    /// Segments that it pushed out.
    pub(super) n_replaced: usize,
    /// Bytes that differ between it and others.
    pub(super) differing: u64,
}

impl Run {
    fn end(&self) -> i64 {
        self.from + self.bytes.len() as i64
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    pub(super) fn n_segments(&self) -> usize {
        self.n_segments
    }

    /// Where the first run begins.
    pub(super) fn first(&self) -> Option<i64> {
        self.runs.front().map(|run| run.from)
    }

    /// Takes the first run if it begins at or before `next`.
    pub(super) fn pop(&mut self, next: i64) -> Option<Run> {
        let run = self.runs.pop_front_if(|run| run.from <= next)?;
        self.forget(&run);
        Some(run)
    }

    /// How many of `bytes`, at offset `from`, differ from what is queued.
    pub(super) fn differing(&self, from: i64, bytes: &[u8]) -> u64 {
        let end = from + bytes.len() as i64;
        let touched = self.runs.iter().take_while(|run| run.from < end);
        touched.map(|run| differing(run.from, &run.bytes, from, bytes)).sum()
    }

    pub(super) fn insert(&mut self, from: i64, bytes: &[u8], cut: u32, at: Timestamp) -> Queued {
        let end = from + bytes.len() as i64;
        let mut idx = self.runs.partition_point(|run| run.from <= from);
        let mut done = Queued::default();
        let mut overlap = false;
        if let Some(before) = idx.checked_sub(1).and_then(|idx| self.runs.get_mut(idx)) {
            let n = differing(before.from, &before.bytes, from, bytes);
            done.differing += n;
            overlap |= n > 0;
            before.overlap |= n > 0;
            if end <= before.end() && (cut == 0 || end < before.end()) {
                return done;
            }
            if from == before.end() && before.cut == 0 && !before.bytes.is_empty() {
                before.bytes.extend_from_slice(bytes);
                before.pieces.push((at, bytes.len()));
                before.cut = cut;
                self.n_bytes += bytes.len() as u64;
                self.n_segments += 1;
                done.kept = true;
                return done;
            }
            if before.from == from {
                idx -= 1;
            }
        }
        while let Some(run) = self.runs.get_mut(idx)
            && (run.from < end || run.from == from)
        {
            // The one that begins at the same place was compared above.
            let n = if run.from == from { 0 } else { differing(run.from, &run.bytes, from, bytes) };
            done.differing += n;
            overlap |= n > 0 || run.from == from && run.overlap;
            if run.end() > end {
                run.overlap |= n > 0;
                break;
            }
            let Some(run) = self.runs.remove(idx) else { break };
            done.replaced += run.bytes.len() as u64;
            done.n_replaced += run.pieces.len();
            overlap |= run.overlap;
            self.forget(&run);
        }
        self.n_bytes += bytes.len() as u64;
        self.n_segments += 1;
        done.kept = true;
        let run = Run { from, bytes: bytes.to_vec(), pieces: vec![(at, bytes.len())], cut, overlap };
        self.runs.insert(idx, run);
        done
    }

    /// Drops all; gives the bytes and segments that waited.
    pub(super) fn clear(&mut self) -> (u64, usize) {
        let waited = (self.n_bytes, self.n_segments);
        *self = Self::default();
        waited
    }

    fn forget(&mut self, run: &Run) {
        self.n_bytes -= run.bytes.len() as u64;
        self.n_segments -= run.pieces.len();
    }
}
