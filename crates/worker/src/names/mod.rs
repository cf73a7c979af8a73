//! Whose addresses were when: what hubs tell, and what entries are told of it.
//!
//! Each hub has a table of its own, so that what two of them know is never mixed; the one that was first told whole last is
//! asked. When its hub leaves, another that is connected is asked instead; when all have left, the last stays, and
//! `/status` says how old it is.
//!
//! Capture and pairing never wait for names. An entry waits after them, see [`waiting`].

mod history;
pub(crate) mod table;
pub(crate) mod waiting;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use api::{
    Entry, Mechanism,
    messages::{Identity, NameChange, NameKey, Port, Transport},
};
use serde_json::{Value, json};
use web::Metrics;

pub use history::{Name, NameHistory};
use table::{Found, Table};

use crate::{capture::wall_clock, lock};

/// How many names a worker knows, and how long entries wait for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameLimits {
    /// Addresses and ports that have names.
    pub keys: usize,
    /// Changes that are remembered of each.
    pub changes: usize,
    /// How long what is over is remembered.
    pub remember: Duration,
    /// Hubs whose names are kept apart.
    pub hubs: usize,
    /// How long an entry waits before it is named, so that the names of its time have come.
    pub settle: Duration,
    /// How long it waits where an end has no name but an address such as pods have, or one of somebody who was just
    /// ending.
    pub patience: Duration,
    /// Bytes of entries that wait, per source.
    pub waiting_bytes: usize,
}

/// A quarter of a million addresses and ports; one second, and three.
impl Default for NameLimits {
    fn default() -> Self {
        Self {
            keys: 262_144,
            changes: 64,
            remember: Duration::from_mins(1),
            hubs: 4,
            settle: Duration::from_secs(1),
            patience: Duration::from_secs(3),
            waiting_bytes: 64 << 20,
        }
    }
}

/// The names of a worker.
pub(crate) struct Names {
    limits: NameLimits,
    hubs: RwLock<Hubs>,
    /// Whether a hub ever told names.
    told: AtomicBool,
    counters: Counters,
    /// Whether names have changed since they were last put into the history.
    changed: Mutex<bool>,
    /// The names as scripts find them.
    pub(crate) history: NameHistory,
}

#[derive(Default)]
struct Hubs {
    hubs: Vec<Hub>,
    /// Which of them is asked.
    asked: usize,
}

/// What one start of a hub told.
struct Hub {
    epoch: u64,
    /// The number of its next change; `None` after a gap, until it tells all of them again.
    next: Option<u64>,
    /// Connections to it.
    links: usize,
    table: Table,
    heard: Instant,
    /// The same by the clock of this node, in nanoseconds since the Unix epoch.
    heard_at: i64,
    /// When what is long over was last forgotten.
    forgot: Instant,
}

/// How often what is long over is forgotten: all keys are looked at.
const FORGET: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Counters {
    named: AtomicU64,
    shared: AtomicU64,
    disputed: AtomicU64,
    unknown: AtomicU64,
    early: AtomicU64,
    gaps: AtomicU64,
    too_many_hubs: AtomicU64,
}

/// What a message of a hub says of names.
pub(crate) struct News {
    /// Which start of a hub.
    pub(crate) epoch: u64,
    /// The number of the first change.
    pub(crate) from: u64,
    /// Of whom the changes speak.
    pub(crate) identities: Vec<Identity>,
    /// What changed.
    pub(crate) changes: Vec<NameChange>,
    /// Whether it is all that the hub knows.
    pub(crate) complete: bool,
}

impl Names {
    pub(crate) fn new(limits: NameLimits, history: NameHistory) -> Self {
        Self {
            limits,
            hubs: RwLock::default(),
            told: AtomicBool::new(false),
            counters: Counters::default(),
            changed: Mutex::default(),
            history,
        }
    }

