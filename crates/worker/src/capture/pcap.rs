//! The classic pcap format: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html>.

use flow::{Frame, Ordinal, Timestamp};

use super::{
    CaptureError,
    records::{MAX_RECORD, Records},
};

const HEADER: usize = 24;
/// Where the file header names the link type.
pub(super) const LINK_TYPE_AT: usize = 20;
/// Seconds, fraction, captured length, original length.
const RECORD_HEADER: usize = 16;
/// With them the interface, protocol and kind of the packet: the "modified" pcap of old Linux distributions.
const LONG_RECORD_HEADER: usize = 24;

/// How numbers and times are written in this file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pcap {
    big_endian: bool,
    /// What one unit of the fraction of a second is worth.
    nanos_per_tick: i64,
    record_header: usize,
    pub(super) link_type: u32,
}

impl Pcap {
    /// Whether a file that begins with `magic` is one.
    pub(super) fn recognises(magic: [u8; 4]) -> bool {
        Self::variant(magic).is_some()
    }

    /// Byte order, nanoseconds per tick, length of a record's header.
    fn variant(magic: [u8; 4]) -> Option<(bool, i64, usize)> {
        match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => Some((false, 1_000, RECORD_HEADER)),
            [0xa1, 0xb2, 0xc3, 0xd4] => Some((true, 1_000, RECORD_HEADER)),
            [0x4d, 0x3c, 0xb2, 0xa1] => Some((false, 1, RECORD_HEADER)),
            [0xa1, 0xb2, 0x3c, 0x4d] => Some((true, 1, RECORD_HEADER)),
            [0x34, 0xcd, 0xb2, 0xa1] => Some((false, 1_000, LONG_RECORD_HEADER)),
            [0xa1, 0xb2, 0xcd, 0x34] => Some((true, 1_000, LONG_RECORD_HEADER)),
            _ => None,
        }
    }

    pub(super) fn open(records: &mut Records) -> Result<Self, CaptureError> {
        let header: [u8; HEADER] = take_array(records, "the file header")?;
        let magic = [header[0], header[1], header[2], header[3]];
        let (big_endian, nanos_per_tick, record_header) =
            Self::variant(magic).ok_or_else(|| records.corrupt("no pcap magic"))?;
        let mut pcap = Self { big_endian, nanos_per_tick, record_header, link_type: 0 };
        // The upper bits say whether and how frames carry a checksum (FCS).
        pcap.link_type = pcap.number(&header, LINK_TYPE_AT) & 0xffff;
        Ok(pcap)
    }

    pub(super) fn next<'a>(
        &self,
        records: &'a mut Records,
        ordinal: Ordinal,
    ) -> Result<Option<Frame<'a>>, CaptureError> {
        if records.peek(1)?.is_empty() {
            return Ok(None);
        }
        if records.peek(self.record_header)?.len() < self.record_header {
            return Err(records.truncated("a packet's header"));
        }
        let header: [u8; RECORD_HEADER] =
            records.peek(RECORD_HEADER)?.try_into().map_err(|_| records.truncated("a packet's header"))?;
        let captured = self.number(&header, 8) as usize;
        if captured > MAX_RECORD {
            return Err(records.corrupt(format!("packet {ordinal} claims {captured} captured bytes")));
        }
        let record = records.take(self.record_header + captured, "a packet")?;
        Ok(Some(Frame {
            ordinal,
            at: Timestamp(
                i64::from(self.number(&header, 0)) * 1_000_000_000
                    + i64::from(self.number(&header, 4)) * self.nanos_per_tick,
            ),
            interface: 0,
            link_type: self.link_type,
            // Some writers leave the original length 0.
            wire_len: self.number(&header, 12).max(captured as u32),
            bytes: &record[self.record_header..],
        }))
    }

    fn number(&self, bytes: &[u8], at: usize) -> u32 {
        let field = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) }
    }
}

fn take_array<const N: usize>(records: &mut Records, what: &'static str) -> Result<[u8; N], CaptureError> {
    let taken = records.take(N, what)?;
    Ok(std::array::from_fn(|index| taken[index]))
}
