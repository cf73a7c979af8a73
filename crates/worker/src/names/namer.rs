//! Names for the ends of entries.

use std::{
    net::IpAddr,
    sync::{
        RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use api::{
    Entry, Mechanism,
    messages::{Port, Transport},
};

use super::{hubs::Hubs, table::Found};

/// Names entries.
pub(crate) struct Namer<'a> {
    pub(super) hubs: RwLockReadGuard<'a, Hubs>,
    pub(super) counters: &'a Counters,
}

impl Namer<'_> {
    /// Names both ends of an entry by the time of its first packet. Whether nothing is to be expected any more: news may
    /// still come of an end that has no name but an address such as pods have, and of who had it next.
    pub(crate) fn name(&self, entry: &mut Entry) -> bool {
        let at = entry.at.0;
        let transport = if entry.stream.udp { Transport::Udp } else { Transport::Tcp };
        let Some(hub) = self.hubs.hubs.get(self.hubs.asked) else { return true };
        let mut settled = true;
        for end in [&mut entry.src, &mut entry.dst] {
            let found = hub.table.find(end.ip, Port { transport, number: end.port }, at);
            settled &= match found {
                Found::Named(named, ending) => {
                    end.named = Some(named);
                    !ending
                }
                Found::Disputed | Found::Unknown => {
                    end.named = None;
                    !is_private(end.ip)
                }
            };
        }
        settled
    }

    /// Counts the ends of an entry that will not be named again.
    pub(crate) fn count(&self, entry: &Entry) {
        let Some(hub) = self.hubs.hubs.get(self.hubs.asked) else { return };
        let transport = if entry.stream.udp { Transport::Udp } else { Transport::Tcp };
        for end in [&entry.src, &entry.dst] {
            let counter = match &end.named {
                Some(named) if named.by == Mechanism::Shared => &self.counters.shared,
                Some(_) => &self.counters.named,
                None => match hub.table.find(end.ip, Port { transport, number: end.port }, entry.at.0) {
                    Found::Disputed => &self.counters.disputed,
                    _ => &self.counters.unknown,
                },
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether an address is such as pods and services have: one that is not routed over the Internet (RFC 1918, RFC 4193,
/// RFC 6598), nor is this machine's own.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

impl Counters {
    pub(super) fn rows(&self) -> [(&'static str, u64); 7] {
        [
            ("named", &self.named),
            ("shared", &self.shared),
            ("disputed", &self.disputed),
            ("unknown", &self.unknown),
            ("early", &self.early),
            ("gaps", &self.gaps),
            ("tooManyHubs", &self.too_many_hubs),
        ]
        .map(|(row, counter)| (row, counter.load(Ordering::Relaxed)))
    }
}

/// What became of the names of entries, and of the messages that told them.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) named: AtomicU64,
    pub(super) shared: AtomicU64,
    pub(super) disputed: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) early: AtomicU64,
    pub(super) gaps: AtomicU64,
    pub(super) too_many_hubs: AtomicU64,
}
