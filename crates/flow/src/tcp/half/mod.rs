//! One direction of a TCP flow: segments in any order go in, bytes in order come out.

mod hole;

use hole::Hole;

use super::past::Past;
use super::queue::Queue;
use crate::handler::{Direction, FlowHandler};
use crate::limits::Limits;
use crate::outlet::{Outlet, Suspect};
use crate::packet::{Packet, Timestamp};
use crate::sequence;

/// The largest window there can be (RFC 7323 §2.3).
const MAX_WINDOW: i64 = 1 << 30;

/// What one side sends, as the other reads it.
///
/// Offsets count bytes from the start of the stream, or from the first byte captured where the start was not.
pub(super) struct Half {
    direction: Direction,
    origin: Origin,
    /// Something of this half was captured, not only told by the other.
    pub(super) heard: bool,
    /// All before this offset was delivered, or given up.
    next: i64,
    /// What the other side acknowledged, and how much more it would take.
    acknowledged: i64,
    window: Option<i64>,
    /// Where the stream ends, once its FIN was seen.
    fin: Option<i64>,
    /// The end was reached.
    pub(super) finished: bool,
    /// Up to here was sent, but cut off by the capture.
    cut_to: i64,
    /// The last gap.
    gap: (i64, i64),
    hole: Option<Hole>,
    /// Bytes already delivered were contradicted; who gets the next must know.
    contradicted: bool,
    queue: Queue,
    past: Option<Box<Past>>,
}

/// The sequence number of offset 0.
#[derive(Clone, Copy)]
enum Origin {
    Unknown,
    /// That of the first segment seen: there may have been others before it.
    Seen(u32),
    /// The handshake told it.
    Handshake(u32),
}

/// What one segment brings.
pub(super) struct Segment<'a> {
    /// The sequence number of its first byte.
    pub(super) sequence: u32,
    pub(super) fin: bool,
    pub(super) packet: &'a Packet<'a>,
}

