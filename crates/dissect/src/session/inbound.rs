//! One direction of a session: what is buffered, and what is known of the bytes.

use flow::{Direction, Ordinal, Timestamp};

/// One direction.
#[derive(Default)]
pub(crate) struct Inbound {
    /// Delivered, not consumed.
    pub(crate) buffer: Vec<u8>,
    /// What is known of the first byte of `buffer`.
    pub(crate) origin: Origin,
    /// The next step wants this many bytes.
    pub(crate) need: usize,
    /// The message being read.
    pub(crate) open: Option<Cover>,
    /// While probing: so many pieces were no known protocol's.
    pub(crate) refused: u8,
    /// While probing: enough of them were.
    pub(crate) given_up: bool,
    /// While probing: the next bytes may be the middle of a message.
    pub(crate) adrift: bool,
    /// While probing: so many bytes were lost, the last of them at this time.
    pub(crate) lost: Option<(u64, Timestamp)>,
}

/// What the flow table said of some bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin {
    pub(crate) at: Timestamp,
    pub(crate) overlap: bool,
    pub(crate) ambiguous: bool,
}

/// Bytes as they come in.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) direction: Direction,
    pub(crate) ordinal: Ordinal,
    pub(crate) origin: Origin,
    /// Bytes that followed in the datagram and that the capture cut off.
    pub(crate) cut: u32,
    pub(crate) bytes: &'a [u8],
}

/// What is known of the bytes of a message.
#[derive(Clone, Copy)]
pub(crate) struct Cover {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) size: u64,
    pub(crate) overlap: bool,
    pub(crate) ambiguous: bool,
}

impl Cover {
    pub(crate) fn new(origin: Origin) -> Self {
        Self { first: origin.at, last: origin.at, size: 0, overlap: false, ambiguous: false }
    }

    pub(crate) fn extend(&mut self, len: u64, begins: Origin, ends: Origin) {
        self.size += len;
        self.last = self.last.max(begins.at).max(ends.at);
        self.overlap |= begins.overlap | ends.overlap;
        self.ambiguous |= begins.ambiguous | ends.ambiguous;
    }
}
