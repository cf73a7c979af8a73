//! The same packet seen twice: on both ends of a veth pair, on the bridge between them, twice on `any`.

use crate::limits::Limits;
use crate::packet::{Packet, Timestamp};

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
