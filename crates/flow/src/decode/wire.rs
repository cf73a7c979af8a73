//! Captured bytes that know how many more there were on the wire.

use crate::counters::DecodeCounters;

/// Why a frame goes no further: the counter that says so.
pub(super) type Reason = fn(&mut DecodeCounters) -> &mut u64;

/// Names a counter as a [`Reason`].
macro_rules! reason {
    ($field:ident) => {
        (|counters: &mut $crate::counters::DecodeCounters| &mut counters.$field)
            as $crate::decode::wire::Reason
    };
}
pub(super) use reason;

/// The rest of a frame.
#[derive(Clone, Copy)]
pub(super) struct Wire<'a> {
    /// What was captured of it.
    pub(super) bytes: &'a [u8],
    /// How many bytes followed on the wire.
    pub(super) cut: u32,
}

impl<'a> Wire<'a> {
    /// Reads `N` bytes off the front.
    pub(super) fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Reason> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(reason!(truncated_header))?;
        self.bytes = rest;
        Ok(head)
    }

    /// Leaves `n` bytes out at the front.
    pub(super) fn skip(&mut self, n: usize) -> Result<(), Reason> {
        self.bytes = self.bytes.get(n..).ok_or(reason!(truncated_header))?;
        Ok(())
    }

    /// The two bytes at `at`, if captured.
    pub(super) fn peek_u16(&self, at: usize) -> Option<u16> {
        self.bytes.get(at..)?.first_chunk().map(|two| u16::from_be_bytes(*two))
    }

    /// Ends it after `len` bytes, as a length field says: what follows is padding. What is missing was cut.
    pub(super) fn limit(&mut self, len: usize) {
        match self.bytes.get(..len) {
            Some(bytes) => {
                self.bytes = bytes;
                self.cut = 0;
            }
            None => self.cut = (len - self.bytes.len()) as u32,
        }
    }

    /// Its length on the wire.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.cut as usize
    }
}