    /// Whether a hub ever told names: where none did, no entry waits for one.
    pub(crate) fn are_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Takes what a hub says over a connection that spoke of `link` before, if it did; gives of which hub it speaks.
    pub(crate) fn hear(&self, link: Option<u64>, news: &mut News) -> Option<u64> {
        let now = wall_clock().0;
        let mut hubs = self.hubs.write().unwrap_or_else(PoisonError::into_inner);
        if link.is_some_and(|link| link != news.epoch) {
            hubs.leave(link);
        }
        let is_new = link != Some(news.epoch);
        let Some(index) = hubs.place(news, is_new, self.limits) else {
            let counter = if news.complete { &self.counters.too_many_hubs } else { &self.counters.gaps };
            counter.fetch_add(1, Ordering::Relaxed);
            return link.filter(|link| *link == news.epoch);
        };
        let asked = hubs.asked == index;
        let Some(hub) = hubs.hubs.get_mut(index) else { return None };
        let identities = std::mem::take(&mut news.identities);
        if news.complete {
            hub.table.replace(identities, &news.changes, hub.heard_at);
            hubs.asked = index;
        } else if hub.next == Some(news.from) {
            hub.table.change(identities, &news.changes);
        } else {
            hub.next = None;
            self.counters.gaps.fetch_add(1, Ordering::Relaxed);
            return Some(news.epoch);
        }
        if let Some(hub) = hubs.hubs.get_mut(index) {
            hub.next = Some(news.from + news.changes.len() as u64);
            (hub.heard, hub.heard_at) = (Instant::now(), now);
            if news.complete || hub.forgot.elapsed() > FORGET {
                hub.table.forget(now);
                hub.forgot = Instant::now();
            }
        }
        if news.complete || (asked && !news.changes.is_empty()) {
            *lock(&self.changed) = true;
        }
        self.told.store(true, Ordering::Relaxed);
        Some(news.epoch)
    }

    /// The hub that speaks of names over this connection has said something else: so its names are as new as that.
    pub(crate) fn still(&self, link: Option<u64>) {
        let mut hubs = self.hubs.write().unwrap_or_else(PoisonError::into_inner);
        let hub = hubs.hubs.iter_mut().find(|hub| Some(hub.epoch) == link);
        if let Some(hub) = hub.filter(|hub| hub.next.is_some()) {
            (hub.heard, hub.heard_at) = (Instant::now(), wall_clock().0);
        }
    }

    /// A connection to that hub has ended.
    pub(crate) fn leave(&self, link: Option<u64>) {
        if self.hubs.write().unwrap_or_else(PoisonError::into_inner).leave(link) {
            *lock(&self.changed) = true;
        }
    }

    /// Whoever names entries; nothing while news is being taken, which is a moment.
    pub(crate) fn namer(&self) -> Option<Namer<'_>> {
        match self.hubs.try_read() {
            Ok(hubs) => Some(Namer { hubs, counters: &self.counters }),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => {
                Some(Namer { hubs: poisoned.into_inner(), counters: &self.counters })
            }
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }

    /// The same, waiting for that moment.
    pub(crate) fn patient_namer(&self) -> Namer<'_> {
        let hubs = self.hubs.read().unwrap_or_else(PoisonError::into_inner);
        Namer { hubs, counters: &self.counters }
    }

    /// Counts entries that did not wait as long as they should have.
    pub(crate) fn named_early(&self, entries: u64) {
        self.counters.early.fetch_add(entries, Ordering::Relaxed);
    }

    /// Puts the names into the history if they have changed since it was last asked; whether they had.
    pub(crate) fn remember(&self) -> bool {
        if !std::mem::take(&mut *lock(&self.changed)) {
            return false;
        }
        let hubs = self.hubs.read().unwrap_or_else(PoisonError::into_inner);
        let Some(hub) = hubs.hubs.get(hubs.asked) else { return false };
        let names: BTreeMap<String, Name> = hub
            .table
            .names()
            .map(|(key, who)| {
                let full_address = who.name().to_owned();
                (written(key), Name { full_address, namespace: who.identity().namespace.clone() })
            })
            .collect();
        drop(hubs);
        let at = wall_clock().0.div_euclid(1_000_000_000);
        self.history.changed(u64::try_from(at).unwrap_or_default(), names);
        true
    }

    /// What is known, and how old it is.
    pub(crate) fn json(&self) -> Value {
        let hubs = self.hubs.read().unwrap_or_else(PoisonError::into_inner);
        let asked = hubs.hubs.get(hubs.asked);
        let rows: serde_json::Map<_, _> =
            self.counters.rows().into_iter().map(|(row, count)| (row.to_owned(), count.into())).collect();
        json!({
            "ageSeconds": asked.map(|hub| hub.heard.elapsed().as_secs()),
            "connected": asked.is_some_and(|hub| hub.links > 0),
            "ends": rows,
            "hubs": hubs.hubs.len(),
            "keys": asked.map_or(0, |hub| hub.table.keys()),
            "refused": asked.map_or(0, |hub| hub.table.refused()),
        })
    }

    pub(crate) fn metrics(&self, out: &mut Metrics) {
        let mut rows = out.counter("kubeshark_worker_names_total", "What became of the names of entries.");
        for (row, count) in self.counters.rows() {
            rows.add(&[("row", row)], count);
        }
        let hubs = self.hubs.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = hubs.hubs.get(hubs.asked) {
            out.gauge("kubeshark_worker_names_age_seconds", "Since a hub last spoke of names.")
                .is(hub.heard.elapsed().as_secs());
            out.gauge("kubeshark_worker_names", "Addresses and ports with names.")
                .is(hub.table.keys() as u64);
        }
    }
}

