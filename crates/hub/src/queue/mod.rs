//! One watcher's queue: what waits to be sent to it, from all workers.
//!
//! It has two parts. *History* is what a worker's store held when the watcher came, or held back while its connection
//! was away: a lane per worker, paced by credit, so that nothing is lost; lanes are merged oldest first. *Live* entries
//! come as they are captured and wait for nobody: what does not fit is dropped, and counted exactly.
//!
//! History goes first, because it is older. But it can wait, at its worker, and what is live cannot: once live entries
//! fill half of their room they go first. So whoever reads as fast as entries are captured loses none, however long
//! another worker's history takes, at the beginning or after that worker was away.
//!
//! The queue knows neither sockets nor clocks: time is an argument.

mod lane;
mod losses;

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use api::{UnixNanos, messages::Cursor};
use axum::extract::ws::Utf8Bytes;
use tokio::time::Instant;
use web::Item;

use self::{
    lane::{Lane, Phase},
    losses::Losses,
};

/// What a waiting entry costs beside its text: its place in a queue, and the count of its holders.
const OVERHEAD: usize = 64;

const TOO_SLOW: &str = "the client reads more slowly than entries come, and its queue is full";
const OVERRUN: &str = "a worker sent more history than it was asked for";

/// The bounds of one queue.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Most bytes of live entries.
    pub(crate) bytes: usize,
    /// Most live entries.
    pub(crate) entries: usize,
    /// Bytes of history that a worker may send ahead.
    pub(crate) credit: usize,
    /// How long the merge waits for a silent worker.
    pub(crate) merge_wait: Duration,
}

/// What waits for one watcher.
#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    /// By the worker's number.
    lanes: BTreeMap<usize, Lane>,
    live: VecDeque<Utf8Bytes>,
    live_bytes: usize,
    /// Whether all history that was there at the beginning is through.
    past_seam: bool,
    losses: Losses,
    taken: u64,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It waits.
    Queued,
    /// It did not fit.
    Lost,
    /// It had come before.
    Repeated,
}

/// What can be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// This. Where a worker is named, it is due more credit.
    Item(Item, Option<usize>),
    /// Nothing before something comes.
    Nothing,
    /// Nothing before something comes, or this moment.
    NothingUntil(Instant),
}

/// How a queue is, for `/status`.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// Bytes that wait, with [`OVERHEAD`].
    pub(crate) bytes: usize,
    /// Entries that wait.
    pub(crate) entries: usize,
    /// Entries that were taken.
    pub(crate) taken: u64,
    /// Whether the history of the beginning is through.
    pub(crate) past_seam: bool,
    /// What was lost, by reason.
    pub(crate) lost: Vec<(&'a str, u64)>,
}

fn cost(entry: &Utf8Bytes) -> usize {
    entry.len() + OVERHEAD
}

impl Queue {
    /// An empty queue of a watcher of these workers; others may come.
    pub(crate) fn new(workers: impl IntoIterator<Item = usize>, bounds: Bounds, now: Instant) -> Self {
        Self {
            bounds,
            lanes: workers.into_iter().map(|worker| (worker, Lane::new(now))).collect(),
            live: VecDeque::new(),
            live_bytes: 0,
            past_seam: false,
            losses: Losses::default(),
            taken: 0,
        }
    }

    /// The worker is asked for history: from where on, and with how much credit.
    pub(crate) fn subscribe(&mut self, worker: usize, now: Instant) -> (Option<Cursor>, u64) {
        let lane = self.lanes.entry(worker).or_insert_with(|| Lane::new(now));
        (lane.cursor(), lane.subscribe(self.bounds.credit, now))
    }

    /// The worker's connection is gone.
    pub(crate) fn away(&mut self, worker: usize) {
        if let Some(lane) = self.lanes.get_mut(&worker) {
            lane.set_phase(Phase::Away);
        }
    }

    /// The worker is gone, and need not be waited for: what it sent is still shown. It may come back.
    pub(crate) fn gone(&mut self, worker: usize) {
        if let Some(lane) = self.lanes.get_mut(&worker) {
            lane.set_phase(Phase::Gone);
        }
    }

    /// The worker will not come back under this number.
    pub(crate) fn forget(&mut self, worker: usize) {
        self.gone(worker);
        self.lanes.retain(|number, lane| *number != worker || lane.forget());
    }

    /// All history of the worker has come, if any: up to the cursor.
    pub(crate) fn history_end(&mut self, worker: usize, cursor: Option<Cursor>) {
        if let Some(lane) = self.lanes.get_mut(&worker) {
            lane.set_phase(Phase::Live);
            cursor.map(|cursor| lane.advance(cursor));
        }
    }

