//! The flows of one shard: found or opened by each packet, expired at ticks, evicted when there are too many.

mod ended;
mod order;
mod shed;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ended::Ended;
use order::{Order, Roster};
pub use shed::Share;
use shed::Shed;

use crate::counters::FlowCounters;
use crate::handler::{Close, Closing, Direction, FlowHandler, Opening};
use crate::hash::MixedMap;
use crate::limits::Limits;
use crate::outlet::Outlet;
use crate::packet::{FlowKey, Layer4, Ordinal, Packet, TcpFields, Timestamp};
use crate::tcp::{Stage, Tcp};
use crate::udp::Udp;

/// The flows of one shard.
///
/// It closes flows in three ways. *Expiry*, only at ticks: each kind of flow has its idle time, kept to a second.
/// *Succession*: the ports are used for another connection. *Eviction*, when there are [`Limits::flows`]: first those
/// that are over anyway; then, while they are more than a quarter of all, the oldest of those that never delivered
/// anything (a flood of half-open flows can thus only evict itself); then, where the client of the new flow has more than
/// a quarter of them, one of that client's own; then the one that was silent for the longest.
///
/// Under overload it [sheds](FlowTable::shed) new flows, which are counted and make no room for themselves.
pub struct FlowTable<H: FlowHandler> {
    limits: Limits,
    counters: FlowCounters,
    index: MixedMap<FlowKey, u32>,
    /// Boxed, so that a table that grows moves pointers and leaves no room unused.
    flows: Vec<Option<Box<Entry<H::Flow>>>>,
    free: Vec<u32>,
    order: Order<{ Kind::ALL.len() }>,
    /// Flows whose handler waits for an answer.
    waiting: Roster,
    /// Flows with bytes behind a hole.
    holed: Roster,
    /// Where the next sample of flows, and of those with holes, is taken.
    sampled: usize,
    ended: Ended,
    shed: Shed,
    /// Of the flows that begin now.
    share: Share,
    now: Timestamp,
}

struct Entry<F> {
    key: FlowKey,
    client_is_low: bool,
    opened: Ordinal,
    state: State,
    flow: F,
}

enum State {
    Tcp(Box<Tcp>),
    Udp(Udp),
}

/// Kinds of flows, by how long they may be idle; each has a list in the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Closing,
    UnprovenTcp,
    UnprovenUdp,
    Tcp,
    Udp,
}

/// How exactly idle times are kept: a flow moves in its list once per second at most.
const GRAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// How many flows are looked at to find one that makes room.
const SAMPLE: usize = 16;

