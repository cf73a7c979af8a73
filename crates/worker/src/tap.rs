//! From flows to transactions: one per shard, owned by whoever works on the shard at the moment.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use api::{Endpoint, Entry, Node, Stream, UnixNanos};
use dissect::{Context, Half, Session, Transaction};
use flow::{
    Closing, Copies, Data, Direction, FlowHandler, Gap, Opening, Ordinal, Packet, Peer, Timestamp, Transport,
};

use crate::batch::StreamKey;

/// A stream's number. Only the order of first packets over all shards tells it, so it is given between two rounds.
#[derive(Debug, Default)]
pub(crate) struct StreamNumber(AtomicU64);

impl StreamNumber {
    pub(crate) fn give(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream, which may still wait for its number.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    stream: Arc<StreamNumber>,
    transport: Transport,
}

impl Owner {
    /// The stream's key; that of none before it has its number.
    pub(crate) fn key(&self) -> StreamKey {
        key(&self.stream, self.transport)
    }
}

fn key(stream: &StreamNumber, transport: Transport) -> StreamKey {
    match stream.get() {
        0 => StreamKey::NONE,
        number => Stream { number, udp: transport == Transport::Udp }.into(),
    }
}

/// A transaction that waits for its stream's number.
pub(crate) struct Pending {
    pub(crate) stream: Arc<StreamNumber>,
    pub(crate) transport: Transport,
    pub(crate) index: u64,
    pub(crate) client: Peer,
    pub(crate) server: Peer,
    pub(crate) transaction: Transaction,
}

impl Pending {
    /// The entry, now that its stream has a number.
    pub(crate) fn into_entry(self, node: &Arc<Node>) -> Entry {
        let Transaction { protocol, request, response, error, flags, .. } = self.transaction;
        let first = |half: &Option<Half>| half.as_ref().map(|half| half.first.0);
        let (asked, answered) = (first(&request), first(&response));
        let size = |half: &Option<Half>| half.as_ref().map_or(0, |half| half.size);
        Entry {
            node: Arc::clone(node),
            stream: Stream { number: self.stream.get(), udp: self.transport == Transport::Udp },
            index: self.index,
            protocol,
            src: Endpoint::unnamed(self.client.ip, self.client.port),
            dst: Endpoint::unnamed(self.server.ip, self.server.port),
            outgoing: false,
            at: UnixNanos(asked.or(answered).unwrap_or_default()),
            elapsed_nanos: asked
                .zip(answered)
                .map_or(0, |(asked, answered)| answered.saturating_sub(asked).max(0)),
            request_size: size(&request),
            response_size: size(&response),
            request: request.map(|half| half.payload),
            response: response.map(|half| half.payload),
            error,
            flags,
        }
    }
}

/// What is kept for a flow.
pub(crate) struct TappedFlow {
    session: Session,
    stream: Arc<StreamNumber>,
    transport: Transport,
    client: Peer,
    server: Peer,
    /// Transactions so far.
    entries: u64,
    /// Its last packets, where frames are kept.
    copies: Option<Box<Copies>>,
}

/// Receives the flows of one shard.
pub(crate) struct Tap {
    limits: Arc<dissect::Limits>,
    flow_limits: Arc<flow::Limits>,
    pub(crate) counters: dissect::Counters,
    /// The frame of the packet at hand, if frames are kept, and whose it is.
    frame: Option<(u32, StreamKey)>,
    /// Frames of this round whose streams wait for their numbers.
    pub(crate) unowned: Vec<(u32, Owner)>,
    /// Streams that ended in this round, of those whose frames are kept.
    pub(crate) ended: Vec<Owner>,
    /// Flows of this round, by the packet that opened each.
    pub(crate) opened: Vec<(Ordinal, Arc<StreamNumber>)>,
    /// Transactions of this round.
    pub(crate) pending: Vec<Pending>,
    /// What a session has just yielded; empty between calls.
    yielded: Vec<Transaction>,
}

impl Tap {
    pub(crate) fn new(limits: Arc<dissect::Limits>, flow_limits: Arc<flow::Limits>) -> Self {
        Self {
            limits,
            flow_limits,
            frame: None,
            unowned: Vec::new(),
            ended: Vec::new(),
            counters: dissect::Counters::default(),
            opened: Vec::new(),
            pending: Vec::new(),
            yielded: Vec::new(),
        }
    }

