//! Before a flow's protocol is known: which of them do its first bytes begin?

use flow::{Direction, Transport};

use super::{Context, Session, State, inbound::Piece};
use crate::{DISSECTORS, Limits, Probe, Role, Scene, pairing::Loss};

impl Session {
    pub(super) fn probe(&mut self, piece: Piece<'_>, context: &mut Context<'_>) {
        let transport = self.transport;
        let inbound = self.inbound(piece.direction);
        if inbound.given_up {
            context.counters.bytes_unknown += piece.bytes.len() as u64;
            return;
        }
        let old = inbound.buffer.len();
        if old == 0 {
            inbound.origin = piece.origin;
        }
        let input = if old == 0 {
            piece.bytes
        } else {
            inbound.buffer.extend_from_slice(piece.bytes);
            // Geometric growth keeps the probing of one-byte segments linear; a line's end may decide at once.
            if inbound.buffer.len() < inbound.need && !piece.bytes.contains(&b'\n') {
                return;
            }
            &inbound.buffer
        };
        let len = input.len();
        match ask(transport, input, context.limits) {
            Some((index, Probe::Yes(role))) => {
                if old > 0 {
                    inbound.buffer.truncate(old);
                }
                self.begin(index, piece, role, context);
            }
            Some((_, Probe::Maybe)) if transport == Transport::Tcp && len < context.limits.probe_bytes => {
                if old == 0 {
                    inbound.buffer.extend_from_slice(piece.bytes);
                }
                inbound.need = if len < 512 { len + 1 } else { len + len / 8 };
            }
            _ if old > 0 && (inbound.adrift || inbound.refused > 0) => {
                // A message may begin where these bytes do.
                inbound.buffer = Vec::new();
                context.counters.bytes_unknown += old as u64;
                self.probe(piece, context);
            }
            _ => {
                context.counters.bytes_unknown += len as u64;
                self.refuse(piece.direction, context);
            }
        }
    }

    /// No protocol begins like this.
    fn refuse(&mut self, direction: Direction, context: &mut Context<'_>) {
        let udp = self.transport == Transport::Udp;
        let inbound = self.inbound(direction);
        inbound.buffer = Vec::new();
        inbound.need = 0;
        inbound.refused = inbound.refused.saturating_add(1);
        inbound.given_up = inbound.refused >= context.limits.probe_pieces && (udp || !inbound.adrift);
        let both = self.to_server.given_up && self.to_client.given_up;
        let one = self.to_server.given_up || self.to_client.given_up;
        if both || (udp && one) {
            self.state = State::Unknown;
            for inbound in [&mut self.to_server, &mut self.to_client] {
                context.counters.bytes_unknown += std::mem::take(&mut inbound.buffer).len() as u64;
            }
        }
    }

    fn begin(&mut self, index: usize, piece: Piece<'_>, role: Role, context: &mut Context<'_>) {
        let Some(spec) = DISSECTORS.get(index) else {
            return;
        };
        self.spoke.get_or_insert(index);
        let mut dissector = (spec.new)(self.transport, piece.direction, role);
        let scene = Scene::of(context.limits);
        let other = piece.direction.reverse();
        let inbound = self.inbound(other);
        if inbound.refused > 0 || inbound.adrift {
            // Whatever this leaves is about bytes from before the protocol was known.
            dissector.gap(other, 0, &[], &scene);
        }
        inbound.need = 0;
        let waiting =
            Piece { direction: other, ordinal: piece.ordinal, origin: inbound.origin, cut: 0, bytes: &[] };
        let waits = !inbound.buffer.is_empty();
        self.inbound(piece.direction).need = 0;
        self.state =
            State::Dissecting { dissector, requests: requests(self.transport, piece.direction, role) };
        for direction in [Direction::ToServer, Direction::ToClient] {
            if let Some((len, at)) = self.inbound(direction).lost.take() {
                self.lose(direction, Some(Loss::Gap(len)), at);
            }
        }
        if waits {
            self.advance(waiting, context);
        }
        // The other direction's bytes may have ended the protocol.
        self.receive(piece, context);
    }
}

/// The first protocol that says yes; else the first that says maybe.
fn ask(transport: Transport, input: &[u8], limits: &Limits) -> Option<(usize, Probe)> {
    let mut maybe = None;
    for (index, spec) in DISSECTORS.iter().enumerate().filter(|(_, spec)| (spec.over)(transport)) {
        match (spec.probe)(transport, input, limits) {
            Probe::Yes(role) => return Some((index, Probe::Yes(role))),
            Probe::Maybe => maybe = maybe.or(Some((index, Probe::Maybe))),
            Probe::No => {}
        }
    }
    maybe
}

/// Which direction of a TCP flow carries requests; a datagram says so itself.
fn requests(transport: Transport, direction: Direction, role: Role) -> Option<Direction> {
    match (transport, role) {
        (Transport::Udp, _) => None,
        (Transport::Tcp, Role::Request) => Some(direction),
        (Transport::Tcp, Role::Response | Role::Interim) => Some(direction.reverse()),
    }
}
