//! What is run on each input.

use dissect::{Context, Counters, Session};
use flow::{
    Close, Closing, Data, Decoder, Direction, FlowCounters, FlowHandler, FlowKey, FlowTable, Frame, Gap,
    Layer4, Limits, Opening, Ordinal, Packet, Peer, TcpFields, Timestamp, Transport,
};

/// Takes what it gets, and checks that it is told in good order.
#[derive(Default)]
struct Sink {
    bytes: u64,
}

impl FlowHandler for Sink {
    /// Which directions have ended.
    type Flow = [bool; 2];

    fn open(&mut self, _: &Opening) -> Self::Flow {
        [false; 2]
    }

    fn data(&mut self, flow: &mut Self::Flow, data: &Data<'_>) {
        assert!(!flow[data.direction as usize], "bytes after the end");
        self.bytes += data.bytes.len() as u64;
    }

    fn gap(&mut self, flow: &mut Self::Flow, gap: &Gap) {
        assert!(gap.len > 0 && !flow[gap.direction as usize], "a gap after the end, or of nothing");
    }

    fn half_close(&mut self, flow: &mut Self::Flow, direction: Direction, _: Ordinal, _: Timestamp) {
        assert!(!std::mem::replace(&mut flow[direction as usize], true), "a second end");
    }

    fn waits(&self, flow: &Self::Flow) -> bool {
        !flow[0]
    }

    fn tick(&mut self, _: &mut Self::Flow, _: Ordinal, _: Timestamp) {}

    fn close(&mut self, _: Self::Flow, _: &Closing) {}
}

/// The link type in two bytes, then frames behind their lengths, each of two bytes.
pub(crate) fn frames(input: &[u8]) {
    let Some((link_type, mut rest)) = input.split_first_chunk::<2>() else { return };
    let limits = Limits { datagrams: 4, datagram_bytes: 70_000, fragments: 8, flows: 8, ..Limits::default() };
    let (mut decoder, mut table, mut sink) =
        (Decoder::new(&limits), FlowTable::new(&limits), Sink::default());
    let (mut ordinal, mut at) = (0, 0);
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_le_bytes(*len)).min(after.len());
        let (bytes, after) = after.split_at(len);
        rest = after;
        ordinal += 1;
        at += 700_000_000;
        let frame = Frame {
            ordinal,
            at: Timestamp(at),
            interface: len as u32 & 1,
            link_type: u32::from(u16::from_le_bytes(*link_type)),
            wire_len: (len as u32).wrapping_add(u32::from(len % 5 == 0) * 100),
            bytes,
        };
        if let Some(packet) = decoder.decode(&frame) {
            assert!(packet.payload.len() <= 65_535 + len, "more than was there");
            table.packet(&packet, &mut sink);
        }
        decoder.tick(Timestamp(at));
        table.tick(ordinal, Timestamp(at), &mut sink);
    }
    table.finish(ordinal, Timestamp(at), &mut sink);
    let mut ends = 0;
    decoder.counters().each(&mut |name, count| {
        ends += if name.starts_with("held") || name.starts_with("frame") { 0 } else { count };
    });
    assert_eq!(decoder.counters().frames, ends, "{:?}", decoder.counters());
    check(table.counters(), &sink);
}

