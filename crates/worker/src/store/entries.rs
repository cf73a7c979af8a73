//! Entries, typed, in the order in which they were completed, bounded in bytes and age.
//!
//! Who writes never waits for who reads: readers take a few references at a time and look at them outside the lock.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use api::Entry;
use serde::Serialize;
use tokio::sync::watch;
use tracing::warn;

use crate::{StoreLimits, lock};

/// Most entries that a reader takes at once: so long it holds the lock.
const MAX_READ: usize = 256;

/// The bounded history of a worker. Entries are numbered 1, 2, 3 …
pub(crate) struct Store {
    limits: StoreLimits,
    inner: Mutex<Inner>,
    /// The number of the last entry.
    head: watch::Sender<u64>,
}

struct Inner {
    entries: VecDeque<Stored>,
    /// The number of the first entry that is left.
    first: u64,
    bytes: usize,
    evicted_for_bytes: u64,
    evicted_for_age: u64,
    /// Entries of files that were evicted: a watcher that comes expects the whole file.
    evicted_of_files: u64,
}

struct Stored {
    entry: Arc<Entry>,
    size: usize,
    /// `None` for an entry of a file: it has no age.
    arrived: Option<Instant>,
}

/// What a reader was given.
#[derive(Default)]
pub(crate) struct Read {
    /// Entries and their numbers.
    pub(crate) entries: Vec<(u64, Arc<Entry>)>,
    /// Entries between the reader's place and the first of these that are gone.
    pub(crate) missed: u64,
    /// The reader's next place.
    pub(crate) next: u64,
}

/// What the store holds and has lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoreStatus {
    /// Entries held.
    pub(crate) entries: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Entries ever stored.
    pub(crate) stored: u64,
    /// Entries evicted because the bytes ran out.
    pub(crate) evicted_for_bytes: u64,
    /// Entries evicted because of their age.
    pub(crate) evicted_for_age: u64,
}

impl Store {
    pub(crate) fn new(limits: StoreLimits) -> Self {
        let inner = Inner {
            entries: VecDeque::new(),
            first: 1,
            bytes: 0,
            evicted_for_bytes: 0,
            evicted_for_age: 0,
            evicted_of_files: 0,
        };
        Self { limits, inner: Mutex::new(inner), head: watch::Sender::new(0) }
    }

    /// Takes entries, and makes room for them.
    pub(crate) fn extend(&self, entries: Vec<Arc<Entry>>, live: bool) {
        let arrived = live.then(Instant::now);
        let mut evicted = Vec::new();
        let mut first_of_files = None;
        let head = {
            let mut inner = lock(&self.inner);
            for entry in entries {
                let size = entry.size();
                inner.bytes += size;
                inner.entries.push_back(Stored { entry, size, arrived });
            }
            while inner.bytes > self.limits.bytes {
                let Some(oldest) = inner.pop() else { break };
                inner.evicted_for_bytes += 1;
                if oldest.arrived.is_none() {
                    if inner.evicted_of_files == 0 {
                        first_of_files = Some(inner.entries.len());
                    }
                    inner.evicted_of_files += 1;
                }
                evicted.push(oldest);
            }
            inner.next() - 1
        };
        // Freed outside the lock.
        drop(evicted);
        if let Some(held) = first_of_files {
            warn!(
                held,
                mebibytes = self.limits.bytes >> 20,
                "The store is full: of the capture it keeps the newest entries only. --store-mib makes it larger"
            );
        }
        self.head.send_if_modified(|present| std::mem::replace(present, head) != head);
    }

    /// Forgets what has grown too old.
    pub(crate) fn expire(&self) {
        let Some(oldest) = Instant::now().checked_sub(self.limits.max_age) else { return };
        let mut evicted = Vec::new();
        let mut inner = lock(&self.inner);
        while inner
            .entries
            .front()
            .is_some_and(|stored| stored.arrived.is_some_and(|arrived| arrived < oldest))
        {
            inner.evicted_for_age += 1;
            evicted.extend(inner.pop());
        }
        drop(inner);
    }

    /// The next entries from number `from` on, a few at a time; none at the head.
    pub(crate) fn read(&self, from: u64) -> Read {
        let inner = lock(&self.inner);
        let start = from.max(inner.first);
        let skip = (start - inner.first) as usize;
        let entries: Vec<_> = (start..)
            .zip(inner.entries.iter().skip(skip).take(MAX_READ))
            .map(|(number, stored)| (number, Arc::clone(&stored.entry)))
            .collect();
        Read { next: start + entries.len() as u64, entries, missed: start - from.max(1).min(start) }
    }

