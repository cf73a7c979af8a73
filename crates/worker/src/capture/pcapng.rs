//! The pcapng format: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html>.
//!
//! Sections may follow each other, each with its own byte order and interfaces; the interfaces of all sections are
//! numbered through, so that a capture point keeps its own number.

use flow::{Frame, Ordinal, Timestamp};

use super::{
    CaptureError,
    records::{MAX_RECORD, Records},
};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Interfaces of one file are bounded: a real one has dozens.
const MAX_INTERFACES: usize = 65_536;

pub(super) const MAGIC: [u8; 4] = SECTION.to_be_bytes();

/// An interface as a file describes it.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u32,
    snaplen: u32,
    clock: Clock,
    /// Where its block begins.
    described: u64,
}

/// What a timestamp means: `offset` seconds plus so many units.
#[derive(Clone, Copy, Debug)]
struct Clock {
    units_per_second: u64,
    offset: i64,
}

/// Where the reader stands.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// The first of the present section.
    section: usize,
    /// A simple packet has no time: it gets that of the packet before it.
    last: Timestamp,
    /// Packets of interfaces that the file did not describe.
    pub(super) undescribed: u64,
    /// Drops that whoever wrote the file counted.
    pub(super) dropped_before: u64,
    /// The link type of the first frame, and where its interface is described.
    pub(super) first_link_type: Option<(u32, u64)>,
}

/// Where a packet lies in its block.
struct Found {
    interface: usize,
    at: Timestamp,
    wire_len: u32,
    data: usize,
    captured: usize,
}

