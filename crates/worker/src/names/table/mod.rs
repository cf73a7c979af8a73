//! Whose an address was, and when: changes go in, in any order; who had it at the time of a packet comes out, or nobody.
//!
//! Kubernetes tells many times in whole seconds: what is stamped 12:00:05 happened somewhere in that second. So a change
//! with such a stamp is *uncertain* for a second: until it is over, what was before may still be true. Where that leaves
//! two different objects, the answer is that it is not known:
//!
//! ```text
//!   pod A ends 12:00:05, pod B begins 12:00:05        A A A A │ ? ? ? ? │ B B B B
//!   pod A ends 12:00:05, pod B begins 12:00:06        A A A A │ A A A A │ B B B B
//!                                                       :04       :05       :06
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use api::{
    Mechanism, Named, Somebody,
    messages::{Identity, IdentityKind, NameChange, NameKey, Port},
};

use super::NameLimits;

const SECOND: i64 = 1_000_000_000;

/// Who had which address. Times are nanoseconds since the Unix epoch.
pub(crate) struct Table {
    limits: NameLimits,
    addresses: HashMap<IpAddr, Address>,
    /// Addresses and ports of which something is known.
    keys: usize,
    /// Changes that were refused because there were too many keys.
    refused: u64,
}

/// What is known of one address.
#[derive(Default)]
struct Address {
    whole: History,
    ports: BTreeMap<Port, History>,
}

/// The changes of one key, by time.
#[derive(Default)]
struct History(Vec<Change>);

struct Change {
    at: i64,
    who: Option<Arc<Somebody>>,
}

/// Whose something was.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Of(&'a Arc<Somebody>),
    /// Of one of several.
    Disputed,
    Nobody,
}

/// What the table says of an end of a transaction.
#[derive(Debug)]
pub(crate) enum Found {
    /// Whose it was; and whether that one is known to have had it for less than another second, after which nobody is
    /// known yet: its successor may have had it already.
    Named(Named, bool),
    /// One of several had it just then.
    Disputed,
    /// Nobody is known to have had it.
    Unknown,
}

impl Table {
    pub(crate) fn new(limits: NameLimits) -> Self {
        Self { limits, addresses: HashMap::new(), keys: 0, refused: 0 }
    }

    /// Addresses and ports of which something is known.
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// Changes that were refused because there were too many keys.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes changes. Of one key and one time, the one that comes last is right.
    pub(crate) fn change(&mut self, identities: Vec<Identity>, changes: &[NameChange]) {
        let identities = shared(identities);
        for change in changes {
            if let Some(change_of_key) = understood(&identities, change)
                && let Some(history) = self.history(change.key)
            {
                history.insert(change_of_key);
            }
        }
        self.bound(changes.iter().map(|change| change.key));
    }

    /// Takes all that somebody else knows. From the first change of a key on that replaces what was known of it; what has a
    /// name and is not among the keys has had none since `heard`, when the last news came.
    pub(crate) fn replace(&mut self, identities: Vec<Identity>, changes: &[NameChange], heard: i64) {
        let identities = shared(identities);
        let mut fresh: BTreeMap<NameKey, Vec<Change>> = BTreeMap::new();
        for change in changes {
            if let Some(change_of_key) = understood(&identities, change) {
                fresh.entry(change.key).or_default().push(change_of_key);
            }
        }
        self.each(|key, history| {
            if !fresh.contains_key(&key) {
                history.end(heard);
            }
        });
        let keys: Vec<_> = fresh.keys().copied().collect();
        for (key, changes) in fresh {
            if let Some(history) = self.history(key) {
                history.splice(changes);
            }
        }
        self.bound(keys.into_iter());
    }

    /// Forgets what was over for longer than is remembered.
    pub(crate) fn forget(&mut self, now: i64) {
        let before = now.saturating_sub(i64::try_from(self.limits.remember.as_nanos()).unwrap_or(i64::MAX));
        self.each(|_, history| history.forget(before));
        let keys = &mut self.keys;
        self.addresses.retain(|_, address| {
            let ports = address.ports.len();
            address.ports.retain(|_, history| !history.0.is_empty());
            *keys -= ports - address.ports.len();
            let is_known = !address.whole.0.is_empty() || !address.ports.is_empty();
            *keys -= usize::from(!is_known);
            is_known
        });
    }

    /// Whose this end was at that time.
    ///
    /// A port counts more than its address, but only within the life of whoever had the address: a port's name that
    /// outlives its pod is nobody's.
    pub(crate) fn find(&self, ip: IpAddr, port: Port, at: i64) -> Found {
        let Some(address) = self.addresses.get(&ip.to_canonical()) else { return Found::Unknown };
        let by_port = address.ports.get(&port).map_or(Owner::Nobody, |history| history.at(at));
        let ending = address.whole.ends_within_a_second(at);
        let named = |who: &Arc<Somebody>, by| Found::Named(Named { who: Arc::clone(who), by }, ending);
        match (address.whole.at(at), by_port) {
            (Owner::Disputed, _) => Found::Disputed,
            (Owner::Of(who), Owner::Of(better)) if shares(who, better) => named(better, Mechanism::IpAndPort),
            (Owner::Of(who), _) if who.identity().kind == IdentityKind::Node => named(who, Mechanism::Shared),
            (Owner::Of(who), _) => named(who, Mechanism::Ip),
            (Owner::Nobody, Owner::Of(who)) if address.whole.0.is_empty() && stands_alone(who) => {
                named(who, Mechanism::IpAndPort)
            }
            (Owner::Nobody, _) => Found::Unknown,
        }
    }