    /// The entry of that id.
    pub(crate) fn find(&self, local_id: &str) -> Option<Arc<Entry>> {
        let mut from = self.first();
        loop {
            let read = self.read(from);
            if read.entries.is_empty() {
                return None;
            }
            if let Some((_, found)) = read.entries.into_iter().find(|(_, entry)| entry.local_id() == local_id)
            {
                return Some(found);
            }
            from = read.next;
        }
    }

    /// The number of the oldest entry held, or of the next one.
    pub(crate) fn first(&self) -> u64 {
        lock(&self.inner).first
    }

    /// Where a watcher that comes begins, and how many entries of files are gone that stood before.
    pub(crate) fn beginning(&self) -> (u64, u64) {
        let inner = lock(&self.inner);
        (inner.first, inner.evicted_of_files)
    }

    /// Tells the number of the last entry, whenever it changes.
    pub(crate) fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    pub(crate) fn status(&self) -> StoreStatus {
        let inner = lock(&self.inner);
        StoreStatus {
            entries: inner.entries.len() as u64,
            bytes: inner.bytes as u64,
            stored: inner.next() - 1,
            evicted_for_bytes: inner.evicted_for_bytes,
            evicted_for_age: inner.evicted_for_age,
        }
    }
}

impl Inner {
    /// The number of the next entry.
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn pop(&mut self) -> Option<Stored> {
        let oldest = self.entries.pop_front()?;
        self.first += 1;
        self.bytes -= oldest.size;
        Some(oldest)
    }
}

/// How often age is looked at.
pub(crate) const EXPIRY: Duration = Duration::from_secs(1);

#[cfg(test)]
pub(crate) mod tests {
    use std::net::Ipv4Addr;

    use api::{Endpoint, Flags, Node, Protocol, Stream, UnixNanos};

    use super::*;

    static PROTOCOL: Protocol = Protocol {
        abbr: "TEST",
        background_color: "#000000",
        font_size: 12,
        long_name: "Test",
        macro_name: "test",
        name: "test",
        ports: &[],
        priority: 0,
        reference_link: "",
        layer4: "tcp",
        version: "1",
        json: std::sync::OnceLock::new(),
    };

    pub(crate) fn entries(indexes: std::ops::Range<u64>) -> Vec<Arc<Entry>> {
        let end = || Endpoint::unnamed(Ipv4Addr::LOCALHOST.into(), 1);
        let node = Arc::new(Node { ip: "".into(), name: "".into(), worker: "".into() });
        let entry = |index| Entry {
            node: Arc::clone(&node),
            stream: Stream { number: 1, udp: false },
            index,
            protocol: &PROTOCOL,
            src: end(),
            dst: end(),
            outgoing: false,
            at: UnixNanos(0),
            elapsed_nanos: 0,
            request: None,
            response: None,
            request_size: 0,
            response_size: 0,
            error: None,
            flags: Flags::default(),
        };
        indexes.map(|index| Arc::new(entry(index))).collect()
    }

    #[test]
    fn what_goes_beyond_is_evicted_and_told() {
        let size = entries(0..1)[0].size();
        let store = Store::new(StoreLimits { bytes: 10 * size, max_age: Duration::from_mins(1) });
        store.extend(entries(0..25), false);
        let status = store.status();
        assert_eq!((status.entries, status.stored, status.evicted_for_bytes), (10, 25, 15));
        assert_eq!(store.beginning(), (16, 15));
        let read = store.read(1);
        assert_eq!((read.missed, read.next), (15, 26));
        assert_eq!(
            read.entries.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
            (16..=25).collect::<Vec<_>>()
        );
        assert_eq!(store.read(26).entries.len(), 0);
        assert_eq!(store.find("000000000001.pcap-20").unwrap().index, 20);
        assert!(store.find("000000000001.pcap-3").is_none());
    }

    #[test]
    fn only_live_entries_age() {
        let store = Store::new(StoreLimits { bytes: usize::MAX, max_age: Duration::ZERO });
        store.extend(entries(0..3), false);
        store.expire();
        assert_eq!(store.status().entries, 3);
        let store = Store::new(StoreLimits { bytes: usize::MAX, max_age: Duration::ZERO });
        store.extend(entries(0..3), true);
        std::thread::sleep(Duration::from_millis(2));
        store.expire();
        assert_eq!((store.status().entries, store.status().evicted_for_age), (0, 3));
        assert_eq!(store.beginning(), (4, 0), "nobody expects what is long past");
    }
}
