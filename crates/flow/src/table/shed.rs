//! Flows that are shed: under overload a new flow may be followed to its end only, and nothing of it is read. What is
//! read is thereby read whole.

use super::{GRAIN, Kind, Order};
use crate::hash::MixedMap;
use crate::limits::Limits;
use crate::packet::{FlowKey, Layer4, Packet, Timestamp};

/// Which share of new flows is shed, in 64ths. A flow's key decides, so the same flows are shed while it stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u8);

impl Share {
    /// Every flow is read.
    pub const NONE: Self = Self(0);
    /// Of what is new, a little is always read.
    pub const MOST: Self = Self(63);

    /// So many 64ths, at most [`Share::MOST`].
    pub fn new(parts: u8) -> Self {
        Self(parts).min(Self::MOST)
    }

    /// How many 64ths.
    pub fn parts(self) -> u8 {
        self.0
    }

    pub(super) fn includes(self, key: &FlowKey) -> bool {
        // Other bits than those that choose the shard.
        (key.digest() >> 24) as u8 % 64 < self.0
    }
}

/// The flows of one shard that are shed.
pub(super) struct Shed {
    index: MixedMap<FlowKey, u32>,
    flows: Vec<Flow>,
    free: Vec<u32>,
    order: Order<{ Kind::ALL.len() }>,
}

/// As much of a flow as tells when it ends.
#[derive(Clone, Copy)]
struct Flow {
    key: FlowKey,
    kind: Kind,
    /// The sequence number of its SYN.
    syn: Option<u32>,
    /// Of the low and the high end: a FIN of TCP was seen, or a datagram.
    seen: [bool; 2],
}

impl Shed {
    pub(super) fn new() -> Self {
        Self { index: MixedMap::default(), flows: Vec::new(), free: Vec::new(), order: Order::new() }
    }

    /// How many flows are shed now.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// How much room is taken, in flows.
    #[cfg(test)]
    pub(super) fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Whether the packet belongs to a flow that is shed.
    pub(super) fn follow(&mut self, packet: &Packet<'_>, now: Timestamp) -> bool {
        // Mostly nothing is shed.
        if self.index.is_empty() {
            return false;
        }
        let Some(&slot) = self.index.get(&packet.key) else { return false };
        let Some(flow) = self.flows.get_mut(slot as usize) else { return false };
        if flow.is_succeeded_by(packet) {
            self.forget(slot);
            return false;
        }
        flow.see(packet);
        let kind = flow.kind as usize;
        let stays =
            self.order.place(slot).is_some_and(|(list, since)| list == kind && !now.passed(GRAIN, since));
        if !stays {
            self.order.put(slot, kind, now);
        }
        true
    }

    /// Sheds the flow that begins with this packet. Gives how many others were forgotten to make room.
    pub(super) fn begin(&mut self, packet: &Packet<'_>, now: Timestamp, limits: &Limits) -> u64 {
        let mut forgotten = 0;
        while self.len() >= limits.shed_flows.max(1)
            && let Some(oldest) = self.oldest()
        {
            self.forget(oldest);
            forgotten += 1;
        }
        let kind = if packet.layer4 == Layer4::Datagram { Kind::UnprovenUdp } else { Kind::UnprovenTcp };
        let mut flow = Flow { key: packet.key, kind, syn: None, seen: [false; 2] };
        flow.see(packet);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.flows.push(flow);
            self.flows.len() as u32 - 1
        });
        if let Some(place) = self.flows.get_mut(slot as usize) {
            *place = flow;
        }
        self.index.insert(packet.key, slot);
        self.order.put(slot, flow.kind as usize, now);
        forgotten
    }

    /// Forgets the flows that ended, or fell silent.
    pub(super) fn tick(&mut self, now: Timestamp, limits: &Limits) {
        for kind in Kind::ALL {
            while let Some((slot, since)) = self.order.first(kind as usize)
                && now.passed(kind.idle(limits), since)
            {
                self.forget(slot);
            }
        }
    }

    /// Which is the least likely to be heard of again.
    fn oldest(&self) -> Option<u32> {
        let first = |kind: Kind| self.order.first(kind as usize).map(|(slot, _)| slot);
        Kind::ALL.into_iter().find_map(first)
    }

    fn forget(&mut self, slot: u32) {
        if let Some(flow) = self.flows.get(slot as usize) {
            self.index.remove(&flow.key);
        }
        self.order.remove(slot);
        self.free.push(slot);
    }
}

impl Flow {
    /// Whether the packet begins another connection of the same ports.
    fn is_succeeded_by(&self, packet: &Packet<'_>) -> bool {
        let Layer4::Segment(fields) = packet.layer4 else { return false };
        let fresh = self.syn.is_some_and(|syn| syn != fields.sequence) || self.kind == Kind::Closing;
        fields.syn() && !fields.ack() && fresh && self.syn != Some(fields.sequence)
    }

    fn see(&mut self, packet: &Packet<'_>) {
        let [low, high] = &mut self.seen;
        let seen = if packet.from_low { low } else { high };
        match packet.layer4 {
            Layer4::Datagram => *seen = true,
            Layer4::Segment(fields) => {
                *seen |= fields.fin();
                if fields.syn() && !fields.ack() {
                    self.syn = Some(fields.sequence);
                }
                if fields.rst() {
                    self.kind = Kind::Closing;
                } else if self.kind != Kind::Closing && !packet.payload.is_empty() {
                    self.kind = Kind::Tcp;
                }
            }
        }
        if self.seen == [true; 2] {
            self.kind = if packet.layer4 == Layer4::Datagram { Kind::Udp } else { Kind::Closing };
        }
    }
}
