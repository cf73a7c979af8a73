//! Bytes of a capture file, buffered so that a whole record can be lent, with the offset for messages.

use std::{
    error::Error,
    io::{self, BufRead, Read},
};

use super::{CaptureError, error::Place};

/// No record is longer: the largest real frames (BIG TCP) are half a mebibyte.
pub(super) const MAX_RECORD: usize = 16 << 20;

const CHUNK: usize = 256 << 10;

/// A reader that lends its next bytes.
pub(super) struct Records {
    name: String,
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    /// Offset of `buffer[start]` in the uncompressed capture.
    offset: u64,
    ended: bool,
    /// The reader decompresses.
    unpacked: bool,
}

impl Records {
    pub(super) fn new(name: String, reader: Box<dyn Read + Send>) -> Self {
        let buffer = Vec::with_capacity(2 * CHUNK);
        Self { name, reader, buffer, start: 0, offset: 0, ended: false, unpacked: false }
    }

    /// Bytes that come out of a decompressor.
    pub(super) fn unpacked(name: String, reader: Box<dyn Read + Send>) -> Self {
        Self { unpacked: true, ..Self::new(name, reader) }
    }

    /// Where the next byte is.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// An offset as messages have it.
    pub(super) fn place(&self, offset: u64) -> Place {
        Place { offset, unpacked: self.unpacked }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next bytes, `len` of them or as many as are left.
    pub(super) fn peek(&mut self, len: usize) -> Result<&[u8], CaptureError> {
        if self.buffer.len() - self.start < len {
            self.fill(len)?;
        }
        let end = self.buffer.len().min(self.start + len);
        Ok(&self.buffer[self.start..end])
    }

    /// The next `len` bytes, which are `what`; consumes them.
    pub(super) fn take(&mut self, len: usize, what: &'static str) -> Result<&[u8], CaptureError> {
        if self.peek(len)?.len() < len {
            return Err(self.truncated(what));
        }
        let start = self.start;
        self.start += len;
        self.offset += len as u64;
        Ok(&self.buffer[start..start + len])
    }

    pub(super) fn truncated(&self, what: &'static str) -> CaptureError {
        CaptureError::Truncated { name: self.name.clone(), place: self.place(self.offset), what }
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> CaptureError {
        CaptureError::Corrupt { name: self.name.clone(), place: self.place(self.offset), what: what.into() }
    }

    /// Why reading fails at `offset`: the file ends too soon, does not decompress, or can't be read.
    fn failed(&self, offset: u64, cause: io::Error) -> CaptureError {
        let (name, place) = (self.name.clone(), self.place(offset));
        if ends_too_soon(&cause) {
            CaptureError::Truncated { name, place, what: "the compressed stream" }
        } else if self.unpacked && cause.raw_os_error().is_none() {
            CaptureError::Corrupt { name, place, what: format!("the compressed stream is broken ({cause})") }
        } else {
            CaptureError::Read { name, place, cause }
        }
    }

    fn fill(&mut self, len: usize) -> Result<(), CaptureError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < len && !self.ended {
            let held = self.buffer.len();
            self.buffer.resize(held + CHUNK.max(len - held), 0);
            let read = loop {
                match self.reader.read(&mut self.buffer[held..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result,
                }
            };
            self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(cause) => return Err(self.failed(self.offset + held as u64, cause)),
            }
        }
        Ok(())
    }
}

/// Whether an end that nobody expected is the cause, however deep a decompressor wrapped it.
fn ends_too_soon(error: &io::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>();
        if inner.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof) {
            return true;
        }
        // An `io::Error` passes over what it wraps when it is asked for its source.
        cause = match inner.and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

/// The raw bytes, for a decompressor.
impl BufRead for Records {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1).map_err(CaptureError::into_io)?;
        Ok(&self.buffer[self.start..])
    }

    fn consume(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }
}

impl Read for Records {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let held = self.fill_buf()?;
        let len = buffer.len().min(held.len());
        buffer[..len].copy_from_slice(&held[..len]);
        self.consume(len);
        Ok(len)
    }
}