impl Hubs {
    /// The place of the hub that speaks; nothing where it must begin anew, or there is no room.
    fn place(&mut self, news: &News, is_new: bool, limits: NameLimits) -> Option<usize> {
        if let Some(index) = self.hubs.iter().position(|hub| hub.epoch == news.epoch) {
            let hub = self.hubs.get_mut(index)?;
            if is_new && !news.complete {
                return None;
            }
            hub.links += usize::from(is_new);
            return Some(index);
        }
        if !news.complete {
            return None;
        }
        // What a hub told that is gone stays true of the past: whoever comes after it goes on with that.
        if let Some(index) = self.hubs.iter().position(|hub| hub.links == 0) {
            let hub = self.hubs.get_mut(index)?;
            (hub.epoch, hub.links) = (news.epoch, 1);
            return Some(index);
        }
        if self.hubs.len() >= limits.hubs {
            return None;
        }
        let heard_at = i64::MIN;
        let (table, heard) = (Table::new(limits), Instant::now());
        let epoch = news.epoch;
        self.hubs.push(Hub { epoch, next: None, links: 1, table, heard, heard_at, forgot: heard });
        Some(self.hubs.len() - 1)
    }

    /// Whether another is asked now.
    fn leave(&mut self, link: Option<u64>) -> bool {
        let Some(index) = self.hubs.iter().position(|hub| Some(hub.epoch) == link) else { return false };
        if let Some(hub) = self.hubs.get_mut(index) {
            hub.links = hub.links.saturating_sub(1);
            if hub.links > 0 {
                return false;
            }
        }
        // The last one that is left stays as it is.
        let Some(other) = self.hubs.iter().position(|hub| hub.links > 0) else { return false };
        let was_asked = self.asked == index;
        let asked = self.hubs.get(if was_asked { other } else { self.asked }).map(|hub| hub.epoch);
        self.hubs.remove(index);
        self.asked = self.hubs.iter().position(|hub| Some(hub.epoch) == asked).unwrap_or_default();
        was_asked
    }
}

/// Names entries.
pub(crate) struct Namer<'a> {
    hubs: RwLockReadGuard<'a, Hubs>,
    counters: &'a Counters,
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
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

