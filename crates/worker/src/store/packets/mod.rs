//! Packets go in as they were captured, files of single streams and of all come out.
//!
//! ```text
//! capture ─▶ rounds ──frames──▶ queue ─▶ writer ─▶ segments ──▶ downloads, snapshots
//!                     bounded in bytes      │ locations            (each reads for itself)
//!                                           └────────▶ copier ─▶ copies that scripts made
//! ```
//!
//! Capture never waits for the disk: what does not fit the queue is dropped and counted. (A file does wait.) Segments roll
//! by size and age; there is never a file per stream, but for those that a script asks to be copied.
//!
//! Which packets belong to a stream: those that its flow took, and the earlier fragments of their datagrams. A packet that
//! was captured at several points is stored once. What belongs to no stream (ARP, ICMP, stragglers of flows that are
//! over) is stored too, for snapshots of everything.
//!
//! A process that ends in order removes its segments, since its entries go with it. One that was killed leaves them: the
//! next that captures live in the same data directory cuts off what was half written, builds the index again and serves
//! them until they are too old.

mod counters;
mod export;
mod pins;
mod queue;
mod record;
mod segments;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use api::Stream;
use scripting::files::{FileError, Files};
use serde::Serialize;
use thiserror::Error;
use tracing::warn;

pub use counters::PacketCounters;

use crate::{
    batch::{Batch, StreamKey},
    lock,
};

use counters::{Tally, count};
use export::Form;
use pins::{Copier, Order, Pinned, Reply};
use queue::Queue;
use segments::{Part, Reader, Segments};
use snapshot::{Gathered, gather_files};
use writer::Writer;

/// How many packets are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketLimits {
    /// Bytes of all segments; 0 keeps none.
    pub bytes: u64,
    /// Age since arrival; packets of a file have no age.
    pub max_age: Duration,
    /// Bytes that may wait for the disk.
    pub buffer_bytes: usize,
    /// Copies of streams that are continued at a time.
    pub pins: usize,
}

/// 500 MiB, the original's storage limit. Five minutes, as long as entries: whoever still sees an entry can have its
/// packets, where the original's ten seconds were over before anybody could ask. 32 MiB of buffer bridge a quarter of a
/// second at a gigabit per second.
impl Default for PacketLimits {
    fn default() -> Self {
        Self { bytes: 500 << 20, max_age: Duration::from_mins(5), buffer_bytes: 32 << 20, pins: 100_000 }
    }
}

/// Why packets can't be had.
#[derive(Debug, Error)]
pub enum PacketsError {
    /// None of that stream are held.
    #[error(
        "no packet of stream {0} is held: there never was one, or it was removed to make room or because of its age \
         (--packets-mib and --packets-seconds keep more)"
    )]
    Gone(Stream),
    /// There is nothing to put in a snapshot.
    #[error("there are no packets to put in a snapshot")]
    Nothing,
    /// Too many ask at once.
    #[error("the packet store is busy; try again")]
    Busy,
    /// The store has ended.
    #[error("the packet store has ended")]
    Ended,
    /// A file of the data directory can't be had.
    #[error(transparent)]
    File(FileError),
    /// The disk fails.
    #[error("packets can't be read or written: {0}")]
    Disk(io::Error),
}

/// What a snapshot is made of.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// All packets held, also those of no stream.
    All,
    /// The packets of these streams.
    Streams(&'a [Stream]),
    /// The captures in a directory of the data directory.
    Directory(&'a str),
}

/// A snapshot that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it is, in the data directory: `1678819560.pcap`.
    pub path: String,
    /// Packets in it.
    pub packets: u64,
    /// Its length.
    pub bytes: u64,
    /// Files of the directory that ended within a record, or that could not be read: what is whole of them is in it.
    pub broken: u64,
}

/// What the store holds, as `/status` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PacketsStatus {
    /// Bytes of all segments on disk.
    pub bytes: u64,
    /// Packets in them.
    pub packets: u64,
    /// Streams whose copies are continued.
    pub pinned: u64,
}

/// The packets of a worker. Cheap to clone; the last one ends its threads.
#[derive(Clone)]
pub struct Packets(Arc<Inner>);

