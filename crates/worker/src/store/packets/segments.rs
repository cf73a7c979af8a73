//! Rolling segments on disk: packets of all streams one after the other, the oldest segment removed as a whole.
//!
//! A segment's index is a word per packet, the low half of its stream's key over its offset; sorted once the segment
//! is closed. So an index costs 8 bytes per packet whatever the streams are like, and goes away with its segment.

use std::{
    collections::{BTreeSet, VecDeque},
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustix::io::Errno;
use tracing::warn;

use crate::batch::StreamKey;

use super::{
    counters::{Tally, count},
    record::{HEADER, Header, MAGIC},
};

/// The largest segment; smaller ones where the limit of all is small.
const MAX_SEGMENT: u64 = 16 << 20;
/// Records gathered before they are written.
const GATHERED: usize = 1 << 20;

/// A segment's file. It can be read as long as somebody holds this, even when it was removed.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    path: PathBuf,
    number: u64,
}

/// Where a packet lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location {
    pub(super) segment: u64,
    pub(super) offset: u32,
}

/// Packets of one segment, by their offsets.
pub(super) type Part = (Arc<Segment>, Vec<u32>);

struct Rolled {
    segment: Arc<Segment>,
    /// Bytes written, all of them whole records.
    len: u64,
    index: Vec<u64>,
    packets: u64,
    /// Nothing is written to it any more, and its index is sorted.
    closed: bool,
    opened: Instant,
    newest: Instant,
}

/// All segments.
pub(super) struct Segments {
    directory: PathBuf,
    /// Oldest first.
    closed: VecDeque<Rolled>,
    /// The one that is written to.
    current: Option<Rolled>,
    next: u64,
    bytes: u64,
    /// Link types of all packets so far.
    pub(super) link_types: BTreeSet<u32>,
    limit: u64,
    max_age: Option<Duration>,
    /// Records not yet written, and how many index words and packets they have.
    gathered: Vec<u8>,
    gathered_index: usize,
    gathered_packets: u64,
}

/// What a flush could not write.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) packets: u64,
    pub(super) cause: io::Error,
}

