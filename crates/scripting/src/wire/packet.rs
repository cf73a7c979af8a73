//! A packet as `onPacketCaptured` sees it.

/// What is known of a captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketInfo {
    /// Nanoseconds since the Unix epoch.
    pub at: i64,
    /// Bytes that were captured.
    pub captured: u32,
    /// Bytes that were on the wire.
    pub length: u32,
    /// It is a fragment of an IP packet.
    pub fragmented: bool,
}

impl PacketInfo {
    /// Bytes of a record on the pipe.
    pub const SIZE: usize = 32;

    /// As a record.
    ///
    /// ```text
    ///  0        8          12       16           17          32
    ///  at       captured   length   fragmented   (zeros)
    /// ```
    pub fn record(&self) -> [u8; Self::SIZE] {
        let mut record = [0; Self::SIZE];
        record[..8].copy_from_slice(&self.at.to_le_bytes());
        record[8..12].copy_from_slice(&self.captured.to_le_bytes());
        record[12..16].copy_from_slice(&self.length.to_le_bytes());
        record[16] = u8::from(self.fragmented);
        record
    }

    /// From a record.
    pub fn read(record: &[u8; Self::SIZE]) -> Self {
        let word =
            |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
        let low = u64::from(word(0));
        let high = u64::from(word(4));
        Self {
            at: (high << 32 | low) as i64,
            captured: word(8),
            length: word(12),
            fragmented: record[16] != 0,
        }
    }

    /// Whether less was captured than was on the wire.
    pub fn is_truncated(&self) -> bool {
        self.captured < self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        for info in [
            PacketInfo { at: 1_763_700_000_123_456_789, captured: 96, length: 1514, fragmented: true },
            PacketInfo { at: -1, captured: u32::MAX, length: 0, fragmented: false },
        ] {
            assert_eq!(PacketInfo::read(&info.record()), info);
        }
    }
}
