//! Bytes of a capture file, buffered so that a whole record can be lent, with the offset for messages.

use std::io::{self, Read};

use super::CaptureError;

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
}

impl Records {
    pub(super) fn new(name: String, reader: Box<dyn Read + Send>) -> Self {
        Self { name, reader, buffer: Vec::with_capacity(2 * CHUNK), start: 0, offset: 0, ended: false }
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
        CaptureError::Truncated { name: self.name.clone(), offset: self.offset, what }
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> CaptureError {
        CaptureError::Corrupt { name: self.name.clone(), offset: self.offset, what: what.into() }
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
                Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(CaptureError::Truncated {
                        name: self.name.clone(),
                        offset: self.offset + held as u64,
                        what: "the compressed stream",
                    });
                }
                Err(cause) => {
                    return Err(CaptureError::Read {
                        name: self.name.clone(),
                        offset: self.offset + held as u64,
                        cause,
                    });
                }
            }
        }
        Ok(())
    }
}

/// The raw bytes, for a decompressor.
impl Read for Records {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let held = self.peek(1).map_err(io::Error::other)?.len();
        if held == 0 {
            return Ok(0);
        }
        let len = buffer.len().min(self.buffer.len() - self.start);
        buffer[..len].copy_from_slice(&self.buffer[self.start..self.start + len]);
        self.start += len;
        self.offset += len as u64;
        Ok(len)
    }
}