struct Inner {
    files: Files,
    queue: Arc<Queue>,
    pinned: Arc<Pinned>,
    tally: Arc<Tally>,
    held: Held,
    directory: PathBuf,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// One snapshot at a time: each reads all that it writes.
    snapshots: Mutex<()>,
    /// Held as long as the directory is ours.
    _lock: File,
}

/// Bytes and packets on disk, kept up to date by the writer.
type Held = Arc<[AtomicU64; 2]>;

/// Orders that may wait for the copier.
const ORDERS: usize = 1024;
/// Workers that may share a data directory.
const MAX_WORKERS: u32 = 64;

impl Packets {
    /// Opens the store beneath the data directory of `files`. `live`: packets have an age, and those of an earlier run
    /// that crashed are found again, since numbers of live streams are never given twice.
    pub fn open(files: &Files, limits: &PacketLimits, live: bool) -> io::Result<Self> {
        let (directory, lock) = own(&files.path().join("packets"), live, limits.max_age)?;
        let tally = Arc::new(Tally::default());
        let max_age = live.then_some(limits.max_age);
        let segments = Segments::open(&directory, limits.bytes, max_age, live, &tally)?;
        let queue = Arc::new(Queue::new(limits.buffer_bytes));
        let (orders, ordered) = sync_channel(ORDERS);
        let pinned = Arc::new(Pinned::new(orders));
        let held = Held::default();
        let mut writer = Writer::new(segments, Arc::clone(&pinned), Arc::clone(&queue), Arc::clone(&tally));
        writer.held = Arc::clone(&held);
        let copier = Copier::new(files.clone(), Arc::clone(&pinned), Arc::clone(&tally), limits.pins);
        let threads = vec![
            thread::Builder::new().name("packets".into()).spawn(move || writer.run())?,
            thread::Builder::new().name("copies".into()).spawn(move || copier.run(&ordered))?,
        ];
        Ok(Self(Arc::new(Inner {
            files: files.clone(),
            queue,
            pinned,
            tally,
            held,
            directory,
            threads: Mutex::new(threads),
            snapshots: Mutex::new(()),
            _lock: lock,
        })))
    }

    /// Where frames of the source `source` go. `waits`: rather than lose any, it waits for the disk.
    pub(crate) fn sink(&self, source: u32, waits: bool) -> Sink {
        Sink { packets: self.clone(), source, waits }
    }

    /// The data directory.
    pub fn files(&self) -> &Files {
        &self.0.files
    }

    /// The packets of a stream that are held, as the bytes of a file, piece by piece.
    pub fn download(&self, stream: Stream) -> Result<Download, PacketsError> {
        let key = StreamKey::from(stream);
        let (parts, link_types) =
            self.ask(move |writer| (writer.segments.of(key), writer.segments.link_types.clone()))?;
        let mut download = Download::new(key, parts, &link_types);
        // A key's low half may be that of another stream.
        if download.peek()? { Ok(download) } else { Err(PacketsError::Gone(stream)) }
    }

    /// Copies what is held of a stream to `to`, and goes on doing so with what comes. Gives the packets so far.
    pub fn copy(&self, stream: Stream, to: &str) -> Result<u64, PacketsError> {
        let key = StreamKey::from(stream);
        let (reply, answer) = sync_channel(1);
        let path = pins::plain(to);
        let tally = Arc::clone(&self.0.tally);
        let asked = self.0.queue.ask(Box::new(move |writer| {
            let parts = writer.segments.of(key);
            if parts.is_empty() {
                drop(reply.try_send(Err(PacketsError::Gone(stream))));
                return;
            }
            let goes_on = !writer.has_ended(key);
            let form = Form::of(&writer.segments.link_types);
            writer.pinned.add(key);
            let order = Order::Create { stream: key, path, form, parts, goes_on, reply };
            writer.pinned.send(order, &tally);
        }));
        if !asked {
            return Err(PacketsError::Busy);
        }
        answer.recv().map_err(|_| PacketsError::Ended)?
    }

    /// Waits until all that was captured before lies in segments and in the copies of its streams.
    pub fn flush(&self) -> Result<(), PacketsError> {
        self.order(Order::Barrier)
    }