impl Half {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            origin: Origin::Unknown,
            heard: false,
            next: 0,
            acknowledged: 0,
            window: None,
            fin: None,
            finished: false,
            cut_to: 0,
            gap: (0, 0),
            hole: None,
            contradicted: false,
            queue: Queue::default(),
            past: None,
        }
    }

    /// The sequence number of the first byte, if known.
    pub(super) fn base(&self) -> Option<u32> {
        match self.origin {
            Origin::Unknown => None,
            Origin::Seen(base) | Origin::Handshake(base) => Some(base),
        }
    }

    /// Whether the first byte is known from the handshake.
    pub(super) fn is_from_handshake(&self) -> bool {
        matches!(self.origin, Origin::Handshake(_))
    }

    /// The handshake tells the sequence number of the first byte.
    pub(super) fn start(&mut self, sequence: u32) {
        self.origin = Origin::Handshake(sequence);
    }

    /// The sequence number of the byte that is wanted next, if known.
    pub(super) fn next_sequence(&self) -> Option<u32> {
        self.base().map(|base| base.wrapping_add(self.next as u32))
    }

    /// Whether nothing was delivered or given up yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.next == 0
    }

    /// Whether the FIN was seen, though maybe not reached.
    pub(super) fn is_ending(&self) -> bool {
        self.fin.is_some()
    }

    /// What waits behind a hole, in bytes and 64 for each segment.
    pub(super) fn held(&self) -> u64 {
        self.queue.n_bytes() + 64 * self.queue.n_segments() as u64
    }

    pub(super) fn has_hole(&self) -> bool {
        self.hole.is_some()
    }

    /// Where a sequence number lies; `None` before the half started.
    fn offset(&self, sequence: u32) -> Option<i64> {
        self.base().map(|base| sequence::offset(base, self.next, sequence))
    }

    /// How far ahead the receiver may take bytes. Some acknowledgments may not have been captured yet: twice the window.
    fn reach(&self) -> i64 {
        match self.window {
            Some(window) => self.acknowledged.max(self.next) + 2 * window.max(1 << 16),
            None => self.next + MAX_WINDOW,
        }
    }

    /// Whether the receiver may look at a segment with this sequence number.
    pub(super) fn is_in_window(&self, sequence: u32) -> bool {
        let Some(offset) = self.offset(sequence) else { return true };
        (self.acknowledged.min(self.next)..=self.reach()).contains(&offset)
    }

    /// The other side acknowledges what comes before `sequence` and takes `window` bytes more.
    pub(super) fn acknowledge(&mut self, sequence: u32, window: Option<i64>) -> bool {
        let Some(offset) = self.offset(sequence) else { return true };
        if offset > self.next + MAX_WINDOW {
            return false;
        }
        if offset >= self.acknowledged {
            self.acknowledged = offset;
            self.window = window;
        }
        true
    }

    pub(super) fn segment<H: FlowHandler>(&mut self, segment: &Segment<'_>, out: &mut Outlet<'_, H>) {
        let packet = segment.packet;
        let mut payload = packet.payload;
        if payload.is_empty() && packet.cut == 0 && !segment.fin {
            return;
        }
        self.heard = true;
        if self.base().is_none() {
            self.origin = Origin::Seen(segment.sequence);
        }
        let Some(from) = self.offset(segment.sequence) else { return };
        if from > self.reach() || from < self.next - MAX_WINDOW {
            out.counters.outside_window += payload.len() as u64;
            return;
        }
        let mut cut = packet.cut;
        let mut end = from + payload.len() as i64 + i64::from(cut);
        if segment.fin && self.fin.is_none() && end >= self.next {
            self.fin = Some(end);
        }
        if let Some(fin) = self.fin.filter(|&fin| fin < end) {
            let keep = (fin - from).clamp(0, payload.len() as i64) as usize;
            let (kept, beyond) = payload.split_at_checked(keep).unwrap_or((payload, &[]));
            out.counters.after_fin += beyond.len() as u64;
            payload = kept;
            end = fin;
            cut = (end - from - kept.len() as i64).max(0) as u32;
        }
        if !payload.is_empty() || cut > 0 {
            if from <= self.next {
                self.in_order(from, payload, packet, out);
                self.cut_to = self.cut_to.max(if cut > 0 { end } else { 0 });
                self.drain(out);
            } else {
                self.ahead(from, payload, cut, packet, out);
            }
        }
        self.end(out);
    }

    /// The segment begins at or before what is wanted next. What it brings wins over what is queued (`tcp_data_queue`
    /// of Linux), and loses against what was delivered.
    fn in_order<H: FlowHandler>(
        &mut self,
        from: i64,
        payload: &[u8],
        packet: &Packet<'_>,
        out: &mut Outlet<'_, H>,
    ) {
        let n_old = (self.next - from).min(payload.len() as i64) as usize;
        let (old, fresh) = payload.split_at_checked(n_old).unwrap_or((payload, &[]));
        if !old.is_empty() {
            self.again(from, old, payload.len(), packet, out);
        }
        self.note(from, payload.len(), packet);
        if fresh.is_empty() {
            return;
        }
        let n = if self.queue.is_empty() { 0 } else { self.queue.differing(self.next, fresh) };
        out.counters.differing += n;
        self.deliver(fresh, packet.at, n > 0, out);
    }

    /// Bytes that are behind what is wanted next.
    fn again<H: FlowHandler>(
        &mut self,
        from: i64,
        old: &[u8],
        payload_len: usize,
        packet: &Packet<'_>,
        out: &mut Outlet<'_, H>,
    ) {
        let end = from + old.len() as i64;
        let within = |(start, stop): (i64, i64)| (end.min(stop) - from.max(start)).max(0) as u64;
        let before_start = within((i64::MIN, 0));
        let late = within(self.gap);
        let rest = old.len() as u64 - before_start - late;
        out.counters.before_start += before_start;
        out.counters.late += late;
        // A keep-alive probe repeats the last byte, or sends any other (RFC 9293 §3.8.4).
        let is_probe = payload_len == 1 && end == self.next;
        let past = self.past.as_ref().filter(|_| !is_probe);
        let n = past.map_or(0, |past| past.differing(self.next, from, old));
        if n == 0 && self.has_copy_of(from, payload_len, packet, out.limits) {
            out.counters.copied += rest;
        } else {
            out.counters.duplicate += rest;
        }
        if n > 0 {
            out.counters.differing += n;
            self.contradicted = true;
            out.contradicted(self.direction);
        }
    }

    /// The segment leaves a hole before it.
    fn ahead<H: FlowHandler>(
        &mut self,
        from: i64,
        payload: &[u8],
        cut: u32,
        packet: &Packet<'_>,
        out: &mut Outlet<'_, H>,
    ) {
        let copy = self.has_copy_of(from, payload.len(), packet, out.limits);
        self.note(from, payload.len(), packet);
        let queued = self.queue.insert(from, payload, cut, packet.at);
        let counters = &mut *out.counters;
        counters.differing += queued.differing;
        counters.duplicate += queued.replaced;
        counters.held -= queued.replaced;
        counters.held_segments -= queued.n_replaced as u64;
        if queued.kept {
            counters.held += payload.len() as u64;
            counters.held_segments += 1;
        } else if copy && queued.differing == 0 {
            counters.copied += payload.len() as u64;
        } else {
            counters.duplicate += payload.len() as u64;
        }
        while self.queue.n_bytes() > out.limits.half_bytes
            || self.queue.n_segments() > out.limits.half_segments
        {
            self.force(out);
        }
    }

    fn deliver<H: FlowHandler>(
        &mut self,
        bytes: &[u8],
        at: Timestamp,
        overlap: bool,
        out: &mut Outlet<'_, H>,
    ) {
        let suspect = match (std::mem::take(&mut self.contradicted), overlap) {
            (true, _) => Suspect::Contradicted,
            (false, true) => Suspect::Overlap,
            (false, false) => Suspect::No,
        };
        out.data(self.direction, at, suspect, bytes);
        self.next += bytes.len() as i64;
        self.hole = None;
        if let Some(past) = &mut self.past {
            past.remember(bytes, out.limits.history);
        }
    }

    /// Delivers what is queued and no longer behind a hole.
    fn drain<H: FlowHandler>(&mut self, out: &mut Outlet<'_, H>) {
        loop {
            if let Some(run) = self.queue.pop(self.next) {
                let mut bytes = run.bytes.as_slice();
                out.counters.held -= bytes.len() as u64;
                out.counters.held_segments -= run.pieces.len() as u64;
                let mut from = run.from;
                for (at, len) in run.pieces {
                    let (piece, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
                    bytes = rest;
                    let n_old = (self.next - from).clamp(0, len as i64) as usize;
                    from += len as i64;
                    out.counters.duplicate += n_old as u64;
                    let fresh = piece.get(n_old..).unwrap_or_default();
                    // It may have been queued before the end was known.
                    let n_fresh = (self.last() - self.next).clamp(0, fresh.len() as i64) as usize;
                    let (fresh, beyond) = fresh.split_at_checked(n_fresh).unwrap_or((fresh, &[]));
                    out.counters.after_fin += beyond.len() as u64;
                    if !fresh.is_empty() {
                        self.deliver(fresh, at, run.overlap, out);
                    }
                }
                if run.cut > 0 {
                    self.cut_to = self.cut_to.max(from + i64::from(run.cut));
                }
            } else if self.cut_to.min(self.last()) > self.next {
                self.skip(self.queue.first().map_or(self.cut_to, |first| first.min(self.cut_to)), out);
            } else {
                return;
            }
        }
    }

    /// Where the stream ends, as far as is known.
    fn last(&self) -> i64 {
        self.fin.unwrap_or(i64::MAX)
    }

    /// Gives up what is missing before offset `to`.
    fn skip<H: FlowHandler>(&mut self, to: i64, out: &mut Outlet<'_, H>) {
        let to = to.min(self.last());
        if to <= self.next {
            return;
        }
        out.gap(self.direction, (to - self.next) as u64);
        self.gap = (self.next, to);
        self.next = to;
        self.hole = None;
        if let Some(past) = &mut self.past {
            past.forget();
        }
    }

    /// Tells the end of the stream when it is reached.
    fn end<H: FlowHandler>(&mut self, out: &mut Outlet<'_, H>) {
        if !self.finished && self.fin.is_some_and(|fin| fin <= self.next) {
            self.finished = true;
            // What waits lies beyond the end; Linux drops it too (`tcp_fin`).
            let (n_bytes, n_segments) = self.queue.clear();
            out.counters.held -= n_bytes;
            out.counters.held_segments -= n_segments as u64;
            out.counters.after_fin += n_bytes;
            self.hole = None;
            out.half_close(self.direction);
        }
    }

    fn note(&mut self, from: i64, len: usize, packet: &Packet<'_>) {
        let past = self.past.get_or_insert_with(|| Box::new(Past::new()));
        past.sightings.note(place(from, len), packet);
    }

    fn has_copy_of(&self, from: i64, len: usize, packet: &Packet<'_>, limits: &Limits) -> bool {
        self.past.as_ref().is_some_and(|past| past.sightings.has_copy_of(place(from, len), packet, limits))
    }
}

/// Where a segment lies, as one number.
fn place(from: i64, len: usize) -> u64 {
    (from as u64) << 20 ^ len as u64
}