impl Counters {
    fn rows(&self) -> [(&'static str, u64); 7] {
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

/// `10.96.0.10`, or `10.96.0.10:53`.
fn written(key: NameKey) -> String {
    match key.port {
        None => key.ip.to_string(),
        Some(port) => SocketAddr::new(key.ip, port.number).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use api::UnixNanos;

    use super::*;
    use crate::{names::table::tests::called, store::tests::entries};

    /// A worker's names, and what hubs say to it.
    struct Bench(Names);

    impl Bench {
        fn new() -> Self {
            Self(Names::new(NameLimits { hubs: 2, ..NameLimits::default() }, NameHistory::default()))
        }

        /// A message about 127.0.0.1, which is whose the entries of these tests are; in whose name its link then speaks.
        fn hear(
            &self,
            link: Option<u64>,
            epoch: u64,
            from: u64,
            complete: bool,
            who: &[&str],
        ) -> Option<u64> {
            let key = NameKey { ip: [127, 0, 0, 1].into(), port: None };
            let at = UnixNanos(-1);
            let changes =
                (0..who.len()).map(|index| NameChange { at, key, identity: Some(index as u32) }).collect();
            let identities = who.iter().map(|name| called(name)).collect();
            self.0.hear(link, &mut News { epoch, from, identities, changes, complete })
        }

        fn name(&self) -> String {
            let mut entry = entries(0..1).remove(0);
            let entry = std::sync::Arc::get_mut(&mut entry).unwrap();
            self.0.namer().unwrap().name(entry);
            entry.dst.named.as_ref().map_or_else(String::new, |named| named.who.identity().name.clone())
        }

        fn row(&self, row: &str) -> u64 {
            self.0.json()["ends"][row].as_u64().unwrap()
        }
    }

    #[test]
    fn after_a_gap_only_all_of_it_counts() {
        let bench = Bench::new();
        assert!(!bench.0.are_told());
        assert_eq!(bench.hear(None, 1, 5, false, &["a"]), None, "it has to begin with all of it");
        assert_eq!((bench.name(), bench.row("gaps")), (String::new(), 1));
        assert_eq!(bench.hear(None, 1, 5, true, &["a"]), Some(1));
        assert_eq!(bench.hear(Some(1), 1, 6, false, &["a'"]), Some(1));
        assert!(bench.0.are_told());
        assert_eq!(bench.hear(Some(1), 1, 8, false, &["b"]), Some(1));
        assert_eq!(bench.hear(Some(1), 1, 9, false, &["b"]), Some(1), "still waiting");
        assert_eq!(bench.row("gaps"), 3);
        bench.hear(Some(1), 1, 10, true, &["b"]);
        assert_eq!(bench.name(), "b");
        // Nothing new is news, too: it says that the hub is there.
        bench.hear(Some(1), 1, 11, false, &[]);
        assert_eq!((bench.name(), bench.row("gaps")), ("b".into(), 3));
    }

    #[test]
    fn hubs_are_not_mixed_and_the_last_one_stays() {
        let bench = Bench::new();
        let first = bench.hear(None, 1, 1, true, &["a"]);
        let second = bench.hear(None, 2, 1, true, &["b"]);
        assert_eq!((first, second, bench.name()), (Some(1), Some(2), "b".into()));
        assert_eq!(bench.hear(None, 3, 1, true, &["c"]), None, "one too many");
        assert_eq!((bench.name(), bench.row("tooManyHubs")), ("b".into(), 1));
        // What the first goes on to say is its own.
        bench.hear(first, 1, 2, false, &["d"]);
        assert_eq!(bench.name(), "b");
        bench.0.leave(second);
        assert_eq!(bench.name(), "d");
        // A second connection to it keeps it.
        bench.hear(None, 1, 3, true, &["d"]);
        bench.0.leave(first);
        assert_eq!(bench.0.json()["connected"], true);
        bench.0.leave(Some(1));
        assert_eq!((bench.name(), bench.0.json()["connected"].clone()), ("d".into(), false.into()));
        // The next one goes on with what is known.
        bench.hear(None, 7, 1, true, &["e"]);
        assert_eq!((bench.name(), bench.0.json()["hubs"].clone()), ("e".into(), 1.into()));
        bench.0.leave(Some(99));
        assert_eq!(bench.name(), "e");
    }

    #[test]
    fn addresses_of_pods_are_private() {
        for (ip, expected) in [
            ("10.0.0.2", true),
            ("::ffff:192.168.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("93.184.216.34", false),
            ("127.0.0.1", false),
            ("fd00::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(ip.parse().unwrap()), expected, "{ip}");
        }
    }

    #[test]
    fn the_history_has_what_changed() {
        let bench = Bench::new();
        assert!(!bench.0.remember());
        bench.hear(None, 1, 1, true, &["a"]);
        assert!(bench.0.remember());
        assert!(!bench.0.remember(), "nothing is new");
        let json: Value = serde_json::from_str(&bench.0.history.json()).unwrap();
        let (_, names) = json.as_object().unwrap().iter().next().unwrap();
        assert_eq!(*names, json!({"127.0.0.1": {"FullAddress": "a.shop", "Namespace": "shop"}}));
        bench.hear(Some(1), 1, 2, false, &[]);
        assert!(!bench.0.remember());
    }

    #[test]
    fn ends_are_counted_by_what_is_known_of_them() {
        let count = |names: &[&str]| {
            let bench = Bench::new();
            bench.hear(None, 1, 1, true, names);
            let mut entry = entries(0..1).remove(0);
            let entry = std::sync::Arc::get_mut(&mut entry).unwrap();
            let namer = bench.0.namer().unwrap();
            namer.name(entry);
            namer.count(entry);
            ["named", "shared", "disputed", "unknown"].map(|row| bench.row(row))
        };
        assert_eq!(count(&["a"]), [2, 0, 0, 0]);
        assert_eq!(count(&["node:n"]), [0, 2, 0, 0]);
        assert_eq!(count(&[]), [0, 0, 0, 2]);
    }
}
