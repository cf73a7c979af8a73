//! Whose addresses were when: what hubs tell, and what entries are told of it.
//!
//! Each hub has a table of its own, so that what two of them know is never mixed; the one that was first told whole last is
//! asked ([`hubs`]). When its hub leaves, another that is connected is asked instead; when all have left, the last stays,
//! and `/status` says how old it is.
//!
//! Capture and pairing never wait for names. An entry waits after them, see [`waiting`].

mod history;
mod hubs;
mod namer;
pub(crate) mod table;
pub(crate) mod waiting;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use api::messages::{Identity, NameChange, NameKey};
use serde_json::{Value, json};
use web::Metrics;

pub use history::{Name, NameHistory};
use hubs::Hubs;
use namer::{Counters, Namer};

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

/// How often what is long over is forgotten: all keys are looked at.
const FORGET: Duration = Duration::from_secs(10);

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
        let hub = hubs.hubs.get_mut(index)?;
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

/// `10.96.0.10`, or `10.96.0.10:53`.
fn written(key: NameKey) -> String {
    match key.port {
        None => key.ip.to_string(),
        Some(port) => SocketAddr::new(key.ip, port.number).to_string(),
    }
}

#[cfg(test)]
mod tests;