impl<H: FlowHandler> FlowTable<H> {
    /// A table that keeps within `limits`.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            counters: FlowCounters::default(),
            index: MixedMap::default(),
            flows: Vec::new(),
            free: Vec::new(),
            order: Order::new(),
            waiting: Roster::default(),
            holed: Roster::default(),
            sampled: 0,
            ended: Ended::new(limits.ended, limits.tcp_remember),
            shed: Shed::new(),
            share: Share::NONE,
            now: Timestamp(i64::MIN),
        }
    }

    /// Takes the next packet of the shard.
    pub fn packet(&mut self, packet: &Packet<'_>, handler: &mut H) {
        self.now = self.now.max(packet.at);
        match &packet.layer4 {
            Layer4::Segment(fields) => {
                self.counters.segments += 1;
                self.segment(packet, fields, handler);
            }
            Layer4::Datagram => {
                self.counters.datagrams += 1;
                let slot = match self.index.get(&packet.key).copied() {
                    Some(slot) => slot,
                    None if self.is_shed(packet) => return,
                    None => self.open(packet, packet.from_low, false, State::Udp(Udp::new()), handler),
                };
                self.pass(slot, packet, handler);
            }
        }
    }

    /// A second of capture time has passed: expires flows and holes, and tells those that wait.
    pub fn tick(&mut self, ordinal: Ordinal, now: Timestamp, handler: &mut H) {
        self.now = self.now.max(now);
        self.ended.tick(self.now);
        self.shed.tick(self.now, &self.limits);
        let moment = Moment { ordinal, at: self.now };
        for idx in (0..self.holed.len()).rev() {
            if let Some(slot) = self.holed.at(idx) {
                self.with(slot, moment, handler, Tcp::tick);
            }
        }
        for kind in Kind::ALL {
            while let Some((slot, since)) = self.order.first(kind as usize)
                && self.now.passed(kind.idle(&self.limits), since)
            {
                self.close(slot, Close::Idle, moment, handler);
            }
        }
        for idx in (0..self.waiting.len()).rev() {
            let Some(slot) = self.waiting.at(idx) else { continue };
            if let Some(Some(entry)) = self.flows.get_mut(slot as usize) {
                // What it waited for may have been given up since.
                if handler.waits(&entry.flow) {
                    handler.tick(&mut entry.flow, ordinal, self.now);
                }
                let waits = handler.waits(&entry.flow);
                self.waiting.set(slot, waits);
            }
        }
    }

    /// The capture ended: closes every flow, in the order in which they were opened.
    pub fn finish(&mut self, ordinal: Ordinal, at: Timestamp, handler: &mut H) {
        self.now = self.now.max(at);
        let moment = Moment { ordinal, at: self.now };
        let open =
            self.flows.iter().zip(0..).filter_map(|(entry, slot)| Some((entry.as_ref()?.opened, slot)));
        let mut open: Vec<(Ordinal, u32)> = open.collect();
        open.sort_unstable();
        for (_, slot) in open {
            self.close(slot, Close::EndOfCapture, moment, handler);
        }
    }

    /// From now on this share of new flows is shed. One that is shed stays so until it ends or falls silent, and one
    /// that is not is read to its end, whatever the share is then.
    pub fn shed(&mut self, share: Share) {
        self.share = share;
    }

    /// What became of the packets so far.
    pub fn counters(&self) -> &FlowCounters {
        &self.counters
    }

    /// How many flows are open.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    fn segment(&mut self, packet: &Packet<'_>, fields: &TcpFields, handler: &mut H) {
        let mut found = self.index.get(&packet.key).copied();
        if let Some(slot) = found
            && let Some(Some(entry)) = self.flows.get(slot as usize)
            && let State::Tcp(tcp) = &entry.state
            && tcp.is_succeeded_by(fields, entry.direction(packet))
        {
            self.close(slot, Close::Reused, Moment { ordinal: packet.ordinal, at: packet.at }, handler);
            found = None;
        }
        let slot = match found {
            Some(slot) => slot,
            None if self.shed.follow(packet, self.now) => return self.count_shed(packet),
            None if self.is_stray(packet, fields) => return,
            None if self.share.includes(&packet.key) => return self.begin_shed(packet),
            None => {
                let is_answer = fields.syn() && fields.ack();
                let state = State::Tcp(Box::new(Tcp::new()));
                self.open(packet, packet.from_low != is_answer, !fields.syn(), state, handler)
            }
        };
        self.pass(slot, packet, handler);
        self.bound_held(slot, packet, handler);
    }

    /// Whether a datagram of no open flow is shed; if so, it is counted.
    fn is_shed(&mut self, packet: &Packet<'_>) -> bool {
        if self.shed.follow(packet, self.now) {
            self.count_shed(packet);
            return true;
        }
        let shed = self.share.includes(&packet.key);
        if shed {
            self.begin_shed(packet);
        }
        shed
    }

    fn begin_shed(&mut self, packet: &Packet<'_>) {
        self.counters.shed_flows += 1;
        self.counters.shed_forgotten += self.shed.begin(packet, self.now, &self.limits);
        self.count_shed(packet);
    }

    fn count_shed(&mut self, packet: &Packet<'_>) {
        let len = packet.payload.len() as u64;
        match packet.layer4 {
            Layer4::Segment(_) => {
                self.counters.tcp_bytes += len;
                self.counters.shed_segments += 1;
                self.counters.shed_bytes += len;
            }
            Layer4::Datagram => {
                self.counters.shed_datagrams += 1;
                self.counters.shed_datagram_bytes += len;
            }
        }
    }

    /// Whether nothing is to be opened for a segment without a flow; if so, it is counted.
    fn is_stray(&mut self, packet: &Packet<'_>, fields: &TcpFields) -> bool {
        let len = packet.payload.len() as u64;
        if fields.rst() {
            self.counters.on_reset += len;
        } else if fields.syn() {
            return false;
        } else if len > 0 || packet.cut > 0 {
            if !self.ended.repeats(packet, fields) {
                return false;
            }
            self.counters.after_close += len;
        }
        self.counters.strays += 1;
        self.counters.tcp_bytes += len;
        true
    }

    /// Opens a flow for `packet`, making room first.
    fn open(
        &mut self,
        packet: &Packet<'_>,
        client_is_low: bool,
        midstream: bool,
        state: State,
        handler: &mut H,
    ) -> u32 {
        let moment = Moment { ordinal: packet.ordinal, at: packet.at };
        while self.index.len() >= self.limits.flows.max(1)
            && let Some(slot) = self.victim(if client_is_low { packet.key.low } else { packet.key.high }.ip)
        {
            self.close(slot, Close::Evicted, moment, handler);
        }
        *match &state {
            State::Tcp(_) => &mut self.counters.tcp_opened,
            State::Udp(_) => &mut self.counters.udp_opened,
        } += 1;
        self.counters.midstream += u64::from(midstream);
        let flow = handler.open(&Opening {
            key: packet.key,
            client_is_low,
            ordinal: packet.ordinal,
            at: packet.at,
            interface: packet.interface,
            outer: packet.outer,
            midstream,
        });
        let entry = Box::new(Entry { key: packet.key, client_is_low, opened: packet.ordinal, state, flow });
        let slot = self.free.pop().unwrap_or_else(|| {
            self.flows.push(None);
            self.flows.len() as u32 - 1
        });
        if let Some(place) = self.flows.get_mut(slot as usize) {
            *place = Some(entry);
        }
        self.index.insert(packet.key, slot);
        slot
    }

    /// Hands the packet to its flow, and puts the flow where it belongs after that.
    fn pass(&mut self, slot: u32, packet: &Packet<'_>, handler: &mut H) {
        let Some(Some(entry)) = self.flows.get_mut(slot as usize) else { return };
        let direction = entry.direction(packet);
        handler.packet(&mut entry.flow, packet);
        let mut out = Outlet {
            handler,
            flow: &mut entry.flow,
            counters: &mut self.counters,
            limits: &self.limits,
            ordinal: packet.ordinal,
            at: packet.at,
            ambiguous: false,
        };
        match (&mut entry.state, &packet.layer4) {
            (State::Tcp(tcp), Layer4::Segment(fields)) => {
                tcp.segment(packet, fields, direction, &mut out);
                self.holed.set(slot, tcp.has_hole());
            }
            (State::Udp(udp), _) => udp.datagram(packet, direction, &mut out),
            (State::Tcp(_), Layer4::Datagram) => {}
        }
        self.waiting.set(slot, handler.waits(&entry.flow));
        let kind = entry.kind();
        let stays = self
            .order
            .place(slot)
            .is_some_and(|(list, since)| list == kind as usize && !self.now.passed(GRAIN, since));
        if !stays {
            self.order.put(slot, kind as usize, self.now);
        }
    }

    /// Gives up holes while too much waits behind holes in the shard: of the flow at hand, or of another of a few that
    /// holds more. Who holds much is thus met soon, and who holds little seldom, without a look at all.
    fn bound_held(&mut self, slot: u32, packet: &Packet<'_>, handler: &mut H) {
        let moment = Moment { ordinal: packet.ordinal, at: packet.at };
        while self.counters.held > self.limits.shard_bytes
            || self.counters.held_segments > self.limits.shard_segments
        {
            let some = (0..SAMPLE.min(self.holed.len()))
                .filter_map(|step| self.holed.at(self.sampled.wrapping_add(step) % self.holed.len()));
            let heaviest = some.chain([slot]).map(|slot| (self.held_of(slot), slot)).max();
            self.sampled = self.sampled.wrapping_add(SAMPLE);
            // What the packet at hand added can be given up, so that this ends within the limits.
            let Some((1.., slot)) = heaviest else { return };
            self.with(slot, moment, handler, Tcp::force);
        }
    }

    /// What waits behind holes of a flow, in bytes; a segment counts for some whatever it carries.
    fn held_of(&self, slot: u32) -> u64 {
        match self.flows.get(slot as usize) {
            Some(Some(entry)) => match &entry.state {
                State::Tcp(tcp) => tcp.held(),
                State::Udp(_) => 0,
            },
            _ => 0,
        }
    }

    /// Lets a TCP flow do something about its holes.
    fn with(
        &mut self,
        slot: u32,
        moment: Moment,
        handler: &mut H,
        act: impl FnOnce(&mut Tcp, &mut Outlet<'_, H>),
    ) {
        let Some(Some(entry)) = self.flows.get_mut(slot as usize) else { return };
        let State::Tcp(tcp) = &mut entry.state else { return };
        act(tcp, &mut moment.outlet(handler, &mut entry.flow, &mut self.counters, &self.limits));
        self.holed.set(slot, tcp.has_hole());
        self.waiting.set(slot, handler.waits(&entry.flow));
    }

    /// Which flow makes room for another of this client.
    fn victim(&mut self, client: IpAddr) -> Option<u32> {
        let greedy = self.own_of_greedy(client);
        let oldest = |kinds: &[Kind]| {
            kinds
                .iter()
                .filter_map(|&kind| self.order.first(kind as usize))
                .min_by_key(|&(_, since)| since)
                .map(|(slot, _)| slot)
        };
        let unproven = [Kind::UnprovenTcp, Kind::UnprovenUdp];
        let n_unproven: usize = unproven.iter().map(|&kind| self.order.len(kind as usize)).sum();
        oldest(&[Kind::Closing])
            .or_else(|| (n_unproven > self.limits.flows / 4).then(|| oldest(&unproven)).flatten())
            .or(greedy)
            .or_else(|| oldest(&[Kind::Tcp, Kind::Udp]))
            .or_else(|| oldest(&unproven))
    }

    /// If more than a quarter of a sample of the flows are this client's: that of them which was silent for the longest.
    fn own_of_greedy(&mut self, client: IpAddr) -> Option<u32> {
        let (all, from) = (self.flows.len(), self.sampled);
        self.sampled = from.wrapping_add(SAMPLE);
        let slots = (0..SAMPLE.min(all)).map(|step| (from.wrapping_add(step) % all) as u32);
        let is_own = |slot: &u32| {
            let entry = self.flows.get(*slot as usize).and_then(Option::as_deref);
            entry.is_some_and(|it| if it.client_is_low { it.key.low } else { it.key.high }.ip == client)
        };
        let own: Vec<u32> = slots.filter(is_own).collect();
        let longest = own.iter().filter_map(|&slot| Some((self.order.place(slot)?.1, slot))).min();
        longest.filter(|_| own.len() > SAMPLE.min(all) / 4).map(|(_, slot)| slot)
    }

    fn close(&mut self, slot: u32, why: Close, moment: Moment, handler: &mut H) {
        let Some(mut entry) = self.flows.get_mut(slot as usize).and_then(Option::take) else { return };
        let mut why = why;
        if let State::Tcp(tcp) = &mut entry.state {
            tcp.finish(&mut moment.outlet(handler, &mut entry.flow, &mut self.counters, &self.limits));
            if let Some(over) = tcp.over() {
                why = over;
                let [client, server] = tcp.ends();
                let ends = if entry.client_is_low { [client, server] } else { [server, client] };
                self.counters.ended_forgotten += self.ended.note(entry.key, self.now, ends);
            }
        }
        *match why {
            Close::Finished => &mut self.counters.closed_finished,
            Close::Reset => &mut self.counters.closed_reset,
            Close::Idle => &mut self.counters.closed_idle,
            Close::Evicted => &mut self.counters.closed_evicted,
            Close::Reused => &mut self.counters.closed_reused,
            Close::EndOfCapture => &mut self.counters.closed_at_end,
        } += 1;
        self.index.remove(&entry.key);
        self.order.remove(slot);
        self.waiting.set(slot, false);
        self.holed.set(slot, false);
        self.free.push(slot);
        handler.close(entry.flow, &Closing { ordinal: moment.ordinal, at: moment.at, why });
    }
}

