//! Entries that wait until the names of their time have come.
//!
//! News of a pod comes after its first packets. So an entry waits a moment before it is named; where more news may come it
//! waits once more. It never waits longer, nor for room.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use api::Entry;

use super::NameLimits;

/// Entries in two queues, each in the order in which they came.
pub(crate) struct Waiting {
    limits: NameLimits,
    /// Those that nobody has tried to name yet, and those that are tried once more.
    queues: [VecDeque<Held>; 2],
    bytes: usize,
}

struct Held {
    due: Instant,
    size: usize,
    entry: Arc<Entry>,
}

impl Waiting {
    pub(crate) fn new(limits: NameLimits) -> Self {
        Self { limits, queues: Default::default(), bytes: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// Takes an entry that came just now.
    pub(crate) fn push(&mut self, entry: Arc<Entry>, now: Instant) {
        self.hold(0, entry, now + self.limits.settle);
    }

    fn hold(&mut self, queue: usize, entry: Arc<Entry>, due: Instant) {
        let size = entry.size();
        self.bytes += size;
        self.queues[queue].push_back(Held { due, size, entry });
    }

    /// Lets go of those whose time has come, and of the oldest where there is no room for all: these are counted in
    /// `early`. `name` names an entry and says whether that is the last word; one of which it is not waits once more, and is
    /// asked about again.
    pub(crate) fn release(
        &mut self,
        now: Instant,
        early: &mut u64,
        mut name: impl FnMut(&mut Entry) -> bool,
    ) -> Vec<Arc<Entry>> {
        let mut released = Vec::new();
        let again = self.limits.patience.saturating_sub(self.limits.settle);
        for queue in [1, 0] {
            while let Some(oldest) = self.queues[queue].front() {
                let is_due = oldest.due <= now;
                if !is_due && self.bytes <= self.limits.waiting_bytes {
                    break;
                }
                let Some(mut held) = self.queues[queue].pop_front() else { break };
                self.bytes -= held.size;
                *early += u64::from(!is_due);
                // Nobody else has it yet.
                let settled = Arc::get_mut(&mut held.entry).is_none_or(&mut name);
                if queue == 0 && is_due && !settled && again > Duration::ZERO {
                    self.hold(1, held.entry, held.due + again);
                } else {
                    released.push(held.entry);
                }
            }
        }
        released
    }

    /// Lets go of all.
    pub(crate) fn drain(&mut self, mut name: impl FnMut(&mut Entry) -> bool) -> Vec<Arc<Entry>> {
        self.bytes = 0;
        let mut all: Vec<_> = self.queues.iter_mut().flat_map(|queue| queue.drain(..)).collect();
        for held in &mut all {
            Arc::get_mut(&mut held.entry).map(&mut name);
        }
        all.into_iter().map(|held| held.entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use api::Endpoint;

    use super::*;
    use crate::store::tests::entries;

    const MILLI: Duration = Duration::from_millis(1);

    fn limits() -> NameLimits {
        NameLimits { settle: 10 * MILLI, patience: 30 * MILLI, ..NameLimits::default() }
    }

    fn entry(index: u64, server: &str) -> Arc<Entry> {
        let mut entry = entries(index..index + 1).remove(0);
        Arc::get_mut(&mut entry).unwrap().dst = Endpoint::unnamed(server.parse().unwrap(), 80);
        entry
    }

    /// Who is let go of at each of these times.
    fn released(
        waiting: &mut Waiting,
        since: Instant,
        known: &str,
        times: &[u32],
    ) -> Vec<(u32, Vec<u64>, u64)> {
        let name = |entry: &mut Entry| entry.dst.ip.to_string() == known;
        let mut all = Vec::new();
        for time in times {
            let mut early = 0;
            let released = waiting.release(since + *time * MILLI, &mut early, name);
            if !released.is_empty() {
                all.push((*time, released.iter().map(|entry| entry.index).collect(), early));
            }
        }
        all
    }

    #[test]
    fn an_entry_waits_a_moment_and_once_more_for_news() {
        let now = Instant::now();
        let mut waiting = Waiting::new(limits());
        for index in 0..4 {
            let server = if index % 2 == 0 { "10.0.0.1" } else { "10.0.0.2" };
            waiting.push(entry(u64::from(index), server), now + index * MILLI);
        }
        let all = released(&mut waiting, now, "10.0.0.1", &(0..60).collect::<Vec<_>>());
        assert_eq!(all, [(10, vec![0], 0), (12, vec![2], 0), (31, vec![1], 0), (33, vec![3], 0)]);
        assert!(waiting.is_empty() && waiting.bytes == 0);
    }

    #[test]
    fn nobody_waits_for_room() {
        let now = Instant::now();
        let size = entry(0, "10.0.0.1").size();
        let mut waiting = Waiting::new(NameLimits { waiting_bytes: 3 * size, ..limits() });
        (0..5).for_each(|index| waiting.push(entry(index, "10.0.0.1"), now));
        assert_eq!(released(&mut waiting, now, "", &[0]), [(0, vec![0, 1], 2)]);
        assert_eq!(waiting.drain(|_| true).len(), 3);
        assert!(waiting.is_empty() && waiting.bytes == 0);
    }
}
