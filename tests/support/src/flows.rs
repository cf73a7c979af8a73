//! The decoder and the flow table, run over a capture in memory.

use flow::{
    Closing, Data, Decoder, Direction, FlowHandler, FlowTable, Frame, Gap, Limits, Opening, Ordinal, Packet,
    Timestamp,
};

use crate::pcap::Capture;

/// What was told of one direction of a flow.
#[derive(Clone, Debug, Default)]
pub struct Half {
    /// The bytes that were delivered.
    pub bytes: Vec<u8>,
    /// The lengths of the gaps between them.
    pub gaps: Vec<u64>,
    /// Something was said about the bytes: that copies differed, or that they are doubtful.
    pub flagged: bool,
}

/// What was told of a flow.
#[derive(Clone, Debug)]
pub struct Told {
    /// How it began.
    pub opening: Opening,
    halves: [Half; 2],
}

impl Told {
    /// One direction of it.
    pub fn half(&self, direction: Direction) -> &Half {
        &self.halves[direction as usize]
    }
}

/// The flows of a capture, in the order in which they began; `see` is shown each packet before the table is.
pub fn read(capture: &Capture, mut see: impl FnMut(&Packet<'_>)) -> Vec<Told> {
    let limits = Limits::default();
    let (mut decoder, mut table) = (Decoder::new(&limits), FlowTable::new(&limits));
    let (mut recorder, mut ordinal, mut at) = (Recorder(Vec::new()), 0, Timestamp(0));
    for frame in &capture.frames {
        ordinal += 1;
        at = Timestamp(frame.at as i64);
        let frame = Frame {
            ordinal,
            at,
            interface: 0,
            // Above it, a file may tell the length of the frame check sequence.
            link_type: capture.link_type & 0xffff,
            wire_len: frame.wire_len(),
            bytes: &frame.bytes,
        };
        if let Some(packet) = decoder.decode(&frame) {
            see(&packet);
            table.packet(&packet, &mut recorder);
        }
    }
    table.finish(ordinal, at, &mut recorder);
    recorder.0
}

struct Recorder(Vec<Told>);

impl Recorder {
    fn half(&mut self, flow: usize, direction: Direction) -> &mut Half {
        &mut self.0[flow].halves[direction as usize]
    }
}

impl FlowHandler for Recorder {
    /// The place of what was told of it.
    type Flow = usize;

    fn open(&mut self, opening: &Opening) -> usize {
        self.0.push(Told { opening: *opening, halves: Default::default() });
        self.0.len() - 1
    }

    fn data(&mut self, flow: &mut usize, data: &Data<'_>) {
        let half = self.half(*flow, data.direction);
        half.bytes.extend_from_slice(data.bytes);
        half.flagged |= data.overlap || data.ambiguous;
    }

    fn gap(&mut self, flow: &mut usize, gap: &Gap) {
        self.half(*flow, gap.direction).gaps.push(gap.len);
    }

    fn contradicted(&mut self, flow: &mut usize, direction: Direction, _: Ordinal, _: Timestamp) {
        self.half(*flow, direction).flagged = true;
    }

    fn half_close(&mut self, _: &mut usize, _: Direction, _: Ordinal, _: Timestamp) {}

    fn waits(&self, _: &usize) -> bool {
        false
    }

    fn tick(&mut self, _: &mut usize, _: Ordinal, _: Timestamp) {}

    fn close(&mut self, _: usize, _: &Closing) {}
}
