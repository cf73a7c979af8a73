//! Where a body ends, RFC 9112 §6 and §7.

use super::parser::{Head, StartLine};
use crate::{DissectError, Limits};

/// What a head says of its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Nothing.
    Absent,
    /// So many bytes.
    Exactly(u64),
    /// Chunks; and the transfer codings under them, innermost first.
    Chunked(Vec<String>),
    /// Something that nobody can rely on.
    Unknown,
}

/// How the body that is being read ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many more bytes.
    Left(u64),
    /// With the connection.
    UntilClose,
    /// With the last chunk.
    Chunked(Chunk),
}

/// ```text
///   Size ──▶ Data ──▶ DataEnd ──▶ Size
///     └─ 0 ─▶ Trailers ──▶ the end
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
}

/// A message whose head is known and whose body comes in.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) head: Head,
    pub(super) framing: Framing,
    pub(super) body: Body,
    /// Codes of the interim responses before this one.
    pub(super) interim: Vec<u16>,
    /// Bytes of the line being awaited that hold no line end.
    looked: usize,
    trailer_bytes: usize,
}

/// What came of a body.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Its bytes, without chunk framing, up to the limit.
    pub(super) bytes: Vec<u8>,
    /// How many there were.
    pub(super) total: u64,
    pub(super) gap: u64,
    pub(super) ambiguous: bool,
    pub(super) truncated: bool,
    /// The chunk framing broke.
    pub(super) broken: bool,
}

/// What came of some input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// The message ends after so many bytes.
    Done(usize),
    /// So many bytes were taken, perhaps none; the message goes on.
    Took(usize),
}

/// Whether a gap leaves the framing known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gapped {
    /// The message goes on after it.
    Inside,
    /// The message ended exactly with it.
    AtEnd,
    /// Nobody knows where the message ends.
    Beyond,
}

impl Partial {
    pub(super) fn new(head: Head, framing: Framing) -> Self {
        Self { head, framing, body: Body::default(), interim: Vec::new(), looked: 0, trailer_bytes: 0 }
    }

