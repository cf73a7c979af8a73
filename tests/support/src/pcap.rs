//! Captures as frames, and frames as captures of every kind that exists. Written apart from the program's own reader.

use std::io::{Read, Write};

/// One frame of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Nanoseconds since the Unix epoch.
    pub at: u64,
    /// What was captured.
    pub bytes: Vec<u8>,
    /// How many bytes more were on the wire.
    pub cut: u32,
}

impl Frame {
    /// One that was captured whole.
    pub fn new(at: u64, bytes: Vec<u8>) -> Self {
        Self { at, bytes, cut: 0 }
    }

    /// Its length on the wire.
    pub fn wire_len(&self) -> u32 {
        (self.bytes.len() as u32).saturating_add(self.cut)
    }
}

/// A capture: frames of one link type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// A LINKTYPE_ number.
    pub link_type: u32,
    /// Its frames.
    pub frames: Vec<Frame>,
}

/// Which byte comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    /// The lowest.
    Little,
    /// The highest.
    Big,
}

impl Endian {
    fn u16(self, number: u16) -> [u8; 2] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}

const SECOND: u64 = 1_000_000_000;

impl Capture {
    /// Reads a little-endian pcap, as tcpdump writes it on the usual machines; gzip or not.
    ///
    /// # Panics
    ///
    /// Where it is something else, or damaged.
    pub fn read(bytes: &[u8]) -> Self {
        Self::try_read(bytes).expect("a whole little-endian pcap")
    }

    /// The same; `None` where it is something else, or damaged.
    pub fn try_read(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).ok()?;
            return Self::try_read(&plain);
        }
        let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let unit = match word(0)? {
            0xa1b2_c3d4 => 1000,
            0xa1b2_3c4d => 1,
            _ => return None,
        };
        let (mut at, mut frames) = (24, Vec::new());
        while at < bytes.len() {
            let len = word(at + 8)? as usize;
            frames.push(Frame {
                at: u64::from(word(at)?) * SECOND + u64::from(word(at + 4)?) * unit,
                bytes: bytes.get(at + 16..at + 16 + len)?.to_vec(),
                cut: word(at + 12)?.saturating_sub(len as u32),
            });
            at += 16 + len;
        }
        Some(Self { link_type: word(20)?, frames })
    }

    /// As a pcap with times in micro- or nanoseconds.
    pub fn pcap(&self, endian: Endian, nano: bool) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(endian.u32(if nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }));
        out.extend([endian.u16(2), endian.u16(4)].concat());
        out.extend([0, 0, 262_144, self.link_type].map(|word| endian.u32(word)).concat());
        for frame in &self.frames {
            let fraction = frame.at % SECOND / if nano { 1 } else { 1000 };
            let len = frame.bytes.len() as u32;
            let header = [(frame.at / SECOND) as u32, fraction as u32, len, frame.wire_len()];
            out.extend(header.map(|word| endian.u32(word)).concat());
            out.extend(&frame.bytes);
        }
        out
    }

    /// As a pcapng of one section and one interface, with times in nanoseconds.
    pub fn pcapng(&self, endian: Endian) -> Vec<u8> {
        let mut out = Vec::new();
        let mut block = |kind: u32, body: &[u8]| {
            let padding = body.len().next_multiple_of(4) - body.len();
            let total = endian.u32((body.len() + padding + 12) as u32);
            out.extend([&endian.u32(kind)[..], &total, body, &[0; 3][..padding], &total].concat());
        };
        let section = [&endian.u32(0x1a2b_3c4d)[..], &endian.u16(1), &endian.u16(0), &[0xff; 8]];
        block(0x0a0d_0d0a, &section.concat());
        // The option if_tsresol (9) of one byte: 10^-9 seconds.
        let resolution = [&endian.u16(9)[..], &endian.u16(1), &[9, 0, 0, 0], &endian.u32(0)].concat();
        let interface =
            [&endian.u16(self.link_type as u16)[..], &endian.u16(0), &endian.u32(262_144), &resolution];
        block(1, &interface.concat());
        for frame in &self.frames {
            let len = frame.bytes.len() as u32;
            let header = [0, (frame.at >> 32) as u32, frame.at as u32, len, frame.wire_len()];
            block(6, &[&header.map(|word| endian.u32(word)).concat(), &frame.bytes[..]].concat());
        }
        out
    }
}

/// Compressed by gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).and_then(|()| out.finish()).expect("memory")
}

/// Compressed by zstd.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let whole = Frame::new(1_700_000_000_123_456_789, vec![1, 2, 3]);
        let frames = vec![whole.clone(), Frame { cut: 1000, ..whole }];
        let capture = Capture { link_type: 1, frames };
        assert_eq!(Capture::read(&gzip(&capture.pcap(Endian::Little, true))), capture);
    }
}