/// Segments of two connections, ten bytes each: flags, sequence and acknowledgment near each other, length, cut, wait.
pub(crate) fn segments(input: &[u8]) {
    let limits = Limits {
        half_bytes: 4096,
        half_segments: 16,
        shard_bytes: 8192,
        flows: 2,
        history: 64,
        ..Limits::default()
    };
    let (mut table, mut sink) = (FlowTable::new(&limits), Sink::default());
    let (mut ordinal, mut at) = (0, 0);
    let payload: Vec<u8> = (0..2048).map(|at| at as u8).collect();
    for chunk in input.as_chunks::<10>().0 {
        let [kind, flags, s0, s1, a0, a1, len, cut, wait, content] = *chunk;
        ordinal += 1;
        at += i64::from(wait) * i64::from(wait) * 1_000_000;
        if kind & 0x40 != 0 {
            table.tick(ordinal, Timestamp(at), &mut sink);
        }
        let base = if kind & 0x02 != 0 { 0xffff_ff00_u32 } else { 1000 };
        let near = |high: u8, low: u8| {
            base.wrapping_add_signed(
                i32::from(i16::from_be_bytes([high, low])) * if kind & 0x80 != 0 { 65_536 } else { 1 },
            )
        };
        let peer = |last: u8| Peer { ip: std::net::IpAddr::from([10, 0, 0, last]), port: 80 };
        let (key, _) = FlowKey::of(peer(1), peer(2 + (kind >> 2 & 3)), Transport::Tcp, 0);
        let start = usize::from(content) * 3;
        let fields = TcpFields {
            sequence: near(s0, s1),
            acknowledgment: near(a0, a1),
            flags,
            window: u16::from(content) << 6,
            urgent: 0,
            scale: (kind & 0x20 != 0).then_some(content % 15),
        };
        let packet = Packet {
            ordinal,
            at: Timestamp(at),
            interface: u32::from(kind >> 4 & 1),
            key,
            from_low: kind & 1 == 0,
            layer4: Layer4::Segment(fields),
            cut: u32::from(cut.saturating_sub(200)) * 9,
            ip_id: u16::from(content & 3),
            outer: None,
            payload: &payload[start..start + usize::from(len) * 4],
        };
        table.packet(&packet, &mut sink);
    }
    table.finish(ordinal, Timestamp(at), &mut sink);
    check(table.counters(), &sink);
}

fn check(c: &FlowCounters, sink: &Sink) {
    let ends = c.delivered + c.duplicate + c.copied + c.outside_window + c.after_fin + c.before_start;
    assert_eq!(c.tcp_bytes, ends + c.late + c.on_reset + c.after_close, "{c:?}");
    assert_eq!((c.held, c.held_segments), (0, 0), "{c:?}");
    assert_eq!(sink.bytes, c.delivered + c.datagram_bytes, "{c:?}");
}

/// Pieces of a connection: a byte that says whose and what comes next, a length in two bytes, and as much content.
pub(crate) fn http1(input: &[u8]) {
    session(Transport::Tcp, input);
}

/// The same, as datagrams; the first byte says whether as TCP after all.
pub(crate) fn dns(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    session(if first & 1 == 0 { Transport::Udp } else { Transport::Tcp }, rest);
}

fn session(transport: Transport, mut rest: &[u8]) {
    let limits = dissect::Limits::default();
    let (mut counters, mut out) = (Counters::default(), Vec::new());
    let mut session = Session::new(transport, rest.first().is_some_and(|byte| byte & 0x80 != 0));
    let (mut ordinal, mut at, mut delivered) = (0, 0, 0);
    let mut ended = [false; 2];
    while let Some((head, after)) = rest.split_first_chunk::<3>() {
        let [kind, high, low] = *head;
        let len = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (bytes, after) = after.split_at(len);
        rest = after;
        ordinal += 1;
        at += 100_000_000;
        let direction = if kind & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let mut context = Context { limits: &limits, counters: &mut counters, out: &mut out };
        let time = Timestamp(at);
        if ended[direction as usize] {
            continue;
        }
        if transport == Transport::Tcp && kind & 0x02 != 0 {
            session.gap(&Gap { direction, ordinal, at: time, len: 1 + u64::from(kind) }, &mut context);
        }
        if transport == Transport::Udp || !bytes.is_empty() {
            delivered += bytes.len() as u64;
            let (overlap, cut) =
                (kind & 0x10 != 0, u32::from(transport == Transport::Udp && kind & 0x02 != 0));
            session.data(
                &Data { direction, ordinal, at: time, overlap, ambiguous: false, cut, bytes },
                &mut context,
            );
        }
        if session.waits() && kind & 0x04 != 0 {
            at += 5_000_000_000;
            session.tick(ordinal, Timestamp(at), &mut context);
        }
        if transport == Transport::Tcp && kind & 0x08 != 0 {
            ended[direction as usize] = true;
            session.half_close(direction, ordinal, time, &mut context);
        }
    }
    let closing = Closing { ordinal, at: Timestamp(at), why: Close::EndOfCapture };
    session.close(&closing, &mut Context { limits: &limits, counters: &mut counters, out: &mut out });
    let c = &counters;
    let bytes = c.bytes_dissected + c.bytes_skipped + c.bytes_unknown + c.bytes_unfinished;
    assert_eq!(bytes, delivered, "{c:?}");
    assert_eq!(c.flows.iter().sum::<u64>() + c.flows_unknown + c.flows_silent, 1, "{c:?}");
}