    /// The next packet's frame is kept at this place.
    pub(crate) fn frame(&mut self, frame: u32) {
        self.frame = Some((frame, StreamKey::NONE));
    }

    /// Whose the last packet was, as far as it is known yet.
    pub(crate) fn owner(&mut self) -> StreamKey {
        self.frame.take().map_or(StreamKey::NONE, |(_, owner)| owner)
    }

    /// Lets a session work, then takes what it yielded.
    fn with(&mut self, flow: &mut TappedFlow, work: impl FnOnce(&mut Session, &mut Context<'_>)) {
        let mut context =
            Context { limits: &self.limits, counters: &mut self.counters, out: &mut self.yielded };
        work(&mut flow.session, &mut context);
        if !self.yielded.is_empty() {
            let TappedFlow { stream, transport, client, server, entries, .. } = flow;
            self.collect(&Ends { stream, transport: *transport, client: *client, server: *server }, entries);
        }
    }

    fn collect(&mut self, ends: &Ends<'_>, entries: &mut u64) {
        for transaction in self.yielded.drain(..) {
            let (client, server) =
                if transaction.swapped { (ends.server, ends.client) } else { (ends.client, ends.server) };
            self.pending.push(Pending {
                stream: Arc::clone(ends.stream),
                transport: ends.transport,
                index: *entries,
                client,
                server,
                transaction,
            });
            *entries += 1;
        }
    }
}

/// What of a flow outlives its session.
struct Ends<'a> {
    stream: &'a Arc<StreamNumber>,
    transport: Transport,
    client: Peer,
    server: Peer,
}

impl FlowHandler for Tap {
    type Flow = TappedFlow;

    fn open(&mut self, opening: &Opening) -> TappedFlow {
        let stream = Arc::new(StreamNumber::default());
        self.opened.push((opening.ordinal, Arc::clone(&stream)));
        let (low, high) = (opening.key.low, opening.key.high);
        let (client, server) = if opening.client_is_low { (low, high) } else { (high, low) };
        let transport = opening.key.transport;
        TappedFlow {
            session: Session::new(transport, opening.midstream),
            stream,
            transport,
            client,
            server,
            entries: 0,
            copies: None,
        }
    }

    fn packet(&mut self, flow: &mut TappedFlow, packet: &Packet<'_>) {
        let Some((frame, owner)) = &mut self.frame else { return };
        if flow.copies.get_or_insert_default().has(packet, &self.flow_limits) {
            *owner = StreamKey::COPY;
            return;
        }
        *owner = key(&flow.stream, flow.transport);
        if *owner == StreamKey::NONE {
            let stream = Owner { stream: Arc::clone(&flow.stream), transport: flow.transport };
            self.unowned.push((*frame, stream));
        }
    }

    fn data(&mut self, flow: &mut TappedFlow, data: &Data<'_>) {
        self.with(flow, |session, context| session.data(data, context));
    }

    fn gap(&mut self, flow: &mut TappedFlow, gap: &Gap) {
        self.with(flow, |session, context| session.gap(gap, context));
    }

    fn contradicted(&mut self, flow: &mut TappedFlow, direction: Direction, _: Ordinal, _: Timestamp) {
        flow.session.contradicted(direction, &mut self.counters);
    }

    fn half_close(&mut self, flow: &mut TappedFlow, direction: Direction, ordinal: Ordinal, at: Timestamp) {
        self.with(flow, |session, context| session.half_close(direction, ordinal, at, context));
    }

    fn waits(&self, flow: &TappedFlow) -> bool {
        flow.session.waits()
    }

    fn tick(&mut self, flow: &mut TappedFlow, ordinal: Ordinal, now: Timestamp) {
        self.with(flow, |session, context| session.tick(ordinal, now, context));
    }

    fn close(&mut self, flow: TappedFlow, closing: &Closing) {
        let TappedFlow { session, stream, transport, client, server, mut entries, copies } = flow;
        let mut context =
            Context { limits: &self.limits, counters: &mut self.counters, out: &mut self.yielded };
        session.close(closing, &mut context);
        self.collect(&Ends { stream: &stream, transport, client, server }, &mut entries);
        if copies.is_some() {
            self.ended.push(Owner { stream, transport });
        }
    }
}
