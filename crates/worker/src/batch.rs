//! Packets on their way from the reader to the shards: decoded, sorted by shard, their payloads in one arena.

use std::{
    mem,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flow::{Decoder, Frame, Ordinal, Packet, SHARDS, Share, Timestamp};

use crate::targets::{Gate, Rules, Verdict, Wanted};

/// A batch is handed over when it holds so many packets…
pub(crate) const MAX_PACKETS: usize = 1024;
/// … or so many bytes of payload.
pub(crate) const MAX_BYTES: usize = 2 << 20;

/// A second of capture time has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    /// The packet that showed it: the tick comes just before it.
    pub(crate) ordinal: Ordinal,
    /// The highest capture time seen.
    pub(crate) now: Timestamp,
}

/// Packets of one stretch of the source.
#[derive(Default)]
pub(crate) struct Batch {
    arena: Vec<u8>,
    shards: Vec<Vec<Held>>,
    pub(crate) ticks: Vec<Tick>,
    packets: usize,
    /// Whole frames, where somebody wants them.
    frames: Frames,
    /// Which share of the flows that begin in it is shed.
    pub(crate) shed: Share,
    /// The capture ends here: the last packet and the highest time.
    pub(crate) end: Option<Tick>,
}

/// A packet whose payload lies in the arena.
struct Held {
    packet: Packet<'static>,
    payload: Range<usize>,
    /// The payload lies in the arena of the frames.
    in_frame: bool,
    /// Its frame among those kept.
    frame: Option<u32>,
}

/// What a shard meets, in the order of the source.
pub(crate) enum Event<'a> {
    /// A packet, and the place of its frame if frames are kept.
    Packet(Packet<'a>, Option<u32>),
    Tick(Tick),
}

/// The frames of a batch as they were captured, and to which streams they belong.
#[derive(Default)]
pub(crate) struct Frames {
    /// Where their bytes are.
    pub(crate) arena: Vec<u8>,
    /// In the order of the source.
    pub(crate) kept: Vec<KeptFrame>,
    /// Earlier frames that a kept one made a datagram with: the place of the kept one, the earlier one's ordinal.
    pub(crate) parts: Vec<(u32, Ordinal)>,
    /// Streams that ended, by [`StreamKey`].
    pub(crate) ended: Vec<StreamKey>,
}

/// One frame.
pub(crate) struct KeptFrame {
    pub(crate) ordinal: Ordinal,
    pub(crate) at: Timestamp,
    pub(crate) interface: u32,
    pub(crate) link_type: u32,
    pub(crate) wire_len: u32,
    /// Its bytes in the arena.
    pub(crate) bytes: Range<usize>,
    /// Whose it is, written by whichever thread runs the shard of its packet.
    owner: AtomicU64,
}

/// A stream's number and kind in one word: twice the number, and one for UDP. 0 is no stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamKey(pub(crate) u64);

impl StreamKey {
    /// Frames of no stream.
    pub(crate) const NONE: Self = Self(0);
    /// A frame that repeats one that was captured elsewhere.
    pub(crate) const COPY: Self = Self(u64::MAX);
}

impl From<api::Stream> for StreamKey {
    fn from(stream: api::Stream) -> Self {
        Self(stream.number << 1 | u64::from(stream.udp))
    }
}

impl Frames {
    /// Forgets them, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.arena.clear();
        self.kept.clear();
        self.parts.clear();
        self.ended.clear();
    }
}

impl KeptFrame {
    /// Whose it is.
    pub(crate) fn owner(&self) -> StreamKey {
        StreamKey(self.owner.load(Ordering::Relaxed))
    }
}

impl Batch {
    /// Forgets its packets, keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.arena.clear();
        self.shards.resize_with(SHARDS, Vec::new);
        self.shards.iter_mut().for_each(Vec::clear);
        self.ticks.clear();
        self.packets = 0;
        self.frames.clear();
        self.end = None;
    }

    /// Whether it should be handed over.
    pub(crate) fn is_full(&self) -> bool {
        self.packets.max(self.frames.kept.len()) >= MAX_PACKETS
            || self.arena.len() + self.frames.arena.len() >= MAX_BYTES
    }

    /// Whether nothing happens in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets == 0 && self.ticks.is_empty() && self.end.is_none()
    }

    fn push(&mut self, packet: &Packet<'_>, frame: Option<(u32, &[u8])>) {
        let within = frame.and_then(|(index, bytes)| {
            let kept = self.frames.kept.get(index as usize)?;
            // A payload that was joined from fragments lies elsewhere.
            let offset = packet.payload.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
            (offset + packet.payload.len() <= bytes.len())
                .then(|| kept.bytes.start + offset..kept.bytes.start + offset + packet.payload.len())
        });
        let in_frame = within.is_some();
        let payload = within.unwrap_or_else(|| {
            let start = self.arena.len();
            self.arena.extend_from_slice(packet.payload);
            start..self.arena.len()
        });
        let packet = Packet { payload: &[], ..*packet };
        let frame = frame.map(|(index, _)| index);
        self.shards[packet.key.shard()].push(Held { packet, payload, in_frame, frame });
        self.packets += 1;
    }

    /// Keeps the frame itself; gives its place.
    fn keep(&mut self, frame: &Frame<'_>) -> u32 {
        let start = self.frames.arena.len();
        self.frames.arena.extend_from_slice(frame.bytes);
        self.frames.kept.push(KeptFrame {
            ordinal: frame.ordinal,
            at: frame.at,
            interface: frame.interface,
            link_type: frame.link_type,
            wire_len: frame.wire_len,
            bytes: start..self.frames.arena.len(),
            owner: AtomicU64::new(StreamKey::NONE.0),
        });
        self.frames.kept.len() as u32 - 1
    }

    /// Gives back the frame that was kept last.
    fn let_go(&mut self) {
        if let Some(last) = self.frames.kept.pop() {
            self.frames.arena.truncate(last.bytes.start);
        }
    }

    /// Says whose a kept frame is.
    pub(crate) fn own(&self, frame: u32, owner: StreamKey) {
        if let Some(kept) = self.frames.kept.get(frame as usize) {
            kept.owner.store(owner.0, Ordering::Relaxed);
        }
    }

    /// Streams that ended with what is in this batch.
    pub(crate) fn ended(&mut self, streams: impl Iterator<Item = StreamKey>) {
        self.frames.ended.extend(streams);
    }

    /// Takes the frames out and leaves `spare`, which is empty: nobody needs their packets any longer.
    pub(crate) fn take_frames(&mut self, spare: Frames) -> Frames {
        self.shards.iter_mut().for_each(Vec::clear);
        mem::replace(&mut self.frames, spare)
    }

    /// The frames that were kept.
    pub(crate) fn frames(&self) -> &Frames {
        &self.frames
    }

    /// What happens to one shard.
    pub(crate) fn events(&self, shard: usize) -> impl Iterator<Item = Event<'_>> {
        let mut packets = self.shards.get(shard).map(Vec::as_slice).unwrap_or_default().iter().peekable();
        let mut ticks = self.ticks.iter().peekable();
        std::iter::from_fn(move || {
            let next_packet = packets.peek().map_or(Ordinal::MAX, |held| held.packet.ordinal);
            if let Some(tick) = ticks.next_if(|tick| tick.ordinal <= next_packet) {
                return Some(Event::Tick(*tick));
            }
            packets.next().map(|held| {
                let arena = if held.in_frame { &self.frames.arena } else { &self.arena };
                Event::Packet(Packet { payload: &arena[held.payload.clone()], ..held.packet }, held.frame)
            })
        })
    }
}

