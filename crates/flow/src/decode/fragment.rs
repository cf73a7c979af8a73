//! IP fragments, joined as Linux joins them: a fragment that only repeats is ignored, one that overlaps otherwise
//! spoils its whole datagram (RFC 5722; Linux does so for IPv4 too, since 4.20).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use super::wire::{Reason, reason};
use crate::counters::DecodeCounters;
use crate::hash::{MixedMap, mix};
use crate::limits::Limits;
use crate::packet::{Ordinal, Timestamp};

/// What the fragments of one datagram have in common. The capture point is part of it: each sees all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// The identification; for IPv4 with the protocol above it.
    pub(super) id: u32,
    pub(super) realm: u32,
    pub(super) interface: u32,
}

/// A fragment.
pub(super) struct Fragment<'a> {
    pub(super) offset: usize,
    pub(super) more: bool,
    pub(super) protocol: u8,
    pub(super) ordinal: Ordinal,
    pub(super) bytes: &'a [u8],
}

/// A datagram made whole: what IP carried.
pub(super) struct Joined {
    pub(super) protocol: u8,
    pub(super) bytes: Vec<u8>,
    /// The frames that it was made of.
    pub(super) ordinals: Vec<Ordinal>,
}

/// What became of a fragment.
pub(super) enum Outcome {
    Whole(Joined),
    Not(Reason),
}

/// The datagrams that wait.
pub(super) struct Fragments {
    datagrams: MixedMap<Identity, Datagram>,
    /// Oldest first.
    births: BTreeMap<u64, Identity>,
    /// The same of each sender.
    births_of: BTreeSet<(IpAddr, u64)>,
    senders: MixedMap<IpAddr, Held>,
    born: u64,
    bytes: usize,
    now: Timestamp,
    datagram_limit: usize,
    byte_limit: usize,
    fragment_limit: u64,
    wait: Duration,
}

/// What one sender has waiting.
#[derive(Default)]
struct Held {
    datagrams: usize,
    bytes: usize,
}

struct Datagram {
    birth: u64,
    since: Timestamp,
    protocol: u8,
    /// Where the bytes go that came; what lies between is zero.
    bytes: Vec<u8>,
    /// What came: ranges in order, never overlapping. Those that came one after the other are one, others are not
    /// merged, even if they touch: that is how Linux decides what is a repetition.
    runs: Vec<(usize, usize)>,
    /// The length, once the last fragment came.
    len: Option<usize>,
    /// The frames that brought its fragments.
    ordinals: Vec<Ordinal>,
}

/// The longest payload of an IP packet; Linux refuses more.
const MAX_DATAGRAM: usize = 65_535;

impl Fragments {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            datagrams: MixedMap::default(),
            births: BTreeMap::new(),
            births_of: BTreeSet::new(),
            senders: MixedMap::default(),
            born: 0,
            bytes: 0,
            now: Timestamp(i64::MIN),
            datagram_limit: limits.datagrams.max(1),
            byte_limit: limits.datagram_bytes.max(MAX_DATAGRAM),
            fragment_limit: limits.fragments as u64,
            wait: limits.datagram_wait,
        }
    }

    pub(super) fn add(
        &mut self,
        identity: Identity,
        fragment: &Fragment<'_>,
        at: Timestamp,
        counters: &mut DecodeCounters,
    ) -> Outcome {
        self.now = self.now.max(at);
        let (born, now) = (self.born, self.now);
        let datagram = self.datagrams.entry(identity).or_insert_with(|| Datagram::new(born, now));
        let sender = self.senders.entry(identity.src).or_default();
        if datagram.birth == born {
            self.born += 1;
            self.births.insert(born, identity);
            self.births_of.insert((identity.src, born));
            sender.datagrams += 1;
        }
        let before = datagram.bytes.len();
        let verdict = datagram.add(fragment, self.fragment_limit);
        let more = datagram.bytes.len() - before;
        self.bytes += more;
        sender.bytes += more;
        match verdict {
            Verdict::Kept => {
                if let Some(joined) = self.join(&identity, counters) {
                    return Outcome::Whole(joined);
                }
                self.make_room(identity.src, counters);
                Outcome::Not(reason!(fragment_held))
            }
            Verdict::Ignored(reason) => {
                if self.datagrams.get(&identity).is_some_and(|datagram| datagram.fragments() == 0) {
                    self.remove(&identity);
                }
                Outcome::Not(reason)
            }
            Verdict::Spoilt(reason) => {
                counters.held_spoilt += self.remove(&identity).map_or(0, |datagram| datagram.fragments());
                Outcome::Not(reason)
            }
        }
    }

    pub(super) fn tick(&mut self, now: Timestamp, counters: &mut DecodeCounters) {
        self.now = self.now.max(now);
        while let Some((_, &identity)) = self.births.first_key_value() {
            let old = self.datagrams.get(&identity).is_none_or(|it| self.now.passed(self.wait, it.since));
            if !old {
                return;
            }
            counters.held_expired += self.remove(&identity).map_or(0, |datagram| datagram.fragments());
        }
    }

    fn join(&mut self, identity: &Identity, counters: &mut DecodeCounters) -> Option<Joined> {
        if !self.datagrams.get(identity)?.is_whole() {
            return None;
        }
        let datagram = self.remove(identity)?;
        // The fragment at hand is not one of those held: it is counted as the packet that comes of it.
        counters.held_joined += datagram.fragments().saturating_sub(1);
        Some(Joined { protocol: datagram.protocol, bytes: datagram.bytes, ordinals: datagram.ordinals })
    }

    /// The newest is the one at hand and always has room: the limits are never below the size of one.
    ///
    /// A sender that has more than a quarter of the room makes room from its own, so that it cannot drive out others.
    fn make_room(&mut self, sender: IpAddr, counters: &mut DecodeCounters) {
        while self.datagrams.len() > self.datagram_limit || self.bytes > self.byte_limit {
            let greedy = self.senders.get(&sender).is_some_and(|held| {
                let much = held.datagrams > self.datagram_limit / 4 || held.bytes > self.byte_limit / 4;
                held.datagrams > 1 && much
            });
            let own = self.births_of.range((sender, 0)..).next().filter(|_| greedy).map(|&(_, birth)| birth);
            let oldest = own.or_else(|| self.births.keys().next().copied());
            let Some(oldest) = oldest.and_then(|birth| self.births.get(&birth).copied()) else { return };
            counters.held_evicted += self.remove(&oldest).map_or(0, |datagram| datagram.fragments());
        }
    }

    fn remove(&mut self, identity: &Identity) -> Option<Datagram> {
        let datagram = self.datagrams.remove(identity)?;
        self.births.remove(&datagram.birth);
        self.births_of.remove(&(identity.src, datagram.birth));
        self.bytes -= datagram.bytes.len();
        if let Some(held) = self.senders.get_mut(&identity.src) {
            held.datagrams -= 1;
            held.bytes -= datagram.bytes.len();
            if held.datagrams == 0 {
                self.senders.remove(&identity.src);
            }
        }
        Some(datagram)
    }
}

