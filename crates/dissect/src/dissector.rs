//! What a protocol must offer.

use api::{Fault, Payload, Protocol};
use flow::{Direction, Transport};

use crate::Limits;

/// A protocol: a directory of this crate, and one line in [`DISSECTORS`](crate::DISSECTORS).
pub struct Spec {
    /// The row of [`Counters`](crate::Counters) that counts its flows.
    pub row: &'static str,
    /// Whether it is spoken over this transport.
    pub over: fn(Transport) -> bool,
    /// Looks at the first bytes of one direction: a datagram, or as much of a TCP stream as is there.
    ///
    /// Called again with more after [`Probe::Maybe`], so it says `Yes` or `No` as soon as it can.
    pub probe: fn(Transport, &[u8], &Limits) -> Probe,
    /// Makes the state for one flow in which `Direction` was found to carry `Role`.
    pub new: fn(Transport, Direction, Role) -> Box<dyn Dissector>,
}

/// What a probe thinks of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// They are this protocol's, and begin a message of this role.
    Yes(Role),
    /// They may be; more bytes would tell.
    Maybe,
    /// They are not.
    No,
}

/// What a message is to its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It asks.
    Request,
    /// It answers, and ends the transaction.
    Response,
    /// It answers for the time being; it is counted and makes no entry.
    Interim,
}

/// One protocol's state for one flow, both directions.
pub trait Dissector: Send {
    /// Takes what it can from the beginning of `input`, which is never empty.
    ///
    /// The bytes of a direction come in order, without the bytes that earlier steps consumed. An error means that
    /// `input` breaks the protocol: the rest of what was delivered is skipped, and the next bytes are somewhere in
    /// the stream, as after [`Dissector::gap`]. A datagram must be consumed whole.
    fn step(&mut self, direction: Direction, input: &[u8], scene: &Scene<'_>) -> Result<Step, DissectError>;

    /// `len` bytes will never come. `rest` are bytes that were delivered, not consumed, and are now dropped.
    fn gap(&mut self, direction: Direction, len: u64, rest: &[u8], scene: &Scene<'_>) -> Ending;

    /// Nothing will come any more; `clean` if the sender said so.
    fn end(&mut self, direction: Direction, rest: &[u8], clean: bool, scene: &Scene<'_>) -> Ending;
}

/// What a dissector may know beyond its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The limits to keep.
    pub limits: &'a Limits,
    /// The [hint](Message::hint) of the request that a response beginning now would answer; `None` if none is open.
    pub expected: Option<u8>,
    /// Bytes that followed in this datagram and that the capture cut off: what is left of a message that may look
    /// malformed is to be shown. The session counts them, and makes the message `truncated`.
    pub cut: u32,
}

/// What came of a step.
#[derive(Debug)]
pub enum Step {
    /// `consumed` bytes are part of the message being read, which goes on.
    Take {
        /// At least 1.
        consumed: usize,
    },
    /// The message ends after `consumed` bytes.
    Message {
        /// At least 1.
        consumed: usize,
        /// What it says.
        message: Message,
    },
    /// `consumed` bytes belong to no message.
    Skip {
        /// At least 1.
        consumed: usize,
    },
    /// Nothing can be done with fewer than `at_least` bytes.
    NeedMore {
        /// More than the input has.
        at_least: usize,
    },
    /// From here on neither direction carries this protocol (a tunnel was opened): whoever knows the rest may take over.
    HandOver,
    /// From here on neither direction carries anything that we know (an upgrade).
    Opaque,
}

/// What a gap or the end of a direction leaves.
#[derive(Debug, Default)]
pub struct Ending {
    /// The message that was being read, if it can be shown.
    pub message: Option<Message>,
    /// The beginning of some message was lost: what comes next may answer a later request than the first open one.
    pub lost: bool,
}

/// One message, before it has met its partner.
#[derive(Debug)]
pub struct Message {
    /// What was spoken.
    pub protocol: &'static Protocol,
    /// What it is to its transaction.
    pub role: Role,
    /// What it says.
    pub payload: Box<dyn Part>,
    /// How it finds its partner: by this key, or by order.
    pub key: Option<Key>,
    /// Of a request: what its response cannot be read without, in the dissector's own code.
    pub hint: u8,
    /// Something could not be decided.
    pub ambiguous: bool,
    /// A part is missing.
    pub truncated: bool,
    /// Bytes of it that the capture lost.
    pub gap: u64,
    /// Why it is broken, if it is.
    pub error: Option<Fault>,
}

/// What joins a response with its request where the order does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The protocol's own identifier.
    pub id: u64,
    /// A hash of what both repeat; `None` in a message that repeats nothing, and so matches every such hash.
    pub about: Option<u64>,
}

/// A payload that can be told that it stands alone.
pub trait Part: Payload {
    /// The request that this response answers was not seen, so whatever it repeats of it is news.
    fn without_request(&mut self) {}
}

/// Bytes that break their protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DissectError {
    /// Which rule they break: a fixed text, for tests and logs.
    pub reason: &'static str,
    /// Whether a limit of ours refused them, rather than a rule of the protocol.
    pub limit: bool,
}

impl<'a> Scene<'a> {
    /// Nothing is known but the limits.
    pub(crate) fn of(limits: &'a Limits) -> Self {
        Self { limits, expected: None, cut: 0 }
    }
}

impl DissectError {
    pub(crate) const fn malformed(reason: &'static str) -> Self {
        Self { reason, limit: false }
    }

    pub(crate) const fn limit(reason: &'static str) -> Self {
        Self { reason, limit: true }
    }
}

impl Key {
    pub(crate) fn matches(self, other: Self) -> bool {
        self.id == other.id && (self.about.is_none() || other.about.is_none() || self.about == other.about)
    }
}
