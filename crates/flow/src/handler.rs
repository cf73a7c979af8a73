//! What the table tells whoever wants the bytes: it calls, it is never asked.

use crate::packet::{FlowKey, Ordinal, Outer, Packet, Timestamp};

/// Which way bytes go.
///
/// The server is whom the first packet seen was sent to, unless that packet was a SYN-ACK. A flow whose start was not
/// captured may be the wrong way round; who reads the bytes can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// A flow that begins.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Both ends.
    pub key: FlowKey,
    /// Whether `key.low` is the client.
    pub client_is_low: bool,
    /// Its first packet.
    pub ordinal: Ordinal,
    /// When that was captured.
    pub at: Timestamp,
    /// Where.
    pub interface: u32,
    /// The tunnel that it came through.
    pub outer: Option<Outer>,
    /// The flow was running when the capture began: its first bytes may be the middle of a message.
    pub midstream: bool,
}

/// Bytes in order, of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// Which way they went.
    pub direction: Direction,
    /// The packet whose arrival made them deliverable.
    pub ordinal: Ordinal,
    /// When the packet that carried them was captured (for bytes held back by reordering: their own packet's time).
    pub at: Timestamp,
    /// Two captured copies of some of these bytes, or of the last ones before them, differed; the receiver's view was
    /// taken.
    pub overlap: bool,
    /// Something about these bytes could not be decided from the capture (a forged or conflicting segment).
    pub ambiguous: bool,
    /// Bytes that followed in the datagram and that the capture cut off. Always 0 for TCP: there, a gap tells it.
    pub cut: u32,
    /// The bytes; never empty for TCP. A datagram arrives in one call, whole but for `cut`.
    pub bytes: &'a [u8],
}

/// Bytes that will never come.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// Which way they went.
    pub direction: Direction,
    /// The packet, or the tick, that gave them up.
    pub ordinal: Ordinal,
    /// When that was.
    pub at: Timestamp,
    /// How many bytes are missing, at least 1.
    pub len: u64,
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// Both sides finished.
    Finished,
    /// One side reset it.
    Reset,
    /// Nothing was seen for the idle time.
    Idle,
    /// A limit made room for others.
    Evicted,
    /// Its ports were used again.
    Reused,
    /// The capture ended.
    EndOfCapture,
}

/// The end of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// The packet, or the tick, that ended it.
    pub ordinal: Ordinal,
    /// When that was.
    pub at: Timestamp,
    /// Why.
    pub why: Close,
}

/// Receives flows. The table owns each flow's state, so it dies with the flow and needs no lock.
pub trait FlowHandler {
    /// What the handler keeps for one flow.
    type Flow;

    /// A flow begins.
    fn open(&mut self, opening: &Opening) -> Self::Flow;

    /// A packet of the flow was captured: called before whatever it brings, and also when it brings nothing.
    fn packet(&mut self, _flow: &mut Self::Flow, _packet: &Packet<'_>) {}

    /// Bytes in order; a datagram whole.
    fn data(&mut self, flow: &mut Self::Flow, data: &Data<'_>);

    /// Bytes of TCP that will never come. What follows is in order again.
    fn gap(&mut self, flow: &mut Self::Flow, gap: &Gap);

    /// A later copy of bytes that were already delivered differs from them: one of the two is a forgery, or the capture
    /// is damaged. What was delivered stands, as it does for a Linux receiver.
    fn contradicted(
        &mut self,
        _flow: &mut Self::Flow,
        _direction: Direction,
        _ordinal: Ordinal,
        _at: Timestamp,
    ) {
    }

    /// One side of a TCP flow will send no more (its FIN was reached in order).
    fn half_close(&mut self, flow: &mut Self::Flow, direction: Direction, ordinal: Ordinal, at: Timestamp);

    /// Whether the flow waits for something that may not come (an answer), so that it wants to hear of ticks.
    fn waits(&self, flow: &Self::Flow) -> bool;

    /// A second of capture time has passed: called at a tick for every open flow that waits.
    fn tick(&mut self, flow: &mut Self::Flow, ordinal: Ordinal, now: Timestamp);

    /// A flow ends. Nothing is called for it after this.
    fn close(&mut self, flow: Self::Flow, closing: &Closing);
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}