enum Verdict {
    Kept,
    Ignored(Reason),
    Spoilt(Reason),
}

impl Datagram {
    fn new(birth: u64, since: Timestamp) -> Self {
        Self {
            birth,
            since,
            protocol: 0,
            bytes: Vec::new(),
            runs: Vec::new(),
            len: None,
            ordinals: Vec::new(),
        }
    }

    fn fragments(&self) -> u64 {
        self.ordinals.len() as u64
    }

    fn add(&mut self, fragment: &Fragment<'_>, fragment_limit: u64) -> Verdict {
        let start = fragment.offset;
        // All but the last end on a multiple of eight; Linux drops the odd bytes of IPv4.
        let len = if fragment.more { fragment.bytes.len() & !7 } else { fragment.bytes.len() };
        let end = start + len;
        if end > MAX_DATAGRAM {
            return Verdict::Ignored(reason!(fragment_bad));
        }
        let too_short = !fragment.more && end < self.bytes.len();
        if len == 0 || too_short || self.len.is_some_and(|len| end > len || !fragment.more && end != len) {
            return Verdict::Spoilt(reason!(fragment_bad));
        }
        if self.fragments() >= fragment_limit {
            return Verdict::Spoilt(reason!(fragment_too_many));
        }
        match self.place(start, end) {
            Some(Place::Repeats) => return Verdict::Ignored(reason!(fragment_duplicate)),
            None => return Verdict::Spoilt(reason!(fragment_overlap)),
            Some(Place::Free) => {}
        }
        if !fragment.more {
            self.len = Some(end);
        }
        if start == 0 {
            self.protocol = fragment.protocol;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        for (to, from) in self.bytes.iter_mut().skip(start).zip(fragment.bytes.iter().take(len)) {
            *to = *from;
        }
        self.ordinals.push(fragment.ordinal);
        Verdict::Kept
    }

    /// Enters the range among the runs; `None` if it overlaps.
    fn place(&mut self, start: usize, end: usize) -> Option<Place> {
        if let Some(last) = self.runs.last_mut()
            && last.1 < end
        {
            if start < last.1 {
                return None;
            }
            if start == last.1 {
                last.1 = end;
            } else {
                self.runs.push((start, end));
            }
            return Some(Place::Free);
        }
        let idx = self.runs.partition_point(|run| run.1 <= start);
        match self.runs.get(idx) {
            Some(run) if run.0 < end => (run.0 <= start && end <= run.1).then_some(Place::Repeats),
            _ => {
                self.runs.insert(idx, (start, end));
                Some(Place::Free)
            }
        }
    }

    fn is_whole(&self) -> bool {
        let mut reached = 0;
        for run in &self.runs {
            if run.0 != reached {
                return false;
            }
            reached = run.1;
        }
        self.len == Some(reached)
    }
}

enum Place {
    Free,
    Repeats,
}

impl Hash for Identity {
    fn hash<S: Hasher>(&self, state: &mut S) {
        let fold = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => mix((ip.to_bits() >> 64) as u64, ip.to_bits() as u64),
        };
        let ids = u64::from(self.realm) << 32 | u64::from(self.id);
        state.write_u64(mix(mix(fold(self.src), ids), mix(fold(self.dst), u64::from(self.interface))));
    }
}
