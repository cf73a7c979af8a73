//! Entries on the wire between worker and hub.
//!
//! ```text
//! frame     := magic u8 = 0xE1 · count u16 · delivery × count
//! delivery  := sequence u64 · at i64 · shape u8 · n u16 · subscription u32 × n · length u32 · entry (JSON text)
//! ```
//! Numbers are little-endian.

use std::ops::Range;

use super::{Shape, SubscriptionId};
use crate::UnixNanos;

/// Most deliveries in one frame.
pub const MAX_DELIVERIES: usize = 64;

const MAGIC: u8 = 0xE1;

/// A frame being written.
#[derive(Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    count: u16,
}

/// One entry in a frame, borrowed from it.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The entry's number in the worker's store.
    pub sequence: u64,
    /// The entry's own time: what histories are merged by.
    pub at: UnixNanos,
    /// The form of the text.
    pub shape: Shape,
    /// Whom it is for.
    pub subscriptions: Vec<SubscriptionId>,
    /// Where the text lies in the frame.
    pub entry: Range<usize>,
}

/// Why a frame cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    /// It does not begin as frames do.
    NotAFrame,
    /// It ends within a delivery.
    CutShort,
    /// A shape that does not exist.
    UnknownShape(u8),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAFrame => f.write_str("not a frame of entries"),
            Self::CutShort => f.write_str("a frame of entries ends too early"),
            Self::UnknownShape(shape) => write!(f, "a frame of entries has an unknown shape {shape}"),
        }
    }
}

impl std::error::Error for FrameError {}

impl Default for Frame {
    fn default() -> Self {
        let mut frame = Self { bytes: Vec::new(), count: 0 };
        frame.clear();
        frame
    }
}

impl Frame {
    /// Appends an entry, whose text `write` writes; gives the length of that text in bytes.
    pub fn push(
        &mut self,
        sequence: u64,
        at: UnixNanos,
        shape: Shape,
        subscriptions: &[SubscriptionId],
        write: impl FnOnce(&mut Vec<u8>),
    ) -> u32 {
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(&sequence.to_le_bytes());
        bytes.extend_from_slice(&at.0.to_le_bytes());
        bytes.push(shape as u8);
        bytes.extend_from_slice(&(subscriptions.len() as u16).to_le_bytes());
        for id in subscriptions {
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        let length_at = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        write(bytes);
        let length = (bytes.len() - length_at - 4) as u32;
        bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
        bytes[1..3].copy_from_slice(&self.count.to_le_bytes());
        length
    }

    /// How many entries it holds.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Its length in bytes so far.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the bytes and begins anew.
    pub fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        self.clear();
        bytes
    }

    fn clear(&mut self) {
        self.count = 0;
        self.bytes.clear();
        self.bytes.extend_from_slice(&[MAGIC, 0, 0]);
    }
}

/// Reads the deliveries of a frame, one by one.
#[derive(Debug)]
pub struct FrameReader<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> FrameReader<'a> {
    /// Begins to read.
    pub fn new(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Self { bytes, at: 0, left: 0 };
        let [magic] = reader.array()?;
        if magic != MAGIC {
            return Err(FrameError::NotAFrame);
        }
        reader.left = u16::from_le_bytes(reader.array()?);
        Ok(reader)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let bytes = self.bytes.get(self.at..self.at + N).ok_or(FrameError::CutShort)?;
        self.at += N;
        Ok(bytes.try_into().expect("a slice of N bytes"))
    }

    fn delivery(&mut self) -> Result<Delivery, FrameError> {
        let sequence = u64::from_le_bytes(self.array()?);
        let at = UnixNanos(i64::from_le_bytes(self.array()?));
        let [shape] = self.array()?;
        let shape = match shape {
            0 => Shape::Full,
            1 => Shape::Base,
            unknown => return Err(FrameError::UnknownShape(unknown)),
        };
        let count = u16::from_le_bytes(self.array()?);
        let subscriptions =
            (0..count).map(|_| Ok(u32::from_le_bytes(self.array()?))).collect::<Result<_, _>>()?;
        let length = u32::from_le_bytes(self.array()?) as usize;
        let entry = self.at..self.at + length;
        if entry.end > self.bytes.len() {
            return Err(FrameError::CutShort);
        }
        self.at = entry.end;
        Ok(Delivery { sequence, at, shape, subscriptions, entry })
    }
}

impl Iterator for FrameReader<'_> {
    type Item = Result<Delivery, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let delivery = self.delivery();
        if delivery.is_err() {
            self.left = 0;
        }
        Some(delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut frame = Frame::default();
        frame.push(7, UnixNanos(-3), Shape::Full, &[1, 9], |out| out.extend_from_slice(b"{\"a\":1}"));
        frame.push(8, UnixNanos(4), Shape::Base, &[], |out| out.extend_from_slice(b"{}"));
        let bytes = frame.take();
        let read: Vec<_> = FrameReader::new(&bytes).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].sequence, read[0].at, read[0].shape), (7, UnixNanos(-3), Shape::Full));
        assert_eq!(read[0].subscriptions, [1, 9]);
        assert_eq!(&bytes[read[0].entry.clone()], b"{\"a\":1}");
        assert_eq!(&bytes[read[1].entry.clone()], b"{}");
        assert_eq!(frame.count(), 0);
    }

    #[test]
    fn every_cut_is_an_error() {
        let mut frame = Frame::default();
        frame.push(7, UnixNanos(0), Shape::Full, &[1], |out| out.extend_from_slice(b"{}"));
        let bytes = frame.take();
        for end in 0..bytes.len() {
            let cut = FrameReader::new(&bytes[..end]).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            assert_eq!(cut, Err(FrameError::CutShort), "cut at {end}");
        }
    }
}