    /// The worker has looked at everything up to the cursor for those that are live: it need not do so again.
    pub(crate) fn seen(&mut self, worker: usize, cursor: Cursor) {
        if let Some(lane) = self.lanes.get_mut(&worker).filter(|lane| lane.phase() == Phase::Live) {
            lane.advance(cursor);
        }
    }

    /// An entry has come from the worker.
    pub(crate) fn deliver(&mut self, worker: usize, cursor: Cursor, at: UnixNanos, entry: Utf8Bytes) -> Fate {
        let Some(lane) = self.lanes.get_mut(&worker) else { return Fate::Repeated };
        if !lane.advance(cursor) {
            return Fate::Repeated;
        }
        if lane.phase() != Phase::Live {
            // One entry may overrun its credit, so a worker that keeps to it never has twice as much here.
            if lane.bytes() < 2 * self.bounds.credit {
                lane.push(at, entry);
                return Fate::Queued;
            }
            self.losses.add(1, OVERRUN.into());
            return Fate::Lost;
        }
        let fits =
            self.live_bytes + cost(&entry) <= self.bounds.bytes && self.live.len() < self.bounds.entries;
        if fits || self.live.is_empty() {
            self.live_bytes += cost(&entry);
            self.live.push_back(entry);
            return Fate::Queued;
        }
        self.losses.add(1, TOO_SLOW.into());
        Fate::Lost
    }

    /// A worker lost entries of this watcher.
    pub(crate) fn lost(&mut self, n: u64, why: Cow<'static, str>) {
        self.losses.add(n, why);
    }

    /// The credit that the worker is due; it counts as given.
    pub(crate) fn credit(&mut self, worker: usize) -> Option<u64> {
        self.lanes.get_mut(&worker)?.credit()
    }

    /// What is next.
    ///
    /// Losses go first: they have room for themselves, whatever waits. Then what is live, if it needs the room. Then
    /// history, the oldest entry of all lanes; it must wait while a lane may still bring an older one. Then what is live.
    pub(crate) fn take(&mut self, now: Instant) -> Taken {
        if let Some((n, why)) = self.losses.take() {
            return Taken::Item(Item::Lost { n, why }, None);
        }
        if self.is_half_full()
            && let Some(taken) = self.take_live()
        {
            return taken;
        }
        if let Some(deadline) = self.merge_deadline(now) {
            return Taken::NothingUntil(deadline);
        }
        if let Some(taken) = self.take_history(now) {
            return taken;
        }
        if !self.past_seam && self.lanes.values().all(|lane| lane.phase() != Phase::History) {
            self.past_seam = true;
            return Taken::Item(Item::HistoryEnd, None);
        }
        self.take_live().unwrap_or(Taken::Nothing)
    }

    /// Whether live entries fill half of their room.
    fn is_half_full(&self) -> bool {
        2 * self.live_bytes > self.bounds.bytes || 2 * self.live.len() > self.bounds.entries
    }

    fn take_live(&mut self) -> Option<Taken> {
        let entry = self.live.pop_front()?;
        self.live_bytes -= cost(&entry);
        self.taken += 1;
        Some(Taken::Item(Item::Entry(entry), None))
    }

    /// When the merge goes on without the lanes that have nothing yet; `None` if it waits for none. After the seam it
    /// never waits: a worker that comes back must not hold up the others.
    fn merge_deadline(&self, now: Instant) -> Option<Instant> {
        let waiting = self.lanes.values().filter(|_| !self.past_seam).filter_map(Lane::empty_since);
        waiting.map(|since| since + self.bounds.merge_wait).filter(|&deadline| deadline > now).min()
    }

    fn take_history(&mut self, now: Instant) -> Option<Taken> {
        let oldest = self.lanes.iter().filter_map(|(worker, lane)| Some((lane.oldest()?, *worker)));
        let (_, worker) = oldest.min()?;
        let lane = self.lanes.get_mut(&worker)?;
        let (entry, due) = lane.pop(self.bounds.credit, now)?;
        if lane.is_over() {
            self.lanes.remove(&worker);
        }
        self.taken += 1;
        Some(Taken::Item(Item::Entry(entry), due.then_some(worker)))
    }

    /// How it is.
    pub(crate) fn report(&self) -> Report<'_> {
        Report {
            bytes: self.live_bytes
                + self.lanes.values().map(|lane| lane.bytes() + lane.len() * OVERHEAD).sum::<usize>(),
            entries: self.live.len() + self.lanes.values().map(Lane::len).sum::<usize>(),
            taken: self.taken,
            past_seam: self.past_seam,
            lost: self.losses.total(),
        }
    }
}

#[cfg(test)]
mod tests;