/// Fills batches from frames: decodes them as far as the flow, and keeps the time.
pub(crate) struct Filler {
    pub(crate) decoder: Decoder,
    highest: Timestamp,
    next_tick: Timestamp,
    keep_frames: bool,
    passage: Option<Passage>,
}

/// What a live source lets through.
struct Passage {
    gate: Arc<Gate>,
    rules: Arc<Rules>,
    /// What cannot be told to belong to a target is not kept: the kernel lets too much through.
    strict: bool,
    own: u64,
    not_targeted: u64,
}

impl Passage {
    /// Whether a packet is looked at.
    fn admits(&mut self, packet: &Packet<'_>) -> bool {
        match self.rules.verdict(packet) {
            Verdict::Keep => return true,
            Verdict::Own => self.own += 1,
            Verdict::NotTargeted => self.not_targeted += 1,
            Verdict::Test => self.gate.see(),
        }
        false
    }
}

const SECOND: i64 = 1_000_000_000;

impl Filler {
    /// `keep_frames`: batches hold whole frames beside the packets.
    pub(crate) fn new(limits: &flow::Limits, keep_frames: bool) -> Self {
        let never = Timestamp(i64::MIN);
        let decoder = Decoder::new(limits);
        Self { decoder, highest: never, next_tick: never, keep_frames, passage: None }
    }

    /// From now on packets are looked at by these rules. `coarse`: the kernel lets through what they refuse.
    pub(crate) fn follow(&mut self, gate: &Arc<Gate>, rules: Arc<Rules>, coarse: bool) {
        let strict = coarse || *rules.wanted == Wanted::Nothing;
        let (own, not_targeted) = self.refused();
        self.passage = Some(Passage { gate: Arc::clone(gate), rules, strict, own, not_targeted });
    }

    /// How many packets were our own, and how many of no target.
    pub(crate) fn refused(&self) -> (u64, u64) {
        self.passage.as_ref().map_or((0, 0), |passage| (passage.own, passage.not_targeted))
    }

    /// Decodes a frame into the batch.
    pub(crate) fn frame(&mut self, frame: &Frame<'_>, batch: &mut Batch) {
        self.advance(frame.ordinal, frame.at, batch);
        let kept = self.keep_frames.then(|| (batch.keep(frame), frame.bytes));
        let Some(packet) = self.decoder.decode(frame) else {
            if kept.is_some() && self.passage.as_ref().is_some_and(|passage| passage.strict) {
                batch.let_go();
            }
            return;
        };
        if self.passage.as_mut().is_some_and(|passage| !passage.admits(&packet)) {
            if kept.is_some() {
                batch.let_go();
            }
            return;
        }
        batch.push(&packet, kept);
        if let Some((index, _)) = kept {
            let others = self.decoder.parts().iter().filter(|&&part| part != frame.ordinal);
            batch.frames.parts.extend(others.map(|&part| (index, part)));
        }
    }

    /// The time is at least `now`, just before the frame `ordinal`.
    pub(crate) fn advance(&mut self, ordinal: Ordinal, now: Timestamp, batch: &mut Batch) {
        if now <= self.highest {
            return;
        }
        self.highest = now;
        if now >= self.next_tick {
            if self.next_tick.0 != i64::MIN {
                self.decoder.tick(now);
                batch.ticks.push(Tick { ordinal, now });
            }
            self.next_tick = Timestamp(now.0.saturating_add(SECOND - now.0.rem_euclid(SECOND)));
        }
    }

    /// Marks the end of the capture, where the frame `ordinal` would come.
    pub(crate) fn end(&mut self, ordinal: Ordinal, batch: &mut Batch) {
        batch.end = Some(Tick { ordinal, now: self.highest });
    }
}
