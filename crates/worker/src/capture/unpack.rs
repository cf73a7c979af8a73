//! Compressed captures: gzip (RFC 1952) and zstd (RFC 8878), as many members or frames as follow each other.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::{CaptureError, records::Records};

/// The same bytes, decompressed where they are compressed. Streaming: a bomb costs time, never memory.
pub(super) fn unpacked(mut packed: Records) -> Result<Records, CaptureError> {
    if Kind::of(packed.peek(4)?).is_none() {
        return Ok(packed);
    }
    let name = packed.name().to_owned();
    Ok(Records::unpacked(name, Box::new(Unpacked(Some(Part::Between(packed))))))
}

/// What a part of a compressed file is.
enum Kind {
    Gzip,
    Zstd,
    /// A zstd frame that holds nothing of the content (RFC 8878, 3.1.2).
    Skippable,
}

impl Kind {
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd] => Some(Self::Zstd),
            [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some(Self::Skippable),
            _ => None,
        }
    }
}

/// Parts of a compressed file, one after the other.
struct Unpacked(Option<Part>);

enum Part {
    Between(Records),
    Gzip(Box<GzDecoder<Records>>),
    Zstd(Box<StreamingDecoder<Records, FrameDecoder>>),
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // The part is gone only after an error, and then nothing follows.
        while let Some(part) = self.0.take() {
            let packed = match part {
                Part::Between(packed) => {
                    self.0 = next(packed)?;
                    continue;
                }
                Part::Gzip(mut decoder) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 {
                        self.0 = Some(Part::Gzip(decoder));
                        return Ok(read);
                    }
                    decoder.into_inner()
                }
                Part::Zstd(mut decoder) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 {
                        self.0 = Some(Part::Zstd(decoder));
                        return Ok(read);
                    }
                    decoder.into_inner()
                }
            };
            self.0 = Some(Part::Between(packed));
        }
        Ok(0)
    }
}

/// The part that begins here; nothing at the end.
fn next(mut packed: Records) -> io::Result<Option<Part>> {
    let head = packed.peek(4).map_err(CaptureError::into_io)?;
    if head.is_empty() {
        return Ok(None);
    }
    match Kind::of(head) {
        Some(Kind::Gzip) => Ok(Some(Part::Gzip(Box::new(GzDecoder::new(packed))))),
        Some(Kind::Zstd) => StreamingDecoder::new(packed)
            .map(|decoder| Some(Part::Zstd(Box::new(decoder))))
            .map_err(io::Error::other),
        Some(Kind::Skippable) => skip(packed).map(|packed| Some(Part::Between(packed))),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "something else follows what was compressed")),
    }
}

fn skip(mut packed: Records) -> io::Result<Records> {
    let mut head = [0; 8];
    packed.read_exact(&mut head)?;
    let mut left = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    while left > 0 {
        let held = packed.fill_buf()?.len().min(left);
        if held == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        packed.consume(held);
        left -= held;
    }
    Ok(packed)
}
