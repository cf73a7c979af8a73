//! One flow: its bytes become messages, its messages transactions.

mod inbound;
mod probing;

use api::{Fault, FaultKind};
use flow::{Close, Closing, Data, Direction, Gap, Ordinal, Timestamp, Transport};

use self::inbound::{Cover, Inbound, Origin, Piece};
use crate::{
    Counters, Dissector, Limits, Message, Role, Scene, Step, Transaction,
    dissector::Ending,
    pairing::{Loss, Pairing, Sink, Stamped},
};

/// What a call may use and add to.
pub struct Context<'a> {
    /// The limits to keep.
    pub limits: &'a Limits,
    /// What is counted.
    pub counters: &'a mut Counters,
    /// Where transactions go, in the order in which they were complete.
    pub out: &'a mut Vec<Transaction>,
}

/// The dissection of one flow, both directions. The only place that buffers.
///
/// ```text
///             a probe says yes
///   Probing ────────────────────▶ Dissecting
///      │  ▲                           │
///      │  └──── hand-over (tunnel) ───┘
///      └── no probe says maybe any more ──▶ Unknown ◀── upgrade to what we do not know
/// ```
pub struct Session {
    transport: Transport,
    state: State,
    /// The first protocol that was found, as its place in `DISSECTORS`.
    spoke: Option<usize>,
    silent: bool,
    to_server: Inbound,
    to_client: Inbound,
    pairing: Pairing,
}

enum State {
    Probing,
    Dissecting { dissector: Box<dyn Dissector>, requests: Option<Direction> },
    Unknown,
}

/// Why stepping stopped.
enum Stop {
    Hungry,
    Error {
        limit: bool,
    },
    HandOver,
    Opaque,
    /// A bug of ours.
    Stuck,
}

impl Session {
    /// A flow that begins; `midstream` if its start was not captured.
    pub fn new(transport: Transport, midstream: bool) -> Self {
        let inbound = || Inbound { adrift: midstream, ..Inbound::default() };
        Self {
            transport,
            state: State::Probing,
            spoke: None,
            silent: true,
            to_server: inbound(),
            to_client: inbound(),
            pairing: Pairing::new(midstream),
        }
    }

    /// Bytes in order; a datagram whole.
    pub fn data(&mut self, data: &Data<'_>, context: &mut Context<'_>) {
        self.silent = false;
        let origin = Origin { at: data.at, overlap: data.overlap, ambiguous: data.ambiguous };
        self.receive(
            Piece {
                direction: data.direction,
                ordinal: data.ordinal,
                origin,
                cut: data.cut,
                bytes: data.bytes,
            },
            context,
        );
    }

    /// Bytes of TCP that will never come.
    pub fn gap(&mut self, gap: &Gap, context: &mut Context<'_>) {
        let direction = gap.direction;
        let rest = std::mem::take(&mut self.inbound(direction).buffer);
        match &mut self.state {
            State::Unknown => {}
            State::Probing => {
                context.counters.bytes_unknown += rest.len() as u64;
                let inbound = self.inbound(direction);
                inbound.adrift = true;
                inbound.lost = Some((inbound.lost.map_or(0, |(before, _)| before) + gap.len, gap.at));
                (inbound.refused, inbound.given_up) = (0, false);
            }
            State::Dissecting { dissector, .. } => {
                let scene = Scene::of(context.limits);
                let ending = dissector.gap(direction, gap.len, &rest, &scene);
                let lost = ending.lost.then_some(Loss::Gap(gap.len));
                self.settle(direction, &rest, ending, gap.ordinal, context);
                self.lose(direction, lost, gap.at);
            }
        }
    }

    /// A later copy of bytes that were already delivered differs from them.
    ///
    /// Which message they belong to is not known, so every one of this direction that is not an entry yet is flagged:
    /// the one being read, and those that wait for their partner. If there is none, that is counted.
    pub fn contradicted(&mut self, direction: Direction, counters: &mut Counters) {
        let inbound = self.inbound(direction);
        let mut flagged = !inbound.buffer.is_empty();
        if flagged {
            inbound.origin.overlap = true;
            inbound.origin.ambiguous = true;
        }
        if let Some(cover) = &mut inbound.open {
            cover.overlap = true;
            cover.ambiguous = true;
            flagged = true;
        }
        flagged |= self.pairing.contradicted(direction);
        if matches!(self.state, State::Dissecting { .. }) && !flagged {
            counters.contradicted_late += 1;
        }
    }

    /// One side will send no more.
    pub fn half_close(
        &mut self,
        direction: Direction,
        ordinal: Ordinal,
        _at: Timestamp,
        context: &mut Context<'_>,
    ) {
        self.end(direction, true, ordinal, context);
    }

    /// Whether a request waits for its response, or a response for its request.
    pub fn waits(&self) -> bool {
        self.pairing.waits()
    }

