//! Entries that wait until the names of their time have come.
//!
//! News of a pod comes after its first packets. So an entry waits a moment before it is named; where an end has no name
//! then, but an address such as pods have, it waits once more. It never waits longer, nor for room.

use std::{
    collections::VecDeque,
    net::IpAddr,
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
    /// `early`. `name` names an entry and says whether both ends have a name; one that waits once more is asked about
    /// again.
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
                let is_named = Arc::get_mut(&mut held.entry).is_none_or(&mut name);
                if queue == 0 && is_due && !is_named && may_be_named(&held.entry) && again > Duration::ZERO {
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

/// Whether an end without a name has an address such as pods and services have: one that is not routed over the Internet
/// (RFC 1918, RFC 4193, RFC 6598), nor is this machine's own.
fn may_be_named(entry: &Entry) -> bool {
    [&entry.src, &entry.dst].into_iter().any(|end| end.named.is_none() && is_private(end.ip))
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use api::{Endpoint, Mechanism, Named, Somebody};

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
        let name = |entry: &mut Entry| {
            let is_known = entry.dst.ip.to_string() == known;
            if is_known {
                let identity = crate::names::table::tests::called("a");
                entry.dst.named = Some(Named { who: Arc::new(Somebody::new(identity)), by: Mechanism::Ip });
            }
            is_known
        };
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
    fn an_entry_waits_a_moment_and_a_pod_without_a_name_once_more() {
        let now = Instant::now();
        let mut waiting = Waiting::new(limits());
        for (index, server) in
            ["10.0.0.1", "10.0.0.2", "93.184.216.34", "fd00::1", "100.64.0.1", "100.128.0.1"]
                .into_iter()
                .enumerate()
        {
            waiting.push(entry(index as u64, server), now + index as u32 * MILLI);
        }
        let all = released(&mut waiting, now, "10.0.0.1", &(0..60).collect::<Vec<_>>());
        // The clients are on loopback, which is nobody's.
        assert_eq!(
            all,
            [
                (10, vec![0], 0),
                (12, vec![2], 0),
                (15, vec![5], 0),
                (31, vec![1], 0),
                (33, vec![3], 0),
                (34, vec![4], 0)
            ]
        );
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
