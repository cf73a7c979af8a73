//! Capture files, made byte by byte.

use std::io::{Cursor, Write};

use flow::Timestamp;

use super::{CaptureError, CaptureFile, PacketSource, Place, Position};

const NANOS: i64 = 1_700_000_000_123_456_789;

/// Writes numbers in one byte order.
struct Writer {
    bytes: Vec<u8>,
    big: bool,
}

impl Writer {
    fn u16(&mut self, number: u16) {
        self.bytes.extend(if self.big { number.to_be_bytes() } else { number.to_le_bytes() });
    }

    fn u32(&mut self, number: u32) {
        self.bytes.extend(if self.big { number.to_be_bytes() } else { number.to_le_bytes() });
    }
}

/// A pcap of one Ethernet frame of `frame` bytes.
fn pcap(big: bool, nano: bool, frame: &[u8]) -> Vec<u8> {
    let mut out = Writer { bytes: Vec::new(), big };
    out.u32(if nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 });
    out.u16(2);
    out.u16(4);
    for field in [0, 0, 262_144, 1] {
        out.u32(field);
    }
    out.u32((NANOS / 1_000_000_000) as u32);
    out.u32((NANOS % 1_000_000_000 / if nano { 1 } else { 1000 }) as u32);
    out.u32(frame.len() as u32);
    out.u32(frame.len() as u32);
    out.bytes.extend(frame);
    out.bytes
}

/// A pcapng block.
fn block(out: &mut Writer, kind: u32, body: impl FnOnce(&mut Writer)) {
    let start = out.bytes.len();
    out.u32(kind);
    out.u32(0);
    body(out);
    while !out.bytes.len().is_multiple_of(4) {
        out.bytes.push(0);
    }
    let total = (out.bytes.len() - start + 4) as u32;
    out.u32(total);
    let field = if out.big { total.to_be_bytes() } else { total.to_le_bytes() };
    out.bytes[start + 4..start + 8].copy_from_slice(&field);
}

/// A pcapng section with an interface of nanoseconds and one frame.
fn pcapng(big: bool, frame: &[u8]) -> Vec<u8> {
    let mut out = Writer { bytes: Vec::new(), big };
    block(&mut out, 0x0a0d_0d0a, |out| {
        out.u32(0x1a2b_3c4d);
        out.u16(1);
        out.u16(0);
        out.u32(u32::MAX);
        out.u32(u32::MAX);
    });
    block(&mut out, 1, |out| {
        out.u16(1);
        out.u16(0);
        out.u32(0);
        out.u16(9);
        out.u16(1);
        out.bytes.extend([9, 0, 0, 0]);
        out.u32(0);
    });
    block(&mut out, 6, |out| {
        out.u32(0);
        out.u32((NANOS as u64 >> 32) as u32);
        out.u32(NANOS as u32);
        out.u32(frame.len() as u32);
        out.u32(frame.len() as u32);
        out.bytes.extend(frame);
    });
    out.bytes
}

/// Every frame of a file, or the error that ends it.
fn read(bytes: &[u8]) -> Result<Vec<(Timestamp, Vec<u8>)>, CaptureError> {
    let reader = Box::new(Cursor::new(bytes.to_vec()));
    let mut file = CaptureFile::new("test".into(), reader, &Position::default())?;
    let mut frames = Vec::new();
    while let Some(frame) = file.next_packet(frames.len() as u64 + 1)? {
        frames.push((frame.at, frame.bytes.to_vec()));
    }
    Ok(frames)
}

#[test]
fn every_variant_reads_the_same() {
    let frame = [7_u8; 61];
    for big in [false, true] {
        let micro = NANOS / 1000 * 1000;
        assert_eq!(read(&pcap(big, false, &frame)).unwrap(), [(Timestamp(micro), frame.to_vec())]);
        assert_eq!(read(&pcap(big, true, &frame)).unwrap(), [(Timestamp(NANOS), frame.to_vec())]);
        assert_eq!(read(&pcapng(big, &frame)).unwrap(), [(Timestamp(NANOS), frame.to_vec())]);
    }
}