    /// Moves a file or a directory of the data directory; copies of streams in it go on where they are then. Gives the
    /// new path.
    pub fn rename(&self, from: &str, to: &str) -> Result<String, PacketsError> {
        self.order(|reply| Order::Rename { from: from.to_owned(), to: to.to_owned(), reply })
    }

    /// Removes a file or a directory of the data directory; copies of streams in it end. What is not there is no error.
    pub fn remove(&self, path: &str) -> Result<(), PacketsError> {
        self.order(|reply| Order::Remove { path: path.to_owned(), reply })
    }

    /// Writes packets in the order of their times to a new file at the top of the data directory, named by the time.
    ///
    /// It is a pcap with nanoseconds if all packets have one link type, otherwise a pcapng; the name is the same, and
    /// programs tell the two apart by how they begin.
    pub fn snapshot(&self, what: What<'_>) -> Result<Snapshot, PacketsError> {
        self.flush()?;
        let _one = lock(&self.0.snapshots);
        match what {
            What::All => {
                let mut gathered = Gathered::default();
                for (segment, len) in self.ask(|writer| writer.segments.all())? {
                    gathered.whole(&segment, len)?;
                }
                self.write(gathered)
            }
            What::Streams(streams) => {
                let mut gathered = Gathered::default();
                let streams: BTreeSet<_> = streams.iter().copied().map(StreamKey::from).collect();
                for stream in streams {
                    let parts = self.ask(move |writer| writer.segments.of(stream))?;
                    gathered.stream(stream, &parts)?;
                }
                self.write(gathered)
            }
            What::Directory(directory) => {
                let spool = self.0.directory.join("spool");
                let tally = Tally::default();
                let mut segments = Segments::open(&spool, u64::MAX, None, false, &tally)?;
                let merged = gather_files(&self.0.files, directory, &mut segments)
                    .and_then(|(gathered, broken)| Ok(Snapshot { broken, ..self.write(gathered)? }));
                segments.clear();
                merged
            }
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> PacketCounters {
        self.0.tally.read()
    }

    /// What is held now.
    pub fn status(&self) -> PacketsStatus {
        let [bytes, packets] = self.0.held.each_ref().map(|held| held.load(Relaxed));
        PacketsStatus { bytes, packets, pinned: self.0.pinned.len() as u64 }
    }

    /// Writes what waits, removes the segments, and ends. Copies stay.
    pub fn close(&self) {
        self.0.queue.close();
        let threads = std::mem::take(&mut *lock(&self.0.threads));
        // The copier ends with the last handle; only the writer is waited for.
        for thread in threads.into_iter().take(1) {
            drop(thread.join());
        }
    }

    fn write(&self, gathered: Gathered) -> Result<Snapshot, PacketsError> {
        if gathered.is_empty() {
            return Err(PacketsError::Nothing);
        }
        let (path, file) = self.named_by_time()?;
        match gathered.write(&self.0.files, &file) {
            Ok(snapshot) => Ok(Snapshot { path, ..snapshot }),
            Err(error) => {
                drop(self.0.files.remove(&path));
                Err(error)
            }
        }
    }

    /// A new file `<seconds>.pcap`; if there is one of this second already, of the next.
    fn named_by_time(&self) -> Result<(String, File), PacketsError> {
        let mut now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        loop {
            let path = format!("{now}.pcap");
            if let Some(file) = self.0.files.create_new(&path)? {
                return Ok((path, file));
            }
            now += 1;
        }
    }

    /// Asks the writer, behind all frames that were pushed before.
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Result<T, PacketsError> {
        let (reply, answer) = mpsc::sync_channel(1);
        let asked = self.0.queue.ask(Box::new(move |writer| {
            // Who asked may have gone.
            drop(reply.try_send(question(writer)));
        }));
        if !asked {
            return Err(PacketsError::Busy);
        }
        answer.recv().map_err(|_| PacketsError::Ended)
    }

    /// Gives the copier an order, behind all frames that were pushed before.
    fn order<T: Send + 'static>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Result<T, PacketsError> {
        let (reply, answer) = sync_channel(1);
        let order = order(reply);
        let tally = Arc::clone(&self.0.tally);
        let asked = self.0.queue.ask(Box::new(move |writer| writer.pinned.send(order, &tally)));
        if !asked {
            return Err(PacketsError::Busy);
        }
        answer.recv().map_err(|_| PacketsError::Ended)?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Where the frames of one source go.
pub(crate) struct Sink {
    packets: Packets,
    source: u32,
    waits: bool,
}

impl Sink {
    /// Takes the frames of a batch.
    pub(crate) fn take(&self, batch: &mut Batch) {
        let frames = batch.frames();
        let n = frames.kept.len() as u64;
        if n == 0 && frames.ended.is_empty() {
            return;
        }
        if !self.packets.0.queue.push(self.source, batch, self.waits) {
            count(&self.packets.0.tally.refused_buffer, n);
        }
    }
}

/// A file of one stream's packets, made while it is sent.
pub struct Download {
    stream: StreamKey,
    form: Form,
    parts: std::vec::IntoIter<Part>,
    present: Option<(Part, usize)>,
    reader: Reader,
    /// What was made already.
    out: Vec<u8>,
    packets: u64,
}

/// A piece of a download is about so long, in bytes.
const PIECE: usize = 64 << 10;

impl Download {
    fn new(stream: StreamKey, parts: Vec<Part>, link_types: &BTreeSet<u32>) -> Self {
        let form = Form::of(link_types);
        let mut out = Vec::new();
        form.begin(&mut out);
        let (parts, reader) = (parts.into_iter(), Reader::new(4 << 10));
        Self { stream, form, parts, present: None, reader, out, packets: 0 }
    }

    /// Whether there is a packet at all.
    fn peek(&mut self) -> io::Result<bool> {
        while self.packets == 0 && self.packet()? {}
        Ok(self.packets > 0)
    }

    /// Makes the next packet; false if there is none.
    fn packet(&mut self) -> io::Result<bool> {
        loop {
            let Some(((segment, offsets), next)) = &mut self.present else {
                let Some(part) = self.parts.next() else { return Ok(false) };
                self.present = Some((part, 0));
                continue;
            };
            let Some(&offset) = offsets.get(*next) else {
                self.present = None;
                continue;
            };
            *next += 1;
            let (header, bytes) = self.reader.packet(segment, offset)?;
            // A pcap is chosen only where there was never another link type.
            if header.stream == self.stream && self.form.packet(&header, bytes, &mut self.out).is_ok() {
                self.packets += 1;
            }
            return Ok(true);
        }
    }
}

impl Iterator for Download {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.out.len() < PIECE {
            match self.packet() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Some(Err(error)),
            }
        }
        (!self.out.is_empty()).then(|| Ok(std::mem::take(&mut self.out)))
    }
}

/// A directory below `packets` that no other process uses: workers may share a data directory. Those of live captures
/// and of files are apart, so that looking into a file does not cost what a crash left to be found again.
fn own(packets: &Path, live: bool, max_age: Duration) -> io::Result<(PathBuf, File)> {
    let mut ours = None;
    for worker in 0..MAX_WORKERS {
        let directory = packets.join(format!("{}-{worker}", if live { "live" } else { "file" }));
        if ours.is_some() && !directory.exists() {
            break;
        }
        fs::create_dir_all(&directory)?;
        let lock = File::create(directory.join("lock"))?;
        match lock.try_lock() {
            Ok(()) if ours.is_none() => ours = Some((directory, lock)),
            Ok(()) => sweep(&directory, max_age),
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    let many = || format!("{MAX_WORKERS} workers keep packets in {} already", packets.display());
    ours.ok_or_else(|| io::Error::other(many()))
}

/// Removes what is too old of a run that crashed and never came back.
fn sweep(directory: &Path, max_age: Duration) {
    let old = |path: &Path| {
        let age = path.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
        path.extension().is_some_and(|kind| kind == "segment")
            && age.is_ok_and(|age| age.is_ok_and(|age| age > max_age))
    };
    let paths = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in paths.filter(|path| old(path)) {
        if let Err(error) = fs::remove_file(&path) {
            warn!(%error, path = %path.display(), "An old segment can't be removed");
        }
    }
}
