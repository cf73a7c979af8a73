//! Packets on their way from the reader to the shards: decoded, sorted by shard, their payloads in one arena.

use std::ops::Range;

use flow::{Decoder, Frame, Ordinal, Packet, SHARDS, Share, Timestamp};

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
    /// Which share of the flows that begin in it is shed.
    pub(crate) shed: Share,
    /// The capture ends here: the last packet and the highest time.
    pub(crate) end: Option<Tick>,
}

/// A packet whose payload lies in the arena.
struct Held {
    packet: Packet<'static>,
    payload: Range<usize>,
}

/// What a shard meets, in the order of the source.
pub(crate) enum Event<'a> {
    Packet(Packet<'a>),
    Tick(Tick),
}

impl Batch {
    /// Forgets its packets, keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.arena.clear();
        self.shards.resize_with(SHARDS, Vec::new);
        self.shards.iter_mut().for_each(Vec::clear);
        self.ticks.clear();
        self.packets = 0;
        self.end = None;
    }

    /// Whether it should be handed over.
    pub(crate) fn is_full(&self) -> bool {
        self.packets >= MAX_PACKETS || self.arena.len() >= MAX_BYTES
    }

    /// Whether nothing happens in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets == 0 && self.ticks.is_empty() && self.end.is_none()
    }

    fn push(&mut self, packet: &Packet<'_>) {
        let start = self.arena.len();
        self.arena.extend_from_slice(packet.payload);
        let held = Held { packet: Packet { payload: &[], ..*packet }, payload: start..self.arena.len() };
        self.shards[packet.key.shard()].push(held);
        self.packets += 1;
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
                Event::Packet(Packet { payload: &self.arena[held.payload.clone()], ..held.packet })
            })
        })
    }
}

/// Fills batches from frames: decodes them as far as the flow, and keeps the time.
pub(crate) struct Filler {
    pub(crate) decoder: Decoder,
    highest: Timestamp,
    next_tick: Timestamp,
}

const SECOND: i64 = 1_000_000_000;

impl Filler {
    pub(crate) fn new(limits: &flow::Limits) -> Self {
        Self { decoder: Decoder::new(limits), highest: Timestamp(i64::MIN), next_tick: Timestamp(i64::MIN) }
    }

    /// Decodes a frame into the batch.
    pub(crate) fn frame(&mut self, frame: &Frame<'_>, batch: &mut Batch) {
        self.advance(frame.ordinal, frame.at, batch);
        if let Some(packet) = self.decoder.decode(frame) {
            batch.push(&packet);
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