/// What makes things happen: a packet or a tick.
#[derive(Clone, Copy)]
struct Moment {
    ordinal: Ordinal,
    at: Timestamp,
}

impl Moment {
    fn outlet<'a, H: FlowHandler>(
        self,
        handler: &'a mut H,
        flow: &'a mut H::Flow,
        counters: &'a mut FlowCounters,
        limits: &'a Limits,
    ) -> Outlet<'a, H> {
        Outlet { handler, flow, counters, limits, ordinal: self.ordinal, at: self.at, ambiguous: false }
    }
}

impl<F> Entry<F> {
    fn direction(&self, packet: &Packet<'_>) -> Direction {
        if packet.from_low == self.client_is_low { Direction::ToServer } else { Direction::ToClient }
    }

    fn kind(&self) -> Kind {
        match &self.state {
            State::Tcp(tcp) => match tcp.stage() {
                Stage::Unproven => Kind::UnprovenTcp,
                Stage::Open => Kind::Tcp,
                Stage::Closing => Kind::Closing,
            },
            State::Udp(udp) if udp.answered() => Kind::Udp,
            State::Udp(_) => Kind::UnprovenUdp,
        }
    }
}

impl Kind {
    /// Those that are missed least first.
    const ALL: [Self; 5] = [Self::Closing, Self::UnprovenTcp, Self::UnprovenUdp, Self::Tcp, Self::Udp];

    fn idle(self, limits: &Limits) -> std::time::Duration {
        match self {
            Self::Closing => limits.tcp_linger,
            Self::UnprovenTcp => limits.tcp_unproven,
            Self::UnprovenUdp => limits.udp_unproven,
            Self::Tcp => limits.tcp_idle,
            Self::Udp => limits.udp_idle,
        }
    }
}
