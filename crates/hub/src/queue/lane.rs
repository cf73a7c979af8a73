//! One worker's history in one watcher's queue.

use std::collections::VecDeque;

use api::{UnixNanos, messages::Cursor};
use axum::extract::ws::Utf8Bytes;
use tokio::time::Instant;

/// Where a worker is with a watcher's query.
///
/// ```text
///         subscribed            HistoryEnd
///   Away ────────────▶ History ────────────▶ Live
///    ▲                    │                    │
///    └────────────────────┴────────────────────┘ connection gone
/// ```
/// From each of them a worker may be `Gone`, and may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is not connected, or not asked yet.
    Away,
    /// It sends what its store holds.
    History,
    /// It sends what comes.
    Live,
    /// It is not expected any more.
    Gone,
}

#[derive(Debug)]
pub(super) struct Lane {
    phase: Phase,
    /// The last entry that came, or that the worker has looked at in vain.
    cursor: Option<Cursor>,
    waiting: VecDeque<(UnixNanos, Utf8Bytes)>,
    bytes: usize,
    /// Since when nothing waits: how long the merge has waited for this lane, if it does.
    empty_since: Instant,
    /// Credit that was used up and not given again; negative if more waits than may.
    owed: i64,
    /// It goes when it is empty.
    forgotten: bool,
}

impl Lane {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Away,
            cursor: None,
            waiting: VecDeque::new(),
            bytes: 0,
            empty_since: now,
            owed: 0,
            forgotten: false,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Bytes of text that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Entries that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The time of the entry that is next.
    pub(super) fn oldest(&self) -> Option<UnixNanos> {
        self.waiting.front().map(|(at, _)| *at)
    }

    /// Since when nothing waits although something may still come.
    pub(super) fn empty_since(&self) -> Option<Instant> {
        let expected = matches!(self.phase, Phase::Away | Phase::History);
        (expected && self.waiting.is_empty()).then_some(self.empty_since)
    }

    /// Nothing will come any more; whether something still waits.
    pub(super) fn forget(&mut self) -> bool {
        self.forgotten = true;
        !self.waiting.is_empty()
    }

    /// Whether nothing waits, and nothing will come.
    pub(super) fn is_over(&self) -> bool {
        self.forgotten && self.waiting.is_empty()
    }

    /// A new connection begins: what waits already counts against the credit, which this gives.
    pub(super) fn subscribe(&mut self, window: usize, now: Instant) -> u64 {
        self.phase = Phase::History;
        self.empty_since = now;
        let room = window as i64 - self.bytes as i64;
        self.owed = room.min(0);
        room.max(0) as u64
    }

    /// Moves the cursor; false if it is not a step forward within one start of the worker.
    pub(super) fn advance(&mut self, cursor: Cursor) -> bool {
        let repeated =
            self.cursor.is_some_and(|last| last.boot == cursor.boot && last.sequence >= cursor.sequence);
        if !repeated {
            self.cursor = Some(cursor);
        }
        !repeated
    }

    pub(super) fn push(&mut self, at: UnixNanos, entry: Utf8Bytes) {
        self.bytes += entry.len();
        self.waiting.push_back((at, entry));
    }

    /// Takes the next entry, and says whether enough credit is owed for a message.
    pub(super) fn pop(&mut self, window: usize, now: Instant) -> Option<(Utf8Bytes, bool)> {
        let (_, entry) = self.waiting.pop_front()?;
        self.bytes -= entry.len();
        self.owed += entry.len() as i64;
        if self.waiting.is_empty() {
            self.empty_since = now;
        }
        let due = self.phase == Phase::History && self.owed >= (window / 4) as i64;
        Some((entry, due))
    }

    /// Gives what is owed.
    pub(super) fn credit(&mut self) -> Option<u64> {
        let given = u64::try_from(self.owed).ok().filter(|&owed| owed > 0 && self.phase == Phase::History)?;
        self.owed = 0;
        Some(given)
    }
}