#[test]
fn sections_of_both_byte_orders_follow_each_other() {
    let both = [pcapng(false, b"first"), pcapng(true, b"second")].concat();
    let frames = read(&both).unwrap();
    assert_eq!(
        frames.iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>(),
        [&b"first"[..], b"second"]
    );
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn modified_pcap_reads_the_same() {
    let frame = [7_u8; 61];
    for big in [false, true] {
        let mut bytes = pcap(big, false, &frame);
        let magic = if big { [0xa1, 0xb2, 0xcd, 0x34] } else { [0x34, 0xcd, 0xb2, 0xa1] };
        bytes[..4].copy_from_slice(&magic);
        // Interface, protocol and kind of the packet, before its bytes.
        bytes.splice(40..40, [0; 8]);
        assert_eq!(read(&bytes).unwrap(), [(Timestamp(NANOS / 1000 * 1000), frame.to_vec())]);
    }
}

#[test]
fn compressed_reads_the_same() {
    let plain = pcap(false, true, &[1; 100]);
    let (gzip, zstd) = (gzipped(&plain), zipped(&plain));
    let expected = read(&plain).unwrap();
    assert_eq!(read(&gzip).unwrap(), expected);
    assert_eq!(read(&zstd).unwrap(), expected);
    for (name, compressed) in [("gzip", gzip), ("zstd", zstd)] {
        let rest = &pcap(false, true, &[2; 10])[24..];
        let twice = if name == "gzip" {
            [compressed.clone(), gzipped(rest)]
        } else {
            [compressed.clone(), zipped(rest)]
        };
        assert_eq!(read(&twice.concat()).unwrap().len(), 2, "{name}: the second member is missing");
        for end in 5..compressed.len() {
            let error = read(&compressed[..end]).unwrap_err();
            assert!(matches!(error, CaptureError::Truncated { .. }), "{name} cut at {end}: {error}");
        }
        let junk = [compressed.as_slice(), b"junk"].concat();
        let message = read(&junk).unwrap_err().to_string();
        let place = format!("damaged at byte {} of the uncompressed capture", plain.len());
        assert!(message.contains(&place), "{name}: {message}");
    }
}

#[test]
fn every_cut_names_the_offset_and_loses_nothing_before_it() {
    for whole in [pcap(false, false, &[3; 40]), pcapng(true, &[3; 40])] {
        for end in 0..whole.len() {
            match read(&whole[..end]) {
                Err(CaptureError::Empty { .. }) => assert_eq!(end, 0),
                Err(CaptureError::NotACapture { .. }) => assert!(end < 4),
                Err(CaptureError::Truncated { place, .. }) => assert!(place.offset <= end as u64),
                // A cut between two records is an end.
                Ok(frames) => assert!(frames.is_empty(), "cut at {end}"),
                Err(other) => panic!("cut at {end}: {other}"),
            }
        }
    }
}

#[test]
fn what_is_no_capture_is_named() {
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\n"[..], "test is not a capture: it begins with 47 45 54 20"),
        (b"", "test is empty"),
        (&pcap(false, false, &[])[..20], "test is cut short: the file header at byte 0"),
    ] {
        let message = read(bytes).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let mut foreign = pcap(false, false, &[0; 20]);
    foreign[20] = 105;
    assert!(read(&foreign).unwrap_err().to_string().contains("link type 105 (it says so at byte 20)"));
    let mut foreign = pcapng(false, &[0; 20]);
    foreign[36] = 105;
    assert!(read(&foreign).unwrap_err().to_string().contains("link type 105 (it says so at byte 28)"));
    let mut huge = pcap(false, false, &[0; 20]);
    huge[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        read(&huge),
        Err(CaptureError::Corrupt { place: Place { offset: 24, unpacked: false }, .. })
    ));
}
