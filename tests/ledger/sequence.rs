//! The sequence space that each half of a flow spans, counted here from its packets alone, is what was delivered of it
//! and what was told as gaps.

use std::{collections::HashMap, fs, path::Path};

use flow::{
    Closing, Data, Decoder, Direction, FlowHandler, FlowKey, FlowTable, Frame, Gap, Layer4, Limits, Opening,
    Ordinal, Packet, TcpFields, Timestamp,
};

/// By flow: both ends with their ports and the realm.
type Name = (flow::Peer, flow::Peer, u32);

fn name(key: &FlowKey) -> Name {
    (key.low, key.high, key.realm)
}

/// What a flow's handler was told: bytes delivered and lost of what the low and the high end sent.
#[derive(Default)]
struct Told {
    openings: u32,
    bytes: [u64; 2],
}

#[derive(Default)]
struct Counter(HashMap<Name, Told>);

impl Counter {
    fn count(&mut self, flow: (Name, bool), direction: Direction, len: u64) {
        let is_low = (direction == Direction::ToServer) == flow.1;
        self.0.entry(flow.0).or_default().bytes[usize::from(!is_low)] += len;
    }
}

impl FlowHandler for Counter {
    type Flow = (Name, bool);

    fn open(&mut self, opening: &Opening) -> Self::Flow {
        let name = name(&opening.key);
        self.0.entry(name).or_default().openings += 1;
        (name, opening.client_is_low)
    }

    fn data(&mut self, flow: &mut Self::Flow, data: &Data<'_>) {
        self.count(*flow, data.direction, data.bytes.len() as u64);
    }

    fn gap(&mut self, flow: &mut Self::Flow, gap: &Gap) {
        self.count(*flow, gap.direction, gap.len);
    }

    fn half_close(&mut self, _: &mut Self::Flow, _: Direction, _: Ordinal, _: Timestamp) {}

    fn waits(&self, _: &Self::Flow) -> bool {
        false
    }

    fn tick(&mut self, _: &mut Self::Flow, _: Ordinal, _: Timestamp) {}

    fn close(&mut self, _: Self::Flow, _: &Closing) {}
}

/// What the packets of one half say.
#[derive(Clone, Copy, Default)]
struct Span {
    start: Option<u32>,
    /// Up to where bytes were captured, and up to where the other side acknowledged them.
    captured: i64,
    acknowledged: i64,
}

impl Span {
    fn offset(self, sequence: u32) -> i64 {
        self.start.map_or(0, |start| i64::from(sequence.wrapping_sub(start) as i32))
    }
}

/// Both halves of a flow; `odd` once something came that a receiver would refuse, which a plain count can't judge.
#[derive(Default)]
struct Spans {
    halves: [Span; 2],
    odd: bool,
}

impl Spans {
    fn packet(&mut self, packet: &Packet<'_>, fields: &TcpFields) {
        let (own, other) = if packet.from_low { (0, 1) } else { (1, 0) };
        let [syn, fin, reset, ack] = [0x02, 0x01, 0x04, 0x10].map(|bit| fields.flags & bit != 0);
        let len = packet.payload.len() as i64 + i64::from(packet.cut);
        let first = fields.sequence.wrapping_add(u32::from(syn));
        let half = &mut self.halves[own];
        self.odd |= reset || syn && half.start.is_some_and(|start| start != first);
        if half.start.is_none() && (syn || len > 0) {
            half.start = Some(first);
        }
        let from = half.offset(first);
        self.odd |= len > 0 && (from < 0 || from > half.captured + (1 << 20));
        self.odd |= fin && from + len < half.captured;
        // The last acknowledgment of a connection lies behind its FIN.
        half.captured = half.captured.max(if len > 0 { from + len } else { 0 });
        let peer = &mut self.halves[other];
        if ack && peer.start.is_some() {
            let offset = peer.offset(fields.acknowledgment);
            self.odd |= offset > peer.captured + (1 << 20);
            peer.acknowledged = peer.acknowledged.max(offset);
        }
    }
}

/// A record of a capture: when, how long on the wire, and what was captured.
type Record<'a> = (i64, u32, &'a [u8]);

/// The link type and the records of a little-endian pcap; `None` where it ends inside one.
fn records(bytes: &[u8]) -> Option<(u32, Vec<Record<'_>>)> {
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let unit = if word(0)? == 0xa1b2_c3d4 { 1000 } else { 1 };
    let (mut at, mut records) = (24, Vec::new());
    while at < bytes.len() {
        let len = word(at + 8)? as usize;
        let time = i64::from(word(at)?) * 1_000_000_000 + i64::from(word(at + 4)?) * unit;
        records.push((time, word(at + 12)?, bytes.get(at + 16..at + 16 + len)?));
        at += 16 + len;
    }
    Some((word(20)? & 0xffff, records))
}

/// Halves that span something else than was told, of a little-endian pcap; other files are left to the sums.
pub(crate) fn faults(file: &Path) -> Vec<String> {
    let bytes = fs::read(file).expect("a readable capture");
    if !matches!(bytes.get(..4), Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1])) {
        return Vec::new();
    }
    let Some((link_type, records)) = records(&bytes) else { return Vec::new() };
    let limits = Limits::default();
    let (mut decoder, mut table) = (Decoder::new(&limits), FlowTable::new(&limits));
    let (mut counter, mut spans) = (Counter::default(), HashMap::<Name, Spans>::new());
    let (mut ordinal, mut at) = (0, Timestamp(0));
    for (time, wire_len, bytes) in records {
        ordinal += 1;
        at = Timestamp(time);
        let frame = Frame { ordinal, at, interface: 0, link_type, wire_len, bytes };
        let Some(packet) = decoder.decode(&frame) else { continue };
        if let Layer4::Segment(fields) = packet.layer4 {
            spans.entry(name(&packet.key)).or_default().packet(&packet, &fields);
        }
        table.packet(&packet, &mut counter);
    }
    table.finish(ordinal, at, &mut counter);
    let mut faults = Vec::new();
    for (name, spans) in spans.iter().filter(|(_, spans)| !spans.odd) {
        let Some(told) = counter.0.get(name).filter(|told| told.openings == 1) else { continue };
        for (half, told) in spans.halves.iter().zip(told.bytes) {
            // What was acknowledged beyond the bytes captured may be a FIN.
            let range = half.captured..=half.acknowledged.max(half.captured);
            if !range.contains(&(told as i64)) {
                faults.push(format!("{name:?} spans {range:?}, told were {told}"));
            }
        }
    }
    faults
}
