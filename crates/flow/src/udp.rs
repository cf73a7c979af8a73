//! UDP: a flow is whatever goes back and forth between two ends.

use crate::copies::Sightings;
use crate::handler::{Direction, FlowHandler};
use crate::hash::{digest, mix};
use crate::outlet::Outlet;
use crate::packet::Packet;

/// What is known of a UDP flow.
pub(crate) struct Udp {
    heard: [bool; 2],
    sightings: Sightings<4>,
}

impl Udp {
    pub(crate) fn new() -> Self {
        Self { heard: [false; 2], sightings: Sightings::new() }
    }

    pub(crate) fn datagram<H: FlowHandler>(
        &mut self,
        packet: &Packet<'_>,
        direction: Direction,
        out: &mut Outlet<'_, H>,
    ) {
        let [client, server] = &mut self.heard;
        *(if direction == Direction::ToServer { client } else { server }) = true;
        let what = mix(digest(packet.payload), u64::from(packet.from_low));
        if self.sightings.has_copy_of(what, packet, out.limits) {
            out.counters.datagrams_copied += 1;
            return;
        }
        self.sightings.note(what, packet);
        out.datagram(direction, packet.payload, packet.cut);
    }

    /// Whether both ends spoke.
    pub(crate) fn answered(&self) -> bool {
        self.heard == [true, true]
    }
}