impl Segments {
    /// Opens those in `directory`. With `recover`, what an earlier run left whole and young enough is kept; otherwise
    /// it is removed.
    pub(super) fn open(
        directory: &Path,
        limit: u64,
        max_age: Option<Duration>,
        recover: bool,
        tally: &Tally,
    ) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut segments = Self {
            directory: directory.to_owned(),
            closed: VecDeque::new(),
            current: None,
            next: 1,
            bytes: 0,
            link_types: BTreeSet::new(),
            limit,
            max_age,
            gathered: Vec::new(),
            gathered_index: 0,
            gathered_packets: 0,
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(number) = name.strip_suffix(".segment").and_then(|number| number.parse::<u64>().ok())
            {
                found.push((number, path));
            }
        }
        found.sort_unstable();
        for (number, path) in found {
            segments.next = number + 1;
            let kept = if recover { segments.recover(number, &path)? } else { None };
            match kept {
                Some(rolled) => {
                    count(&tally.recovered, rolled.packets);
                    segments.bytes += rolled.len;
                    segments.closed.push_back(rolled);
                }
                None => fs::remove_file(&path)?,
            }
        }
        segments.make_room(0, tally);
        Ok(segments)
    }

    /// What is whole of a segment, if anything that is young enough.
    fn recover(&mut self, number: u64, path: &Path) -> io::Result<Option<Rolled>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let metadata = file.metadata()?;
        let age = SystemTime::now().duration_since(metadata.modified()?).unwrap_or_default();
        let now = Instant::now();
        let (Some(newest), false) = (now.checked_sub(age), self.max_age.is_some_and(|most| age > most))
        else {
            return Ok(None);
        };
        let mut reader = BufReader::with_capacity(256 << 10, &file);
        let mut magic = [0; MAGIC.len()];
        if reader.read_exact(&mut magic).is_err() || magic != MAGIC {
            return Ok(None);
        }
        let (mut len, mut index, mut packets) = (MAGIC.len() as u64, Vec::new(), 0);
        let mut bytes = [0; HEADER];
        while reader.read_exact(&mut bytes).is_ok()
            && let Some(header) = Header::read(&bytes)
            && len + header.len() as u64 <= metadata.len()
        {
            index.extend(word(header.stream, len as u32));
            self.link_types.insert(header.link_type);
            packets += 1;
            len += header.len() as u64;
            reader.seek_relative(i64::from(header.captured))?;
        }
        // What a crash left half written goes.
        file.set_len(len)?;
        if packets == 0 {
            return Ok(None);
        }
        index.sort_unstable();
        let segment = Arc::new(Segment { file, path: path.to_owned(), number });
        Ok(Some(Rolled { segment, len, index, packets, closed: true, opened: newest, newest }))
    }

    /// Puts a packet behind all others. It is on disk after the next flush.
    pub(super) fn put(&mut self, header: &Header, bytes: &[u8], tally: &Tally) -> Result<Location, Refused> {
        let with_this = |refused: Refused| Refused { packets: refused.packets + 1, ..refused };
        let waiting = self.gathered.len() as u64;
        if waiting + header.len() as u64 > GATHERED as u64 {
            self.flush(tally).map_err(with_this)?;
        }
        let most = self.segment_bytes();
        let span = self.max_age.map(|age| age / 8);
        let is_full = self.current.as_ref().is_none_or(|current| {
            let len = current.len + self.gathered.len() as u64;
            let begun = len > MAGIC.len() as u64;
            begun
                && (len + header.len() as u64 > most
                    || span.is_some_and(|span| current.opened.elapsed() > span))
        });
        if is_full {
            self.flush(tally).map_err(with_this)?;
            self.close();
            self.begin(tally).map_err(|cause| Refused { packets: 1, cause })?;
        }
        let Some(current) = &mut self.current else {
            return Err(Refused { packets: 1, cause: io::Error::other("no segment is open") });
        };
        let offset = (current.len + self.gathered.len() as u64) as u32;
        self.gathered.extend_from_slice(&header.write());
        self.gathered.extend_from_slice(bytes);
        self.gathered_packets += 1;
        self.link_types.insert(header.link_type);
        if let Some(word) = word(header.stream, offset) {
            current.index.push(word);
            self.gathered_index += 1;
        }
        Ok(Location { segment: current.segment.number, offset })
    }

    /// Writes what was put, or none of it: after an error the segment ends where it ended before.
    pub(super) fn flush(&mut self, tally: &Tally) -> Result<(), Refused> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let needed = self.gathered.len() as u64;
        self.make_room(needed, tally);
        let mut written = self.write();
        while let Err(error) = &written
            && error.raw_os_error().is_some_and(|code| FULL.contains(&code))
            && let Some(oldest) = self.pop()
        {
            count(&tally.evicted_for_disk, oldest);
            written = self.write();
        }
        let packets = std::mem::take(&mut self.gathered_packets);
        let indexed = std::mem::take(&mut self.gathered_index);
        self.gathered.clear();
        if let Some(current) = &mut self.current {
            match written {
                Ok(()) => {
                    count(&tally.stored, packets);
                    count(&tally.without_stream, packets - indexed as u64);
                    current.len += needed;
                    current.packets += packets;
                    current.newest = Instant::now();
                    self.bytes += needed;
                }
                Err(cause) => {
                    current.index.truncate(current.index.len().saturating_sub(indexed));
                    return Err(Refused { packets, cause });
                }
            }
        }
        Ok(())
    }

    /// Writes behind the last whole record, and removes again what was written of it if not all was.
    fn write(&self) -> io::Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        let written = current.segment.file.write_all_at(&self.gathered, current.len);
        if written.is_err() {
            // If even this fails, recovery stops at the first record that is not whole.
            drop(current.segment.file.set_len(current.len));
        }
        written
    }

    /// Writes the stream into the header of a packet of which it was not known.
    pub(super) fn assign(&mut self, location: Location, stream: StreamKey) -> io::Result<()> {
        let Some(rolled) = self.find(location.segment) else { return Ok(()) };
        let Some(header) = rolled.segment.header(location.offset) else { return Ok(()) };
        rolled.segment.file.write_all_at(&Header { stream, ..header }.write(), u64::from(location.offset))?;
        if let Some(word) = word(stream, location.offset) {
            let sorted = rolled.closed;
            rolled.index.push(word);
            if sorted {
                rolled.index.sort_unstable();
            }
        }
        Ok(())
    }

    /// The packets of a stream that are on disk, in the order in which they were captured.
    pub(super) fn of(&self, stream: StreamKey) -> Vec<Part> {
        let low = stream.0 << 32;
        let offsets = |rolled: &Rolled| {
            let is_ours = |word: u64| word >> 32 == low >> 32;
            let mut offsets: Vec<u32> = if rolled.closed {
                let start = rolled.index.partition_point(|&word| word < low);
                let words = rolled.index[start..].iter().copied().take_while(|&word| is_ours(word));
                words.map(|word| word as u32).collect()
            } else {
                rolled.index.iter().copied().filter(|&word| is_ours(word)).map(|word| word as u32).collect()
            };
            offsets.sort_unstable();
            offsets
        };
        let parts = self.each().map(|rolled| (Arc::clone(&rolled.segment), offsets(rolled)));
        parts.filter(|(_, offsets)| !offsets.is_empty()).collect()
    }

    /// All segments and how far each is written.
    pub(super) fn all(&self) -> Vec<(Arc<Segment>, u64)> {
        self.each().map(|rolled| (Arc::clone(&rolled.segment), rolled.len)).collect()
    }

    /// The segment of that number, unless it was removed.
    pub(super) fn segment(&mut self, number: u64) -> Option<Arc<Segment>> {
        self.find(number).map(|rolled| Arc::clone(&rolled.segment))
    }

    /// Whether what was put there is on disk.
    pub(super) fn is_written(&mut self, location: Location) -> bool {
        self.find(location.segment).is_some_and(|rolled| u64::from(location.offset) < rolled.len)
    }

    /// Bytes and packets on disk.
    pub(super) fn held(&self) -> (u64, u64) {
        (self.bytes, self.each().map(|rolled| rolled.packets).sum())
    }

    /// Removes what has grown too old.
    pub(super) fn expire(&mut self, tally: &Tally) {
        let Some(most) = self.max_age else { return };
        if self.current.as_ref().is_some_and(|current| current.packets > 0 && current.newest.elapsed() > most)
        {
            self.close();
        }
        while self.closed.front().is_some_and(|oldest| oldest.newest.elapsed() > most) {
            count(&tally.evicted_for_age, self.pop().unwrap_or_default());
        }
    }

    /// Removes all of them: the process ends, and with it the ids by which they can be asked for.
    pub(super) fn clear(&mut self) {
        self.close();
        while self.pop().is_some() {}
    }

    fn make_room(&mut self, needed: u64, tally: &Tally) {
        while self.bytes + needed > self.limit
            && let Some(packets) = self.pop()
        {
            count(&tally.evicted_for_bytes, packets);
        }
    }

    /// Removes the oldest of those that are not written to; gives its packets.
    fn pop(&mut self) -> Option<u64> {
        let oldest = self.closed.pop_front()?;
        self.bytes -= oldest.len;
        if let Err(error) = fs::remove_file(&oldest.segment.path) {
            warn!(%error, segment = %oldest.segment.path.display(), "A segment can't be removed");
        }
        Some(oldest.packets)
    }

    fn begin(&mut self, tally: &Tally) -> io::Result<()> {
        let begin = |path: &Path| -> io::Result<File> {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
            file.write_all_at(&MAGIC, 0).inspect_err(|_| drop(fs::remove_file(path)))?;
            Ok(file)
        };
        let path = self.directory.join(format!("{:012}.segment", self.next));
        let mut begun = begin(&path);
        while let Err(error) = &begun
            && error.raw_os_error().is_some_and(|code| FULL.contains(&code))
            && let Some(oldest) = self.pop()
        {
            count(&tally.evicted_for_disk, oldest);
            begun = begin(&path);
        }
        let segment = Arc::new(Segment { file: begun?, path, number: self.next });
        self.next += 1;
        let (now, len) = (Instant::now(), MAGIC.len() as u64);
        self.bytes += len;
        self.current = Some(Rolled {
            segment,
            len,
            index: Vec::new(),
            packets: 0,
            closed: false,
            opened: now,
            newest: now,
        });
        Ok(())
    }

    fn close(&mut self) {
        if let Some(mut current) = self.current.take() {
            current.index.sort_unstable();
            current.index.shrink_to_fit();
            current.closed = true;
            self.closed.push_back(current);
        }
    }

    fn each(&self) -> impl Iterator<Item = &Rolled> {
        self.closed.iter().chain(&self.current)
    }

    fn find(&mut self, number: u64) -> Option<&mut Rolled> {
        self.closed.iter_mut().chain(&mut self.current).find(|rolled| rolled.segment.number == number)
    }

    fn segment_bytes(&self) -> u64 {
        (self.limit / 8).clamp(1, MAX_SEGMENT)
    }
}

