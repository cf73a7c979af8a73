//! One TCP flow, as the receiving Linux host reads it.

mod half;
mod past;
mod queue;
#[cfg(test)]
mod tests;

use half::{Half, Segment};

use crate::handler::{Close, Direction, FlowHandler};
use crate::outlet::Outlet;
use crate::packet::{Packet, TcpFields};

/// Both halves of a flow, and what concerns both.
///
/// ```text
///            data            both FINs, or RST
/// Unproven ───────▶ Open ───────────────────────▶ Closing ──▶ closed, at a tick after the linger time
///     └──────────────────── RST ──────────────────────▲
/// ```
pub(crate) struct Tcp {
    to_server: Half,
    to_client: Half,
    client_scaling: Scaling,
    server_scaling: Scaling,
    reset: bool,
    /// A SYN of this sequence number came for a flow that is in use. Only what follows tells if it was meant.
    rival: Option<(Direction, u32)>,
}

/// What the SYN of a side said about the scale of its windows.
#[derive(Clone, Copy)]
enum Scaling {
    /// It was not captured.
    Unheard,
    /// It has no such option.
    Not,
    /// By this power of two.
    By(u8),
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Unproven,
    Open,
    Closing,
}

impl Tcp {
    pub(crate) fn new() -> Self {
        Self {
            to_server: Half::new(Direction::ToServer),
            to_client: Half::new(Direction::ToClient),
            client_scaling: Scaling::Unheard,
            server_scaling: Scaling::Unheard,
            reset: false,
            rival: None,
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        if self.over().is_some() {
            Stage::Closing
        } else if self.to_server.is_fresh() && self.to_client.is_fresh() {
            Stage::Unproven
        } else {
            Stage::Open
        }
    }

    /// Why the flow is over, if it is.
    pub(crate) fn over(&self) -> Option<Close> {
        if self.to_server.is_ending() && self.to_client.is_ending() {
            Some(Close::Finished)
        } else {
            self.reset.then_some(Close::Reset)
        }
    }

    /// The sequence numbers after the last bytes of the client and of the server.
    pub(crate) fn ends(&self) -> [Option<u32>; 2] {
        [self.to_server.next_sequence(), self.to_client.next_sequence()]
    }

    /// Whether bytes wait behind a hole, so that time may give it up.
    pub(crate) fn has_hole(&self) -> bool {
        self.to_server.has_hole() || self.to_client.has_hole()
    }

    /// Whether the segment begins another connection of the same ports; this one is then closed.
    pub(crate) fn is_succeeded_by(&self, fields: &TcpFields, direction: Direction) -> bool {
        let (half, peer) = self.halves(direction);
        let first = fields.sequence.wrapping_add(1);
        match (fields.syn(), fields.ack()) {
            (true, false) => match half.base() {
                Some(base) if base == first => false,
                Some(_) => self.over().is_some() || !peer.heard || !half.is_from_handshake(),
                None => self.over().is_some() || peer.heard && !peer.is_from_handshake(),
            },
            (true, true) => match half.base() {
                Some(base) if base == first => false,
                Some(_) => self.over().is_some() || self.is_rival(direction.reverse(), fields.acknowledgment),
                None => self.is_rival(direction.reverse(), fields.acknowledgment),
            },
            (false, _) => self.is_rival(direction, fields.sequence) && !half.is_in_window(fields.sequence),
        }
    }

    fn is_rival(&self, direction: Direction, first: u32) -> bool {
        self.rival == Some((direction, first.wrapping_sub(1)))
    }

    pub(crate) fn segment<H: FlowHandler>(
        &mut self,
        packet: &Packet<'_>,
        fields: &TcpFields,
        direction: Direction,
        out: &mut Outlet<'_, H>,
    ) {
        let payload_len = packet.payload.len() as u64;
        out.counters.tcp_bytes += payload_len;
        if fields.syn() && !self.synchronise(fields, direction) {
            out.counters.syn_ignored += 1;
            out.counters.outside_window += payload_len;
            return;
        }
        if fields.ack() && !self.acknowledge(fields, direction) {
            out.counters.ack_ignored += 1;
        }
        if fields.rst() {
            out.counters.on_reset += payload_len;
            if self.halves(direction).0.is_in_window(fields.sequence) {
                self.reset = true;
            } else {
                out.counters.rst_ignored += 1;
            }
        } else {
            // Whoever goes on after a reset did not get it, or did not send it.
            out.ambiguous = self.reset;
            let sequence = fields.sequence.wrapping_add(u32::from(fields.syn()));
            self.halves_mut(direction).0.segment(&Segment { sequence, fin: fields.fin(), packet }, out);
        }
        self.to_server.watch(out);
        self.to_client.watch(out);
    }

    /// What waits behind holes, in bytes; a segment counts for some whatever it carries.
    pub(crate) fn held(&self) -> u64 {
        self.to_server.held() + self.to_client.held()
    }

    /// Looks at holes that time may have turned into gaps.
    pub(crate) fn tick<H: FlowHandler>(&mut self, out: &mut Outlet<'_, H>) {
        self.to_server.age(out);
        self.to_client.age(out);
    }

    /// Gives up the lowest hole of each half, to make room for other flows.
    pub(crate) fn force<H: FlowHandler>(&mut self, out: &mut Outlet<'_, H>) {
        self.to_server.force(out);
        self.to_client.force(out);
    }

    /// Delivers all that waits: nothing will come any more.
    pub(crate) fn finish<H: FlowHandler>(&mut self, out: &mut Outlet<'_, H>) {
        self.to_server.finish(out);
        self.to_client.finish(out);
    }

    /// A SYN, with or without ACK. False if it contradicts what is known.
    fn synchronise(&mut self, fields: &TcpFields, direction: Direction) -> bool {
        let first = fields.sequence.wrapping_add(1);
        let (half, peer) = self.halves_mut(direction);
        if half.base().is_some_and(|base| base != first) {
            if !fields.ack() {
                self.rival = Some((direction, fields.sequence));
            }
            return false;
        }
        // An answer to another SYN says nothing about this flow. (An answer to a SYN with data acknowledges that too.)
        if fields.ack() && peer.base().is_some_and(|base| fields.acknowledgment.wrapping_sub(base) > 0xffff) {
            return false;
        }
        if half.base().is_none() {
            half.start(first);
        }
        half.heard = true;
        if fields.ack() && peer.base().is_none() {
            peer.start(fields.acknowledgment);
        }
        *match direction {
            Direction::ToServer => &mut self.client_scaling,
            Direction::ToClient => &mut self.server_scaling,
        } = fields.scale.map_or(Scaling::Not, Scaling::By);
        true
    }

    fn acknowledge(&mut self, fields: &TcpFields, direction: Direction) -> bool {
        let window = self.window(fields, direction);
        let (half, peer) = self.halves_mut(direction);
        // The third packet of a handshake tells what the second, not captured, would have told.
        if peer.base().is_none()
            && half.is_from_handshake()
            && half.is_fresh()
            && half.base() == Some(fields.sequence)
            && !fields.rst()
        {
            peer.start(fields.acknowledgment);
        }
        peer.acknowledge(fields.acknowledgment, window)
    }

    /// How many bytes the sender of this segment will take: unknown without both SYNs (RFC 7323 §2.2).
    fn window(&self, fields: &TcpFields, direction: Direction) -> Option<i64> {
        let (own, other) = match direction {
            Direction::ToServer => (self.client_scaling, self.server_scaling),
            Direction::ToClient => (self.server_scaling, self.client_scaling),
        };
        let shift = match (own, other) {
            (Scaling::Unheard, _) | (_, Scaling::Unheard) => return None,
            (Scaling::By(shift), Scaling::By(_)) if !fields.syn() => shift,
            _ => 0,
        };
        Some(i64::from(fields.window) << shift.min(14))
    }

    /// What goes this way, and what goes the other.
    fn halves(&self, direction: Direction) -> (&Half, &Half) {
        match direction {
            Direction::ToServer => (&self.to_server, &self.to_client),
            Direction::ToClient => (&self.to_client, &self.to_server),
        }
    }

    fn halves_mut(&mut self, direction: Direction) -> (&mut Half, &mut Half) {
        match direction {
            Direction::ToServer => (&mut self.to_server, &mut self.to_client),
            Direction::ToClient => (&mut self.to_client, &mut self.to_server),
        }
    }
}
