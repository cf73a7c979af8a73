//! Captures as frames, and frames as captures of every kind that exists. Written apart from the program's own reader.

use std::io::{Read, Write};

/// One frame of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Nanoseconds since the Unix epoch.
    pub at: u64,
    /// What was captured.
    pub bytes: Vec<u8>,
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
    pub fn read(bytes: &[u8]) -> Self {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).expect("gzip");
            return Self::read(&plain);
        }
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let unit = match word(0) {
            0xa1b2_c3d4 => 1000,
            0xa1b2_3c4d => 1,
            magic => panic!("no little-endian pcap: {magic:x}"),
        };
        let (mut at, mut frames) = (24, Vec::new());
        while at < bytes.len() {
            let len = word(at + 8) as usize;
            frames.push(Frame {
                at: u64::from(word(at)) * SECOND + u64::from(word(at + 4)) * unit,
                bytes: bytes[at + 16..at + 16 + len].to_vec(),
            });
            at += 16 + len;
        }
        Self { link_type: word(20), frames }
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
            out.extend(
                [(frame.at / SECOND) as u32, fraction as u32, len, len].map(|word| endian.u32(word)).concat(),
            );
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
            let header =
                [0, (frame.at >> 32) as u32, frame.at as u32, len, len].map(|word| endian.u32(word)).concat();
            block(6, &[&header, &frame.bytes[..]].concat());
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
        let frames = vec![Frame { at: 1_700_000_000_123_456_789, bytes: vec![1, 2, 3] }];
        let capture = Capture { link_type: 1, frames };
        assert_eq!(Capture::read(&gzip(&capture.pcap(Endian::Little, true))), capture);
    }
}
