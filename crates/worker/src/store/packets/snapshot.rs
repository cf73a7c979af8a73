//! Many packets in one file, in the order of their times.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Write},
    sync::Arc,
};

use flow::Timestamp;
use scripting::files::Files;

use crate::{
    CaptureError,
    batch::StreamKey,
    capture::{CaptureFile, PacketSource, Position},
};

use super::{
    PacketsError, Snapshot,
    counters::Tally,
    export::Form,
    record::Header,
    segments::{Part, Reader, Segment, Segments},
};

/// Read ahead: packets that follow each other in time mostly lie beside each other.
const AHEAD: usize = 64 << 10;

/// A packet to be sorted: its time, its segment's place among `parts`, its offset.
type Place = (i64, u32, u32);

/// Packets to be written in the order of their times.
#[derive(Default)]
pub(super) struct Gathered {
    segments: Vec<Arc<Segment>>,
    places: Vec<Place>,
    link_types: BTreeSet<u32>,
}

impl Gathered {
    /// Adds the packets of a stream.
    pub(super) fn stream(&mut self, stream: StreamKey, parts: &[Part]) -> io::Result<()> {
        let mut reader = Reader::new(4 << 10);
        for (segment, offsets) in parts {
            let index = self.segment(segment);
            for &offset in offsets {
                let (header, _) = reader.packet(segment, offset)?;
                if header.stream == stream {
                    self.place(&header, index, offset);
                }
            }
        }
        Ok(())
    }

    /// Adds all packets of a segment.
    pub(super) fn whole(&mut self, segment: &Arc<Segment>, len: u64) -> io::Result<()> {
        let index = self.segment(segment);
        let mut reader = Reader::new(AHEAD);
        let mut offset = super::record::MAGIC.len() as u64;
        while offset < len {
            let (header, _) = reader.packet(segment, offset as u32)?;
            self.place(&header, index, offset as u32);
            offset += header.len() as u64;
        }
        Ok(())
    }

    fn segment(&mut self, segment: &Arc<Segment>) -> u32 {
        let known = self.segments.iter().rposition(|known| Arc::ptr_eq(known, segment));
        let index = known.unwrap_or_else(|| {
            self.segments.push(Arc::clone(segment));
            self.segments.len() - 1
        });
        index as u32
    }

    fn place(&mut self, header: &Header, index: u32, offset: u32) {
        self.link_types.insert(header.link_type);
        self.places.push((header.at, index, offset));
    }

    /// Whether there is no packet.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Writes them to `file`.
    pub(super) fn write(mut self, files: &Files, file: &File) -> Result<Snapshot, PacketsError> {
        // Packets of one time stay in the order of their capture.
        self.places.sort_unstable();
        let mut form = Form::of(&self.link_types);
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let (mut reader, mut record) = (Reader::new(AHEAD), Vec::new());
        form.begin(&mut record);
        let mut bytes = 0;
        let mut told = 0;
        for (_, index, offset) in &self.places {
            if let Some(segment) = self.segments.get(*index as usize) {
                let (header, packet) = reader.packet(segment, *offset)?;
                // The form holds every link type that was gathered.
                drop(form.packet(&header, packet, &mut record));
            }
            bytes += record.len() as u64;
            if bytes - told > 1 << 20 {
                files.admit(bytes - told)?;
                told = bytes;
            }
            out.write_all(&record)?;
            record.clear();
        }
        bytes += record.len() as u64;
        out.write_all(&record)?;
        files.admit(bytes - told)?;
        out.flush()?;
        Ok(Snapshot { path: String::new(), packets: self.places.len() as u64, bytes, broken: 0 })
    }
}

/// The packets of all captures in a directory, put into segments of their own so that they can be sorted whatever
/// their number; and how many of the files were not whole.
pub(super) fn gather_files(
    files: &Files,
    directory: &str,
    spool: &mut Segments,
) -> Result<(Gathered, u64), PacketsError> {
    let tally = Tally::default();
    let mut broken = 0;
    for (name, _) in files.list(directory)? {
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        let mut capture =
            match CaptureFile::new(path.clone(), Box::new(files.read(&path)?), &Position::default()) {
                Ok(capture) => capture,
                // Other files may lie there too.
                Err(CaptureError::NotACapture { .. } | CaptureError::Empty { .. }) => continue,
                Err(_) => {
                    broken += 1;
                    continue;
                }
            };
        loop {
            let frame = match capture.next_packet(0) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                // What a crash left half written: all before it is whole.
                Err(_) => {
                    broken += 1;
                    break;
                }
            };
            let Timestamp(at) = frame.at;
            let header = Header {
                stream: StreamKey::NONE,
                at,
                captured: frame.bytes.len() as u32,
                wire: frame.wire_len,
                interface: 0,
                link_type: frame.link_type,
            };
            spool.put(&header, frame.bytes, &tally).map_err(|refused| refused.cause)?;
        }
    }
    spool.flush(&tally).map_err(|refused| refused.cause)?;
    let mut gathered = Gathered::default();
    for (segment, len) in spool.all() {
        gathered.whole(&segment, len)?;
    }
    Ok((gathered, broken))
}