    /// Takes what it can. An error ends the message where the input begins.
    pub(super) fn feed(&mut self, input: &[u8], limits: &Limits) -> Result<Fed, DissectError> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            match self.framing {
                Framing::Left(0) => return Ok(Fed::Done(at)),
                _ if rest.is_empty() => return Ok(Fed::Took(at)),
                Framing::Left(left) => {
                    let len = self.body.keep(rest, left, limits);
                    self.framing = Framing::Left(left - len as u64);
                    at += len;
                }
                Framing::UntilClose => at += self.body.keep(rest, u64::MAX, limits),
                Framing::Chunked(Chunk::Data(left)) => {
                    let len = self.body.keep(rest, left, limits);
                    let left = left - len as u64;
                    self.framing =
                        Framing::Chunked(if left == 0 { Chunk::DataEnd } else { Chunk::Data(left) });
                    at += len;
                }
                Framing::Chunked(chunk) => {
                    let most =
                        if chunk == Chunk::Trailers { limits.head_bytes } else { limits.chunk_line_bytes };
                    let fresh = rest.get(self.looked..).unwrap_or_default();
                    let Some(found) = fresh.iter().position(|byte| *byte == b'\n') else {
                        if rest.len() > most {
                            return Err(DissectError::limit("a line of the chunk framing is too long"));
                        }
                        if chunk == Chunk::DataEnd && rest != b"\r" {
                            return Err(DissectError::malformed("a chunk is longer than its size"));
                        }
                        self.looked = rest.len();
                        return Ok(Fed::Took(at));
                    };
                    let end = self.looked + found;
                    self.looked = 0;
                    let line = rest.get(..end).unwrap_or_default();
                    match self.line(chunk, line, limits) {
                        Ok(true) => return Ok(Fed::Done(at + end + 1)),
                        Ok(false) => at += end + 1,
                        Err(error) => self.doubt_chunks(chunk).then_some(()).ok_or(error)?,
                    }
                }
            }
        }
    }

    /// `rest` is all that comes any more.
    pub(super) fn end(&mut self, rest: &[u8], limits: &Limits) {
        if let Framing::Chunked(chunk) = self.framing
            && !rest.is_empty()
            && size(rest.trim_ascii_end()).is_err()
            && self.doubt_chunks(chunk)
        {
            self.looked = 0;
            self.body.keep(rest, u64::MAX, limits);
        }
    }

    /// Where a doubtful head of a response said that there are chunks, and no first one is there, the body is what
    /// follows: a recipient that did not read the head so reads until the connection closes.
    fn doubt_chunks(&mut self, chunk: Chunk) -> bool {
        let first = chunk == Chunk::Size && self.body.total == 0 && self.body.gap == 0;
        let doubtful = self.head.ambiguous && matches!(self.head.line, StartLine::Status { .. });
        if first && doubtful {
            self.framing = Framing::UntilClose;
            self.body.ambiguous = true;
        }
        first && doubtful
    }

    /// A line of the chunk framing, without its LF; whether it is the last.
    fn line(&mut self, chunk: Chunk, line: &[u8], limits: &Limits) -> Result<bool, DissectError> {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        self.body.ambiguous |= text.len() == line.len();
        let next = match chunk {
            Chunk::Size => match size(text)? {
                (0, _) => Chunk::Trailers,
                (size, odd) => {
                    self.body.ambiguous |= odd;
                    Chunk::Data(size)
                }
            },
            Chunk::Trailers => {
                self.trailer_bytes += line.len();
                if self.trailer_bytes > limits.head_bytes {
                    return Err(DissectError::limit("the trailers are too long"));
                }
                return Ok(text.is_empty());
            }
            _ if text.is_empty() => Chunk::Size,
            _ => return Err(DissectError::malformed("a chunk is longer than its size")),
        };
        self.framing = Framing::Chunked(next);
        Ok(false)
    }

    /// `len` bytes are lost.
    pub(super) fn gap(&mut self, len: u64) -> Gapped {
        self.body.truncated = true;
        let left = match self.framing {
            Framing::UntilClose => u64::MAX,
            Framing::Left(left) | Framing::Chunked(Chunk::Data(left)) => left,
            Framing::Chunked(_) => 0,
        };
        self.looked = 0;
        // Beyond a known end, only what this message had left is its own loss.
        self.body.gap += if matches!(self.framing, Framing::Left(_)) { len.min(left) } else { len };
        if len > left {
            return Gapped::Beyond;
        }
        self.body.total += len;
        match &mut self.framing {
            Framing::Left(left) => {
                *left -= len;
                if *left == 0 {
                    return Gapped::AtEnd;
                }
            }
            Framing::Chunked(chunk) => {
                *chunk = if len == left { Chunk::DataEnd } else { Chunk::Data(left - len) };
            }
            Framing::UntilClose => {}
        }
        Gapped::Inside
    }
}

impl Body {
    /// Takes at most `left` bytes of `input`, and keeps as much as the limit allows.
    fn keep(&mut self, input: &[u8], left: u64, limits: &Limits) -> usize {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let room = limits.body_bytes.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(input.get(..len.min(room)).unwrap_or_default());
        self.truncated |= len > room;
        self.total += len as u64;
        len
    }
}

/// `chunk-size [ chunk-ext ]`, RFC 9112 §7.1; whether it has a shape that some read otherwise.
fn size(line: &[u8]) -> Result<(u64, bool), DissectError> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let after = line.get(digits..).unwrap_or_default().trim_ascii_start();
    if digits == 0 || !matches!(after.first(), None | Some(b';')) {
        return Err(DissectError::malformed("a chunk without a size"));
    }
    let mut size: u64 = 0;
    for byte in line.iter().take(digits) {
        let digit = char::from(*byte).to_digit(16).map_or(0, u64::from);
        size = size.checked_mul(16).ok_or(DissectError::malformed("a chunk size that overflows"))? + digit;
    }
    let odd = line.get(digits).is_some_and(u8::is_ascii_whitespace);
    Ok((size, odd))
}