/// A disk without room, or a quota without.
const FULL: &[i32] = &[Errno::NOSPC.raw_os_error(), Errno::DQUOT.raw_os_error()];

/// What the index has of a packet; nothing for one that belongs to no stream.
fn word(stream: StreamKey, offset: u32) -> Option<u64> {
    (stream != StreamKey::NONE).then(|| stream.0 << 32 | u64::from(offset))
}

impl Segment {
    /// Its number, higher than that of any before.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn header(&self, offset: u32) -> Option<Header> {
        let mut bytes = [0; HEADER];
        self.file.read_exact_at(&mut bytes, u64::from(offset)).ok()?;
        Header::read(&bytes)
    }
}

/// Lends the packets of segments, and reads a little ahead.
pub(super) struct Reader {
    ahead: usize,
    segment: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Reader {
    /// `ahead`: how many bytes are read at a time, at least.
    pub(super) fn new(ahead: usize) -> Self {
        Self { ahead, segment: 0, start: 0, bytes: Vec::new() }
    }

    /// The packet at `offset`.
    pub(super) fn packet(&mut self, segment: &Segment, offset: u32) -> io::Result<(Header, &[u8])> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a segment is damaged");
        let at = self.load(segment, u64::from(offset), HEADER)?;
        let header = Header::read(&self.bytes[at..]).ok_or_else(damaged)?;
        let at = self.load(segment, u64::from(offset), header.len())?;
        let bytes = self.bytes.get(at + HEADER..at + header.len()).ok_or_else(damaged)?;
        Ok((header, bytes))
    }

    /// Makes sure that `len` bytes from `offset` on are there; gives their place.
    fn load(&mut self, segment: &Segment, offset: u64, len: usize) -> io::Result<usize> {
        if let Some(at) = offset.checked_sub(self.start)
            && self.segment == segment.number
            && at as usize + len <= self.bytes.len()
        {
            return Ok(at as usize);
        }
        self.bytes.resize(self.ahead.max(len), 0);
        (self.segment, self.start) = (segment.number, offset);
        let mut filled = 0;
        while filled < self.bytes.len() {
            match segment.file.read_at(&mut self.bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(filled);
        if filled < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(0)
    }
}