    /// A second of capture time has passed.
    pub fn tick(&mut self, ordinal: Ordinal, now: Timestamp, context: &mut Context<'_>) {
        let answering = match &self.state {
            State::Dissecting { requests: Some(direction), .. } => {
                let responses = match direction {
                    Direction::ToServer => &self.to_client,
                    Direction::ToClient => &self.to_server,
                };
                responses.open.is_some() || !responses.buffer.is_empty()
            }
            _ => false,
        };
        let answer = match self.transport {
            Transport::Tcp => context.limits.answer_tcp,
            Transport::Udp => context.limits.answer_udp,
        };
        self.pairing.tick(now, answer, answering, &mut sink(context, ordinal));
    }

    /// The flow ends: whatever is open becomes an entry.
    pub fn close(mut self, closing: &Closing, context: &mut Context<'_>) {
        let clean = closing.why == Close::Finished;
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.end(direction, clean, closing.ordinal, context);
        }
        self.pairing.close(closing.why, &mut sink(context, closing.ordinal));
        let row = match self.spoke.and_then(|index| context.counters.flows.get_mut(index)) {
            Some(row) => row,
            None if self.silent => &mut context.counters.flows_silent,
            None => &mut context.counters.flows_unknown,
        };
        *row += 1;
    }

    fn receive(&mut self, piece: Piece<'_>, context: &mut Context<'_>) {
        match self.state {
            State::Unknown => context.counters.bytes_unknown += piece.bytes.len() as u64,
            State::Probing => self.probe(piece, context),
            State::Dissecting { .. } => self.advance(piece, context),
        }
    }

    fn advance(&mut self, piece: Piece<'_>, context: &mut Context<'_>) {
        let direction = piece.direction;
        let inbound = self.inbound(direction);
        let mut buffer = std::mem::take(&mut inbound.buffer);
        let old = buffer.len();
        if old > 0 {
            buffer.extend_from_slice(piece.bytes);
            if buffer.len() < inbound.need {
                inbound.buffer = buffer;
                inbound.origin.overlap |= piece.origin.overlap;
                inbound.origin.ambiguous |= piece.origin.ambiguous;
                return;
            }
        }
        let input = if old > 0 { &buffer } else { piece.bytes };
        let (consumed, stop) = self.step_through(piece, input, old, context);
        let rest = input.get(consumed..).unwrap_or_default();
        let udp = self.transport == Transport::Udp;
        let inbound = self.inbound(direction);
        match stop {
            Stop::Hungry if udp && !rest.is_empty() => {
                context.counters.malformed += 1;
                context.counters.bytes_skipped += rest.len() as u64;
            }
            Stop::Hungry if rest.len() > context.limits.buffer_bytes => {
                self.abandon(piece, rest, true, context);
            }
            Stop::Hungry => {
                if consumed >= old {
                    inbound.origin = piece.origin;
                } else {
                    inbound.origin.overlap |= piece.origin.overlap;
                    inbound.origin.ambiguous |= piece.origin.ambiguous;
                }
                if old == 0 {
                    inbound.buffer.extend_from_slice(rest);
                } else if rest.is_empty() {
                    // An idle flow must not keep what one message needed.
                } else {
                    buffer.drain(..consumed);
                    inbound.buffer = buffer;
                }
            }
            Stop::Error { .. } if piece.cut > 0 => {
                context.counters.heads_unfinished += 1;
                context.counters.bytes_unfinished += rest.len() as u64;
            }
            Stop::Error { limit } => self.abandon(piece, rest, limit, context),
            Stop::Opaque | Stop::Stuck => {
                debug_assert!(
                    matches!(stop, Stop::Opaque),
                    "a dissector consumed nothing, or more than there is"
                );
                context.counters.bytes_unknown += rest.len() as u64;
                self.state = State::Unknown;
                for inbound in [&mut self.to_server, &mut self.to_client] {
                    inbound.open = None;
                    context.counters.bytes_unknown += std::mem::take(&mut inbound.buffer).len() as u64;
                }
            }
            Stop::HandOver => {
                self.state = State::Probing;
                for inbound in [&mut self.to_server, &mut self.to_client] {
                    *inbound = Inbound {
                        buffer: std::mem::take(&mut inbound.buffer),
                        origin: inbound.origin,
                        ..Inbound::default()
                    };
                }
                let rest = rest.to_vec();
                self.receive(Piece { bytes: &rest, ..piece }, context);
            }
        }
    }

    /// Steps on `input`, of which the first `old` bytes were there before `piece`.
    fn step_through(
        &mut self,
        piece: Piece<'_>,
        input: &[u8],
        old: usize,
        context: &mut Context<'_>,
    ) -> (usize, Stop) {
        let direction = piece.direction;
        let State::Dissecting { dissector, .. } = &mut self.state else {
            return (0, Stop::Stuck);
        };
        let inbound = match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        };
        inbound.need = 0;
        let mut at = 0;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            let begins = if at < old { inbound.origin } else { piece.origin };
            let expected = match inbound.open {
                None => self.pairing.expected(direction, begins.at),
                Some(_) => None,
            };
            let scene = Scene { expected, cut: piece.cut, ..Scene::of(context.limits) };
            let (step, message) = match dissector.step(direction, rest, &scene) {
                Ok(Step::Message { consumed, message }) => (consumed, Some(message)),
                Ok(Step::Take { consumed }) => (consumed, None),
                Ok(Step::Skip { consumed }) if (1..=rest.len()).contains(&consumed) => {
                    // Where nothing is found from older bytes on, a message may begin where the new ones do.
                    let all = consumed == rest.len() && at < old && old < input.len();
                    let consumed = if all { old - at } else { consumed };
                    context.counters.bytes_skipped += consumed as u64;
                    at += consumed;
                    continue;
                }
                Ok(Step::NeedMore { at_least }) => {
                    inbound.need = at_least;
                    return (at, Stop::Hungry);
                }
                Ok(Step::HandOver) => return (at, Stop::HandOver),
                Ok(Step::Opaque) => return (at, Stop::Opaque),
                Ok(Step::Skip { .. }) => return (at, Stop::Stuck),
                Err(error) => return (at, Stop::Error { limit: error.limit }),
            };
            if step == 0 || step > rest.len() {
                return (at, Stop::Stuck);
            }
            let ends = if at + step > old { piece.origin } else { inbound.origin };
            context.counters.bytes_dissected += step as u64;
            inbound.open.get_or_insert_with(|| Cover::new(begins)).extend(step as u64, begins, ends);
            at += step;
            if let Some(mut message) = message {
                message.truncated |= piece.cut > 0;
                message.gap += u64::from(piece.cut);
                let cover = inbound.open.take().unwrap_or_else(|| Cover::new(begins));
                deliver(&mut self.pairing, direction, cover, message, piece.ordinal, context);
            }
        }
        (at, Stop::Hungry)
    }

    /// The bytes of one direction make no sense from here on.
    fn abandon(&mut self, piece: Piece<'_>, rest: &[u8], limit: bool, context: &mut Context<'_>) {
        let direction = piece.direction;
        let row = if limit { &mut context.counters.refused } else { &mut context.counters.malformed };
        *row += 1;
        context.counters.bytes_skipped += rest.len() as u64;
        let inbound = self.inbound(direction);
        inbound.open = None;
        if let State::Dissecting { dissector, .. } = &mut self.state {
            let scene = Scene::of(context.limits);
            dissector.gap(direction, 0, rest, &scene);
        }
        self.lose(direction, Some(Loss::Malformed), piece.origin.at);
    }

    fn end(&mut self, direction: Direction, clean: bool, ordinal: Ordinal, context: &mut Context<'_>) {
        let inbound = self.inbound(direction);
        let rest = std::mem::take(&mut inbound.buffer);
        let State::Dissecting { dissector, .. } = &mut self.state else {
            context.counters.bytes_unknown += rest.len() as u64;
            return;
        };
        let scene = Scene::of(context.limits);
        let mut ending = dissector.end(direction, &rest, clean, &scene);
        if let Some(message) = ending.message.as_mut().filter(|message| message.truncated) {
            message.error.get_or_insert(Fault {
                kind: FaultKind::Connection,
                message: "the connection, or the capture, ended inside a message",
            });
        }
        self.settle(direction, &rest, ending, ordinal, context);
    }

    /// Accounts for `rest`, which was not consumed, and takes what the dissector made of the end.
    fn settle(
        &mut self,
        direction: Direction,
        rest: &[u8],
        ending: Ending,
        ordinal: Ordinal,
        context: &mut Context<'_>,
    ) {
        let inbound = self.inbound(direction);
        inbound.need = 0;
        let origin = inbound.origin;
        if let Some(message) = ending.message {
            let mut cover = inbound.open.take().unwrap_or_else(|| Cover::new(origin));
            cover.extend(rest.len() as u64, origin, origin);
            context.counters.bytes_dissected += rest.len() as u64;
            deliver(&mut self.pairing, direction, cover, message, ordinal, context);
        } else if !rest.is_empty() {
            context.counters.heads_unfinished += 1;
            context.counters.bytes_unfinished += rest.len() as u64;
        }
    }

    fn lose(&mut self, direction: Direction, loss: Option<Loss>, at: Timestamp) {
        if let (Some(loss), State::Dissecting { requests, .. }) = (loss, &self.state) {
            let requests = requests.is_none_or(|requests| requests == direction);
            self.pairing.lost(requests, loss, at);
        }
    }

    fn inbound(&mut self, direction: Direction) -> &mut Inbound {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

fn deliver(
    pairing: &mut Pairing,
    direction: Direction,
    cover: Cover,
    mut message: Message,
    ordinal: Ordinal,
    context: &mut Context<'_>,
) {
    message.ambiguous |= cover.ambiguous;
    let role = message.role;
    let size = cover.size + message.gap;
    let Cover { first, last, overlap, .. } = cover;
    let stamped = Stamped { message, direction, first, last, size, overlap };
    let sink = &mut sink(context, ordinal);
    match role {
        Role::Request => pairing.request(stamped, sink),
        Role::Response => pairing.response(stamped, sink),
        Role::Interim => sink.counters.interim += 1,
    }
}

fn sink<'a>(context: &'a mut Context<'_>, ordinal: Ordinal) -> Sink<'a> {
    Sink { limits: context.limits, counters: context.counters, out: context.out, ordinal }
}
