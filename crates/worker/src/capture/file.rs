//! A capture file: opened, decompressed, recognised, read frame by frame.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flow::{Frame, Ordinal};

use super::{
    CaptureError, CaptureStats, PacketSource, pcap, pcap::Pcap, pcapng, pcapng::Pcapng, records::Records,
    unpack::unpacked,
};

/// How much of a file was read: for progress bars, and for those who wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position(Arc<AtomicU64>);

impl Position {
    /// Bytes read of the file as it lies on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A pcap or pcapng file being read.
pub(crate) struct CaptureFile {
    records: Records,
    format: Format,
    stats: CaptureStats,
    decodable: bool,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl CaptureFile {
    /// Opens a file by name.
    pub(crate) fn open(path: &Path, position: &Position) -> Result<Self, CaptureError> {
        Self::new(path.display().to_string(), Box::new(open(path)?), position)
    }

    /// Whether a file on disk can be opened.
    pub(crate) fn check(path: &Path) -> Result<(), CaptureError> {
        open(path).map(drop)
    }

    /// Reads standard input.
    pub(crate) fn stdin(position: &Position) -> Result<Self, CaptureError> {
        Self::new("standard input".into(), Box::new(io::stdin()), position)
    }

    /// Reads `reader`, called `name` in messages.
    pub(crate) fn new(
        name: String,
        reader: Box<dyn Read + Send>,
        position: &Position,
    ) -> Result<Self, CaptureError> {
        let counted = Counted { reader, position: position.clone() };
        let mut records = unpacked(Records::new(name.clone(), Box::new(counted)))?;
        let magic = records.peek(4)?;
        let format = match <[u8; 4]>::try_from(magic) {
            Ok(magic) if Pcap::recognises(magic) => Format::Pcap(Pcap::open(&mut records)?),
            Ok(pcapng::MAGIC) => Format::Pcapng(Pcapng::default()),
            _ if magic.is_empty() => return Err(CaptureError::Empty { name }),
            _ => return Err(CaptureError::NotACapture { name, found: hexadecimal(magic) }),
        };
        if let Format::Pcap(pcap) = &format
            && !flow::Decoder::supports(pcap.link_type)
        {
            let place = Some(records.place(pcap::LINK_TYPE_AT as u64));
            return Err(CaptureError::LinkType { name, link_type: pcap.link_type, place });
        }
        Ok(Self { records, format, stats: CaptureStats::default(), decodable: false })
    }

    /// At the end: a file of which nothing can be decoded is a wrong file.
    fn end(&self) -> Result<(), CaptureError> {
        match &self.format {
            Format::Pcapng(Pcapng { first_link_type: Some((link_type, described)), .. })
                if !self.decodable =>
            {
                let (name, place) = (self.records.name().to_owned(), Some(self.records.place(*described)));
                Err(CaptureError::LinkType { name, link_type: *link_type, place })
            }
            _ => Ok(()),
        }
    }
}

impl PacketSource for CaptureFile {
    fn next_packet(&mut self, ordinal: Ordinal) -> Result<Option<Frame<'_>>, CaptureError> {
        let ended = self.records.peek(1)?.is_empty();
        if ended {
            self.end()?;
        }
        let frame = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.records, ordinal),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.records, ordinal),
        }?;
        if let Some(frame) = &frame {
            self.stats.packets += 1;
            self.stats.bytes += frame.bytes.len() as u64;
            self.decodable |= flow::Decoder::supports(frame.link_type);
        }
        Ok(frame)
    }

    fn stats(&self) -> CaptureStats {
        let mut stats = self.stats;
        if let Format::Pcapng(pcapng) = &self.format {
            stats.undescribed = pcapng.undescribed;
            stats.kernel_dropped = pcapng.dropped_before;
        }
        stats
    }
}

fn open(path: &Path) -> Result<File, CaptureError> {
    let name = path.display().to_string();
    let failed = |cause| CaptureError::Open { name: name.clone(), cause };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(CaptureError::Directory { name });
    }
    Ok(file)
}

/// Counts what is read of the file as it lies on disk.
struct Counted {
    reader: Box<dyn Read + Send>,
    position: Position,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.position.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
