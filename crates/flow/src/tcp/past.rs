//! What a half remembers of bytes that it delivered.

use crate::copies::Sightings;

/// The last bytes delivered, and the packets that brought them.
pub(super) struct Past {
    bytes: Vec<u8>,
    pub(super) sightings: Sightings<8>,
}

impl Past {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), sightings: Sightings::new() }
    }

    /// Appends what was just delivered, keeping `limit` bytes at most.
    pub(super) fn remember(&mut self, bytes: &[u8], limit: usize) {
        let bytes = bytes.get(bytes.len().saturating_sub(limit)..).unwrap_or(bytes);
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(limit);
        self.bytes.drain(..excess.min(self.bytes.len()));
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets the bytes: what comes next does not follow them.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
    }

    /// How many of `bytes`, which begin at offset `from`, differ from what was delivered up to offset `next`.
    pub(super) fn differing(&self, next: i64, from: i64, bytes: &[u8]) -> u64 {
        differing(next - self.bytes.len() as i64, &self.bytes, from, bytes)
    }
}

/// How many bytes differ where two stretches of a stream, at offsets `a_from` and `b_from`, overlap.
pub(super) fn differing(a_from: i64, a: &[u8], b_from: i64, b: &[u8]) -> u64 {
    let from = a_from.max(b_from);
    let to = (a_from + a.len() as i64).min(b_from + b.len() as i64);
    if from >= to {
        return 0;
    }
    let part = |at: i64| (from - at) as usize..(to - at) as usize;
    match (a.get(part(a_from)), b.get(part(b_from))) {
        (Some(a), Some(b)) if a != b => a.iter().zip(b).filter(|(a, b)| a != b).count() as u64,
        _ => 0,
    }
}