    /// Who has what now: for a history that is kept as it was.
    pub(crate) fn names(&self) -> impl Iterator<Item = (NameKey, &Arc<Somebody>)> {
        self.addresses.iter().flat_map(|(ip, address)| {
            let whole = address.whole.last().map(|who| (NameKey { ip: *ip, port: None }, who));
            let ports = address.ports.iter().filter_map(|(port, history)| {
                Some((NameKey { ip: *ip, port: Some(*port) }, history.last()?))
            });
            whole.into_iter().chain(ports)
        })
    }

    /// The history of a key, unless there is no room for another.
    fn history(&mut self, key: NameKey) -> Option<&mut History> {
        let ip = key.ip.to_canonical();
        let known = self.addresses.get(&ip);
        let has_port = |address: &Address| key.port.is_none_or(|port| address.ports.contains_key(&port));
        let more = known.map_or(1 + usize::from(key.port.is_some()), |known| usize::from(!has_port(known)));
        if self.keys + more > self.limits.keys {
            self.refused += 1;
            return None;
        }
        self.keys += more;
        let address = self.addresses.entry(ip).or_default();
        match key.port {
            None => Some(&mut address.whole),
            Some(port) => Some(address.ports.entry(port).or_default()),
        }
    }

    fn each(&mut self, mut visit: impl FnMut(NameKey, &mut History)) {
        for (ip, address) in &mut self.addresses {
            visit(NameKey { ip: *ip, port: None }, &mut address.whole);
            for (port, history) in &mut address.ports {
                visit(NameKey { ip: *ip, port: Some(*port) }, history);
            }
        }
    }

    /// Keeps the newest changes of these keys only.
    fn bound(&mut self, keys: impl Iterator<Item = NameKey>) {
        let most = self.limits.changes;
        for key in keys {
            let Some(address) = self.addresses.get_mut(&key.ip.to_canonical()) else { continue };
            let history = match key.port {
                None => Some(&mut address.whole),
                Some(port) => address.ports.get_mut(&port),
            };
            if let Some(History(changes)) = history {
                changes.drain(..changes.len().saturating_sub(most));
            }
        }
    }
}

fn shared(identities: Vec<Identity>) -> Vec<Arc<Somebody>> {
    identities.into_iter().map(|identity| Arc::new(Somebody::new(identity))).collect()
}

/// A change as a history has it; nothing where the message does not say of whom it speaks.
fn understood(identities: &[Arc<Somebody>], change: &NameChange) -> Option<Change> {
    let at = change.at.0;
    match change.identity {
        None => Some(Change { at, who: None }),
        Some(index) => identities.get(index as usize).map(|who| Change { at, who: Some(Arc::clone(who)) }),
    }
}

/// Whether `port` may speak for a port of the address of `whole`.
fn shares(whole: &Somebody, port: &Somebody) -> bool {
    whole.identity().kind == IdentityKind::Node || whole.is(port)
}

/// Whether a port is named though its address is not, as where nodes may not be asked for.
fn stands_alone(port: &Somebody) -> bool {
    let identity = port.identity();
    identity.kind == IdentityKind::Service || identity.pod.as_ref().is_some_and(|pod| pod.host_network)
}

impl Change {
    /// Until when it may not have happened yet.
    fn certain(&self) -> i64 {
        if self.at % SECOND == 0 { self.at.saturating_add(SECOND) } else { self.at }
    }
}

impl History {
    fn at(&self, at: i64) -> Owner<'_> {
        let past = self.0.partition_point(|change| change.at <= at);
        let mut owner = Owner::Nobody;
        for change in self.0.iter().take(past).rev() {
            match (&change.who, owner) {
                (Some(who), Owner::Nobody) => owner = Owner::Of(who),
                (Some(who), Owner::Of(other)) if !who.is(other) => return Owner::Disputed,
                _ => {}
            }
            if change.certain() <= at {
                break;
            }
        }
        owner
    }

    /// Whether whoever has it ends within a second, and no other follows.
    fn ends_within_a_second(&self, at: i64) -> bool {
        let past = self.0.partition_point(|change| change.at <= at);
        let mut next = self.0.iter().skip(past);
        next.next().is_some_and(|end| end.who.is_none() && end.at.saturating_sub(at) <= SECOND)
            && next.next().is_none()
    }

    /// Who has it at last.
    fn last(&self) -> Option<&Arc<Somebody>> {
        self.0.last()?.who.as_ref()
    }

    /// Puts a change in its place. There is never more than one at a time: the one that was learnt last is right.
    fn insert(&mut self, change: Change) {
        let place = self.0.partition_point(|earlier| earlier.at < change.at);
        match self.0.get_mut(place).filter(|other| other.at == change.at) {
            Some(other) => *other = change,
            None => self.0.insert(place, change),
        }
    }

    /// From the first of these on, they are what happened.
    fn splice(&mut self, changes: Vec<Change>) {
        let first = changes.iter().map(|change| change.at).min().unwrap_or(i64::MAX);
        self.0.retain(|change| change.at < first);
        for change in changes {
            self.insert(change);
        }
    }

    /// Nobody has it from then on, if somebody had it last.
    fn end(&mut self, at: i64) {
        if let Some(last) = self.0.last().filter(|last| last.who.is_some()) {
            self.insert(Change { at: at.max(last.at.saturating_add(1)), who: None });
        }
    }

    /// Forgets what was over before.
    fn forget(&mut self, before: i64) {
        let over = self.0.partition_point(|change| change.certain() <= before);
        self.0.drain(..over.saturating_sub(1));
        if over > 0 && self.0.len() == 1 && self.0.iter().all(|change| change.who.is_none()) {
            self.0.clear();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