impl Pcapng {
    pub(super) fn next<'a>(
        &mut self,
        records: &'a mut Records,
        ordinal: Ordinal,
    ) -> Result<Option<Frame<'a>>, CaptureError> {
        let (found, total) = loop {
            let Some((kind, total)) = self.block(records)? else { return Ok(None) };
            let offset = records.offset();
            let block = records.peek(total)?;
            if block.len() < total {
                return Err(records.truncated("a block"));
            }
            let body = &block[8..total - 4];
            let seen = match kind {
                SECTION => {
                    self.section = self.interfaces.len();
                    Ok(None)
                }
                INTERFACE => self.describe(body, offset).map(|()| None),
                ENHANCED_PACKET | OBSOLETE_PACKET => self.packet(body, kind == OBSOLETE_PACKET),
                SIMPLE_PACKET => self.simple_packet(body),
                STATISTICS => {
                    self.statistics(body);
                    Ok(None)
                }
                _ => Ok(None),
            };
            match seen {
                Err(what) => return Err(records.corrupt(what)),
                Ok(Some(found)) => break (found, total),
                Ok(None) => {
                    records.take(total, "a block")?;
                }
            }
        };
        let interface = self.interfaces[found.interface];
        self.last = found.at;
        self.first_link_type.get_or_insert((interface.link_type, interface.described));
        let block = records.take(total, "a block")?;
        Ok(Some(Frame {
            ordinal,
            at: found.at,
            interface: found.interface as u32,
            link_type: interface.link_type,
            wire_len: found.wire_len.max(found.captured as u32),
            bytes: &block[8 + found.data..8 + found.data + found.captured],
        }))
    }

    /// The kind and whole length of the next block; a section header sets the byte order first.
    fn block(&mut self, records: &mut Records) -> Result<Option<(u32, usize)>, CaptureError> {
        let head = records.peek(12)?;
        if head.is_empty() {
            return Ok(None);
        }
        let Ok(head): Result<[u8; 12], _> = head.try_into() else { return Err(records.truncated("a block")) };
        if head[..4] == MAGIC {
            self.big_endian = match &head[8..] {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return Err(records.corrupt("a section header without byte-order magic")),
            };
        }
        let (kind, total) = (self.u32(&head, 0), self.u32(&head, 4) as usize);
        if !(12..=MAX_RECORD).contains(&total) || !total.is_multiple_of(4) {
            return Err(records.corrupt(format!("a block claims {total} bytes")));
        }
        Ok(Some((kind, total)))
    }

    fn describe(&mut self, body: &[u8], described: u64) -> Result<(), String> {
        if body.len() < 8 {
            return Err("an interface description of less than 8 bytes".into());
        }
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(format!("more than {MAX_INTERFACES} interfaces"));
        }
        let mut clock = Clock { units_per_second: 1_000_000, offset: 0 };
        self.options(&body[8..], |code, value| match (code, value) {
            (9, [resolution, ..]) => clock.units_per_second = units_per_second(*resolution),
            (14, value) if value.len() == 8 => {
                clock.offset = i64::from(self.u32(value, if self.big_endian { 4 } else { 0 }))
                    | i64::from(self.u32(value, if self.big_endian { 0 } else { 4 })) << 32;
            }
            _ => {}
        });
        self.interfaces.push(Interface {
            link_type: u32::from(self.u16(body, 0)),
            snaplen: self.u32(body, 4),
            clock,
            described,
        });
        Ok(())
    }

    fn packet(&mut self, body: &[u8], obsolete: bool) -> Result<Option<Found>, String> {
        if body.len() < 20 {
            return Err("a packet block of less than 20 bytes".into());
        }
        let index = if obsolete { u32::from(self.u16(body, 0)) } else { self.u32(body, 0) } as usize;
        let captured = self.u32(body, 12) as usize;
        if captured > body.len() - 20 {
            return Err(format!("a packet of {captured} bytes in a block of {}", body.len()));
        }
        let Some(interface) = self.interfaces.get(self.section + index) else {
            self.undescribed += 1;
            return Ok(None);
        };
        let ticks = u64::from(self.u32(body, 4)) << 32 | u64::from(self.u32(body, 8));
        Ok(Some(Found {
            interface: self.section + index,
            at: interface.clock.timestamp(ticks),
            wire_len: self.u32(body, 16),
            data: 20,
            captured,
        }))
    }

    fn simple_packet(&mut self, body: &[u8]) -> Result<Option<Found>, String> {
        if body.len() < 4 {
            return Err("a simple packet block of less than 4 bytes".into());
        }
        let Some(interface) = self.interfaces.get(self.section) else {
            self.undescribed += 1;
            return Ok(None);
        };
        let wire_len = self.u32(body, 0);
        let snaplen = if interface.snaplen == 0 { usize::MAX } else { interface.snaplen as usize };
        let captured = (wire_len as usize).min(snaplen).min(body.len() - 4);
        Ok(Some(Found { interface: self.section, at: self.last, wire_len, data: 4, captured }))
    }

    fn statistics(&mut self, body: &[u8]) {
        let mut dropped = 0;
        self.options(body.get(12..).unwrap_or_default(), |code, value| {
            // isb_ifdrop and isb_osdrop.
            if matches!(code, 5 | 7) && value.len() == 8 {
                let (high, low) = if self.big_endian { (0, 4) } else { (4, 0) };
                dropped += u64::from(self.u32(value, high)) << 32 | u64::from(self.u32(value, low));
            }
        });
        self.dropped_before = self.dropped_before.saturating_add(dropped);
    }

    fn options(&self, mut bytes: &[u8], mut visit: impl FnMut(u16, &[u8])) {
        while bytes.len() >= 4 {
            let (code, len) = (self.u16(bytes, 0), usize::from(self.u16(bytes, 2)));
            let Some(value) = bytes.get(4..4 + len).filter(|_| code != 0) else { return };
            visit(code, value);
            bytes = bytes.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    fn u16(&self, bytes: &[u8], at: usize) -> u16 {
        let field = [bytes[at], bytes[at + 1]];
        if self.big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) }
    }

    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        let field = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) }
    }
}

/// `if_tsresol`: a power of ten, or with the upper bit set a power of two; what does not fit is taken as nanoseconds.
fn units_per_second(resolution: u8) -> u64 {
    let exponent = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(exponent).unwrap_or(1_000_000_000)
}

impl Clock {
    fn timestamp(self, ticks: u64) -> Timestamp {
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(self.units_per_second);
        let offset = i128::from(self.offset) * 1_000_000_000;
        Timestamp(i64::try_from(nanos as i128 + offset).unwrap_or(i64::MAX))
    }
}
