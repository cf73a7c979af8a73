//! Frames on the pipe between a worker and its script host.

use std::{io::Read, ops::Range};

/// Bytes of the longest frame, without its length.
pub const MAX_FRAME: usize = 64 << 20;

const HEAD: usize = 5;

/// Bytes that are read at a time: what a processor's cache still holds when it is worked on.
const READ: usize = 1 << 16;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// JSON of a control message.
    Control = 0,
    /// JSON of one entry.
    Entry = 1,
    /// Packet records.
    Packets = 2,
    /// A number and the JSON of one entry.
    Query = 3,
}

/// Why a stream of frames can't be read on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The pipe broke.
    #[error("the pipe broke")]
    Pipe(#[from] std::io::Error),
    /// The other side speaks another language.
    #[error("a frame of {0} bytes, where {MAX_FRAME} is the most")]
    TooLong(usize),
    /// The other side speaks another language.
    #[error("a frame of unknown kind {0}")]
    Unknown(u8),
}

/// Appends a frame.
pub fn frame(out: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    let start = begin(out, kind);
    out.extend_from_slice(body);
    end(out, start);
}

/// Begins a frame whose body is appended in place; returns what [`end`] wants.
pub fn begin(out: &mut Vec<u8>, kind: Kind) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind as u8]);
    start
}

/// Ends a frame: its length is known now.
pub fn end(out: &mut [u8], start: usize) {
    let len = (out.len() - start - 4) as u32;
    if let Some(head) = out.get_mut(start..start + 4) {
        head.copy_from_slice(&len.to_le_bytes());
    }
}

/// Reads frames, as many at once as the pipe has.
#[derive(Debug)]
pub struct Frames<R> {
    pipe: R,
    bytes: Vec<u8>,
    filled: usize,
}

impl<R: Read> Frames<R> {
    /// Reads from this pipe.
    pub fn new(pipe: R) -> Self {
        Self { pipe, bytes: vec![0; READ], filled: 0 }
    }

    /// Waits for frames: the bytes that hold them, and where in them each body lies. `None` at the pipe's end.
    #[expect(clippy::type_complexity, reason = "bytes, and where the frames are in them")]
    pub fn read(&mut self) -> Result<Option<(Vec<u8>, Vec<(Kind, Range<usize>)>)>, FrameError> {
        loop {
            let read = self.pipe.read(&mut self.bytes[self.filled..])?;
            if read == 0 {
                return Ok(None);
            }
            self.filled += read;
            let (frames, used, wanted) = cut(&self.bytes[..self.filled])?;
            if wanted > self.bytes.len() {
                self.bytes.resize(wanted, 0);
            }
            if !frames.is_empty() {
                let whole = self.bytes[..used].to_vec();
                self.bytes.copy_within(used..self.filled, 0);
                self.filled -= used;
                if self.bytes.len() > READ && wanted <= READ && self.filled < READ {
                    // What one long frame took is not kept for ever.
                    self.bytes.truncate(READ);
                    self.bytes.shrink_to_fit();
                }
                return Ok(Some((whole, frames)));
            }
        }
    }
}

type Cut = (Vec<(Kind, Range<usize>)>, usize, usize);

/// The whole frames, how many bytes they take, and how many bytes the one that follows needs.
fn cut(bytes: &[u8]) -> Result<Cut, FrameError> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + HEAD) {
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if len == 0 || len > MAX_FRAME {
            return Err(FrameError::TooLong(len));
        }
        let end = at + 4 + len;
        if end > bytes.len() {
            return Ok((frames, at, end - at));
        }
        let kind = match head[4] {
            0 => Kind::Control,
            1 => Kind::Entry,
            2 => Kind::Packets,
            3 => Kind::Query,
            unknown => return Err(FrameError::Unknown(unknown)),
        };
        frames.push((kind, at + HEAD..end));
        at = end;
    }
    Ok((frames, at, HEAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of one size.
    struct Trickle(Vec<u8>, usize);

    impl Read for Trickle {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let long = vec![b'x'; 300_000];
        for piece in [1, 3, 5, 6, 4096, 1 << 20] {
            let mut bytes = Vec::new();
            frame(&mut bytes, Kind::Control, b"{}");
            frame(&mut bytes, Kind::Entry, &long);
            frame(&mut bytes, Kind::Packets, b"");
            let mut frames = Frames::new(Trickle(bytes, piece));
            let mut seen = Vec::new();
            while let Some((bytes, found)) = frames.read().unwrap() {
                seen.extend(found.into_iter().map(|(kind, range)| (kind, bytes[range].to_vec())));
            }
            let expected =
                [(Kind::Control, b"{}".to_vec()), (Kind::Entry, long.clone()), (Kind::Packets, vec![])];
            assert_eq!(seen, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [vec![0xff; 8], vec![0; 8], vec![1, 0, 0, 0, 9]] {
            assert!(Frames::new(Trickle(bytes, 64)).read().is_err());
        }
    }
}
