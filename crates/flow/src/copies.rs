//! The same packet seen twice: on both ends of a veth pair, on the bridge between them, twice on `any`.

use crate::hash::{digest, mix};
use crate::limits::Limits;
use crate::packet::{Layer4, Packet, Timestamp};

/// Tells copies among the packets of one flow, those that carry nothing included: for whoever keeps packets themselves.
#[derive(Clone)]
pub struct Copies(Sightings<8>);

impl Default for Copies {
    fn default() -> Self {
        Self(Sightings::new())
    }
}

impl Copies {
    /// Whether the flow's next packet is one that was seen before, elsewhere or twice in one place.
    pub fn has(&mut self, packet: &Packet<'_>, limits: &Limits) -> bool {
        let fields = match &packet.layer4 {
            Layer4::Segment(fields) => {
                let numbers = u64::from(fields.sequence) << 32 | u64::from(fields.acknowledgment);
                mix(numbers, u64::from(fields.flags) << 16 | u64::from(fields.window))
            }
            Layer4::Datagram => 0,
        };
        let what = mix(digest(packet.payload) ^ u64::from(packet.from_low), fields);
        let copy = self.0.has_copy_of(what, packet, limits);
        if !copy {
            self.0.note(what, packet);
        }
        copy
    }
}

/// What tells a packet from others of its half.
#[derive(Clone, Copy)]
struct Sighting {
    what: u64,
    at: Timestamp,
    interface: u32,
    ip_id: u16,
}

/// The last packets of a flow that carried something.
#[derive(Clone)]
pub(crate) struct Sightings<const N: usize> {
    ring: [Option<Sighting>; N],
    oldest: usize,
}

impl<const N: usize> Sightings<N> {
    pub(crate) fn new() -> Self {
        Self { ring: [None; N], oldest: 0 }
    }

    /// Whether a packet was seen before whose content, sender and place are `what`.
    ///
    /// A sender gives each packet another IP identification, retransmissions included. Where it is 0 (IPv6, and IPv4
    /// that must not be fragmented), only a second capture point tells.
    pub(crate) fn has_copy_of(&self, what: u64, packet: &Packet<'_>, limits: &Limits) -> bool {
        self.ring.iter().flatten().any(|seen| {
            if seen.what != what || seen.ip_id != packet.ip_id {
                return false;
            }
            let elsewhere = seen.interface != packet.interface;
            let wait = if elsewhere { limits.copy_elsewhere } else { limits.copy_here };
            (elsewhere || seen.ip_id != 0) && !packet.at.passed(wait, seen.at)
        })
    }

    /// Remembers a packet, and forgets the oldest.
    pub(crate) fn note(&mut self, what: u64, packet: &Packet<'_>) {
        if let Some(place) = self.ring.get_mut(self.oldest) {
            *place = Some(Sighting { what, at: packet.at, interface: packet.interface, ip_id: packet.ip_id });
        }
        self.oldest = (self.oldest + 1) % N;
    }
}
