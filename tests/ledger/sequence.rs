//! The sequence space that each half of a flow spans, counted here from its packets alone, is what was delivered of it
//! and what was told as gaps.

use std::collections::HashMap;

use flow::{Direction, FlowKey, Layer4, Packet, TcpFields};
use support::{
    flows::{self, Told},
    pcap::Capture,
};

/// By flow: both ends with their ports and the realm.
type Name = (flow::Peer, flow::Peer, u32);

fn name(key: &FlowKey) -> Name {
    (key.low, key.high, key.realm)
}

/// Bytes delivered and lost of what the low and the high end sent.
fn told_of(flow: &Told) -> [u64; 2] {
    let low = if flow.opening.client_is_low { Direction::ToServer } else { Direction::ToClient };
    [low, low.reverse()].map(|direction| {
        let half = flow.half(direction);
        half.bytes.len() as u64 + half.gaps.iter().sum::<u64>()
    })
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

/// Halves that span something else than was told.
pub(crate) fn faults(capture: &Capture) -> Vec<String> {
    let mut spans = HashMap::<Name, Spans>::new();
    let flows = flows::read(capture, |packet| {
        if let Layer4::Segment(fields) = packet.layer4 {
            spans.entry(name(&packet.key)).or_default().packet(packet, &fields);
        }
    });
    let mut by_name = HashMap::<Name, Vec<[u64; 2]>>::new();
    for flow in &flows {
        by_name.entry(name(&flow.opening.key)).or_default().push(told_of(flow));
    }
    let mut faults = Vec::new();
    for (name, spans) in spans.iter().filter(|(_, spans)| !spans.odd) {
        // Of several flows with the same ends, the packets don't say which is whose.
        let Some(&[told]) = by_name.get(name).map(Vec::as_slice) else { continue };
        for (half, told) in spans.halves.iter().zip(told) {
            // What was acknowledged beyond the bytes captured may be a FIN.
            let range = half.captured..=half.acknowledged.max(half.captured);
            if !range.contains(&(told as i64)) {
                faults.push(format!("{name:?} spans {range:?}, told were {told}"));
            }
        }
    }
    faults
}
