//! A packet as it lies in a segment: 36 bytes, then what was captured.

use crate::batch::StreamKey;

/// What a segment begins with.
pub(super) const MAGIC: [u8; 16] = *b"kubeshark pkts 1";

/// Bytes before each packet.
pub(super) const HEADER: usize = 36;

/// No packet is longer; a header that says so is none.
const MAX_CAPTURED: u32 = 16 << 20;

/// All of a packet but its bytes. Times are nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) stream: StreamKey,
    pub(super) at: i64,
    pub(super) captured: u32,
    pub(super) wire: u32,
    pub(super) interface: u32,
    pub(super) link_type: u32,
}

impl Header {
    /// The record's length, header and all.
    pub(super) fn len(&self) -> usize {
        HEADER + self.captured as usize
    }

    pub(super) fn write(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        let mut rest = &mut out[4..];
        let words: [&[u8]; 6] = [
            &self.captured.to_le_bytes(),
            &self.wire.to_le_bytes(),
            &self.interface.to_le_bytes(),
            &self.link_type.to_le_bytes(),
            &self.at.to_le_bytes(),
            &self.stream.0.to_le_bytes(),
        ];
        for word in words {
            let (place, more) = rest.split_at_mut(word.len());
            place.copy_from_slice(word);
            rest = more;
        }
        let sum = checksum(&out[4..]);
        out[..4].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads one; `None` if these bytes are no header.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let header = Self {
            captured: word(4),
            wire: word(8),
            interface: word(12),
            link_type: word(16),
            at: long(20) as i64,
            stream: StreamKey(long(28)),
        };
        (word(0) == checksum(&bytes[4..]) && header.captured <= MAX_CAPTURED).then_some(header)
    }
}

/// FNV-1a: enough to tell a header from what a crash left behind.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header {
            stream: StreamKey(u64::MAX - 1),
            at: -1,
            captured: 60,
            wire: 1500,
            interface: 7,
            link_type: 276,
        };
        let mut bytes = header.write();
        assert_eq!(Header::read(&bytes), Some(header));
        assert_eq!(Header::read(&bytes[..HEADER - 1]), None);
        for at in 0..HEADER {
            bytes[at] ^= 0x10;
            assert_eq!(Header::read(&bytes), None, "byte {at} is damaged");
            bytes[at] ^= 0x10;
        }
        assert_eq!(Header::read(&[0; HEADER]), None, "what a file system fills in");
    }
}
