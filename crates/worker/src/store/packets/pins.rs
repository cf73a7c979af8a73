//! Copies of streams that go on growing: a stream that a script copied is *pinned*, and later packets of it are appended
//! to the copy by a thread of its own.
//!
//! ```text
//! writer ──orders (locations, no bytes)──▶ copier ──▶ files in the data directory
//! ```
//!
//! A copy is appended to in whole records; if the disk refuses, it is cut back to the last whole one. Moving and removing
//! files goes through the same thread, so a copy is never written to where it no longer is. A pin ends with its stream.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError},
    },
};

use scripting::files::{FileError, Files};
use tracing::{info, warn};

use crate::{batch::StreamKey, lock};

use super::{
    PacketsError,
    counters::{Tally, count},
    export::Form,
    segments::{Location, Part, Reader},
};

/// Files of copies that are open at a time.
const OPEN: usize = 128;
/// Bytes gathered before they are written.
const GATHERED: usize = 1 << 20;
/// Packets of a stream lie apart from each other.
const AHEAD: usize = 4 << 10;

/// What the copier is told, in order.
pub(super) enum Order {
    Create {
        stream: StreamKey,
        path: String,
        form: Form,
        parts: Vec<Part>,
        /// More may come.
        goes_on: bool,
        reply: Reply<u64>,
    },
    Append(Vec<(StreamKey, Vec<Part>)>),
    Ended(Vec<StreamKey>),
    Rename {
        from: String,
        to: String,
        reply: Reply<String>,
    },
    Remove {
        path: String,
        reply: Reply<()>,
    },
    Barrier(Reply<()>),
}

/// Where an answer goes. Who asked may have gone.
pub(super) type Reply<T> = SyncSender<Result<T, PacketsError>>;

/// Which streams are pinned, and the way to the copier. Never waits.
pub(super) struct Pinned {
    orders: SyncSender<Order>,
    /// How many copies of each stream there are.
    streams: Mutex<HashMap<StreamKey, u32>>,
    len: AtomicUsize,
}

impl Pinned {
    pub(super) fn new(orders: SyncSender<Order>) -> Self {
        Self { orders, streams: Mutex::default(), len: AtomicUsize::new(0) }
    }

    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        self.len() > 0
    }

    /// Streams that are pinned.
    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Visits those packets whose stream is pinned.
    pub(super) fn each_of(
        &self,
        packets: Vec<(StreamKey, Location)>,
        mut visit: impl FnMut(StreamKey, Location),
    ) {
        let streams = lock(&self.streams);
        for (stream, location) in packets {
            if streams.contains_key(&stream) {
                visit(stream, location);
            }
        }
    }

    /// Counts one more copy of the stream.
    pub(super) fn add(&self, stream: StreamKey) {
        let mut streams = lock(&self.streams);
        *streams.entry(stream).or_default() += 1;
        self.len.store(streams.len(), Relaxed);
    }

    fn remove(&self, stream: StreamKey) {
        let mut streams = lock(&self.streams);
        if let Some(copies) = streams.get_mut(&stream) {
            *copies -= 1;
            if *copies == 0 {
                streams.remove(&stream);
            }
        }
        self.len.store(streams.len(), Relaxed);
    }

    /// Tells the copier that these ended, if it has to do with them.
    pub(super) fn send_ended(&self, ended: &[StreamKey]) {
        if !self.any() || ended.is_empty() {
            return;
        }
        let ours: Vec<_> = {
            let streams = lock(&self.streams);
            ended.iter().copied().filter(|stream| streams.contains_key(stream)).collect()
        };
        if !ours.is_empty() {
            // Where there is no room, the pins stay until there are too many.
            drop(self.orders.try_send(Order::Ended(ours)));
        }
    }

    /// Gives an order; what does not fit is counted, or told to whoever waits for it.
    pub(super) fn send(&self, order: Order, tally: &Tally) {
        let Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) = self.orders.try_send(order)
        else {
            return;
        };
        match order {
            Order::Append(streams) => {
                let packets = streams.iter().flat_map(|(_, parts)| parts).map(|(_, offsets)| offsets.len());
                count(&tally.pin_backlog, packets.sum::<usize>() as u64);
            }
            Order::Create { stream, reply, .. } => {
                self.remove(stream);
                drop(reply.try_send(Err(PacketsError::Busy)));
            }
            Order::Rename { reply, .. } => drop(reply.try_send(Err(PacketsError::Busy))),
            Order::Remove { reply, .. } | Order::Barrier(reply) => {
                drop(reply.try_send(Err(PacketsError::Busy)));
            }
            Order::Ended(_) => {}
        }
    }
}

/// One copy that goes on.
struct Pin {
    id: u64,
    path: String,
    form: Form,
    /// All of it, in whole records.
    len: u64,
}

/// The thread that writes copies.
pub(super) struct Copier {
    files: Files,
    pinned: Arc<Pinned>,
    tally: Arc<Tally>,
    most: usize,
    pins: HashMap<StreamKey, Vec<Pin>>,
    /// Pins in the order in which they came; some may have gone.
    order: VecDeque<(StreamKey, u64)>,
    n_pins: usize,
    next: u64,
    /// The last used is the last.
    open: VecDeque<(u64, File)>,
    reader: Reader,
    refused: bool,
}

impl Copier {
    /// One that continues at most `most` copies.
    pub(super) fn new(files: Files, pinned: Arc<Pinned>, tally: Arc<Tally>, most: usize) -> Self {
        Self {
            files,
            pinned,
            tally,
            most: most.max(1),
            pins: HashMap::new(),
            order: VecDeque::new(),
            n_pins: 0,
            next: 0,
            open: VecDeque::new(),
            reader: Reader::new(AHEAD),
            refused: false,
        }
    }

    /// Works until nobody gives orders any more.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Create { stream, path, form, parts, goes_on, reply } => {
                    let created = self.create(stream, path, form, &parts, goes_on);
                    if created.is_err() || !goes_on {
                        self.pinned.remove(stream);
                    }
                    drop(reply.try_send(created));
                }
                Order::Append(streams) => {
                    for (stream, parts) in streams {
                        self.append(stream, &parts);
                    }
                }
                Order::Ended(streams) => {
                    for stream in streams {
                        self.forget(stream, |_| true);
                    }
                }
                Order::Rename { from, to, reply } => drop(reply.try_send(self.rename(&from, &to))),
                Order::Remove { path, reply } => drop(reply.try_send(self.remove(&path))),
                Order::Barrier(reply) => drop(reply.try_send(Ok(()))),
            }
        }
    }

    fn create(
        &mut self,
        stream: StreamKey,
        path: String,
        form: Form,
        parts: &[Part],
        goes_on: bool,
    ) -> Result<u64, PacketsError> {
        // Who copies to the same place again begins anew.
        self.forget(stream, |pin| pin.path == path);
        let file = self.files.create(&path)?;
        let mut pin = Pin { id: self.next, path, form, len: 0 };
        self.next += 1;
        let mut out = Vec::new();
        pin.form.begin(&mut out);
        let written = self.write(&file, &mut pin, stream, parts, out);
        let packets = match written {
            Ok(packets) => packets,
            Err(error) => {
                drop(self.files.remove(&pin.path));
                return Err(error);
            }
        };
        if goes_on {
            self.keep_open(pin.id, file);
            self.order.push_back((stream, pin.id));
            self.pins.entry(stream).or_default().push(pin);
            self.n_pins += 1;
            self.bound();
        }
        Ok(packets)
    }

    fn append(&mut self, stream: StreamKey, parts: &[Part]) {
        let Some(mut pins) = self.pins.remove(&stream) else { return };
        let packets: usize = parts.iter().map(|(_, offsets)| offsets.len()).sum();
        pins.retain_mut(|pin| {
            let Some(file) = self.take_open(pin) else {
                self.n_pins -= 1;
                self.pinned.remove(stream);
                return false;
            };
            match self.write(&file, pin, stream, parts, Vec::new()) {
                Ok(_) if self.refused => {
                    self.refused = false;
                    info!("Copies of streams go on");
                }
                Ok(_) => {}
                Err(error) => {
                    count(&self.tally.pin_refused, packets as u64);
                    if !std::mem::replace(&mut self.refused, true) {
                        warn!(%error, path = pin.path, "A copy of a stream misses packets: they can't be written");
                    }
                }
            }
            self.keep_open(pin.id, file);
            true
        });
        if !pins.is_empty() {
            self.pins.insert(stream, pins);
        }
    }

    /// Writes `out` and the packets behind it. After an error the file ends where it ended before.
    fn write(
        &mut self,
        file: &File,
        pin: &mut Pin,
        stream: StreamKey,
        parts: &[Part],
        mut out: Vec<u8>,
    ) -> Result<u64, PacketsError> {
        let begun = pin.len;
        let mut written = 0;
        let put = |out: &mut Vec<u8>, len: &mut u64| -> Result<(), PacketsError> {
            self.files.admit(out.len() as u64)?;
            file.write_all_at(out, *len)?;
            *len += out.len() as u64;
            out.clear();
            Ok(())
        };
        let mut copy = || -> Result<(), PacketsError> {
            for (segment, offsets) in parts {
                for &offset in offsets {
                    let (header, bytes) = self.reader.packet(segment, offset)?;
                    if header.stream != stream {
                        continue;
                    }
                    match pin.form.packet(&header, bytes, &mut out) {
                        Ok(()) => written += 1,
                        Err(_) => count(&self.tally.pin_link_type, 1),
                    }
                    if out.len() >= GATHERED {
                        put(&mut out, &mut pin.len)?;
                    }
                }
            }
            put(&mut out, &mut pin.len)
        };
        let copied = copy();
        if let Err(error) = copied {
            // Half a record would make the file unreadable from there on.
            drop(file.set_len(begun));
            pin.len = begun;
            return Err(error);
        }
        Ok(written)
    }

    /// The file of a pin, if it is still the one that was written.
    fn take_open(&mut self, pin: &Pin) -> Option<File> {
        let file = match self.open.iter().position(|(id, _)| *id == pin.id) {
            Some(index) => self.open.remove(index).map(|(_, file)| file)?,
            None => self.files.existing(&pin.path).ok()?,
        };
        (file.metadata().ok()?.len() == pin.len).then_some(file)
    }

    fn keep_open(&mut self, id: u64, file: File) {
        self.open.push_back((id, file));
        if self.open.len() > OPEN {
            self.open.pop_front();
        }
    }

    fn bound(&mut self) {
        // Those that went leave their places behind.
        if self.order.len() > 2 * self.n_pins + 64 {
            let pins = &self.pins;
            self.order.retain(|(stream, id)| {
                pins.get(stream).is_some_and(|pins| pins.iter().any(|pin| pin.id == *id))
            });
        }
        while self.n_pins > self.most
            && let Some((stream, id)) = self.order.pop_front()
        {
            let before = self.n_pins;
            self.forget(stream, |pin| pin.id == id);
            let gone = (before - self.n_pins) as u64;
            if gone > 0 && self.tally.read().pins_forgotten == 0 {
                warn!(limit = self.most, "Too many streams are copied: the oldest copies are not continued");
            }
            count(&self.tally.pins_forgotten, gone);
        }
    }

    /// Ends pins of a stream.
    fn forget(&mut self, stream: StreamKey, mut which: impl FnMut(&Pin) -> bool) {
        let Some(pins) = self.pins.get_mut(&stream) else { return };
        let mut gone = BTreeSet::new();
        pins.retain(|pin| {
            let goes = which(pin);
            if goes {
                gone.insert(pin.id);
            }
            !goes
        });
        if pins.is_empty() {
            self.pins.remove(&stream);
        }
        self.n_pins -= gone.len();
        self.open.retain(|(id, _)| !gone.contains(id));
        for _ in gone {
            self.pinned.remove(stream);
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<String, PacketsError> {
        let there = self.files.rename(from, to)?;
        let from = plain(from);
        // What was there is no longer what was copied.
        self.forget_below(&there);
        for pin in self.pins.values_mut().flatten() {
            if let Some(rest) = below(&pin.path, &from) {
                pin.path = format!("{there}{rest}");
            }
        }
        Ok(there)
    }

    fn remove(&mut self, path: &str) -> Result<(), PacketsError> {
        self.files.remove(path)?;
        self.forget_below(&plain(path));
        Ok(())
    }

    fn forget_below(&mut self, path: &str) {
        let streams: BTreeSet<_> = self
            .pins
            .iter()
            .filter(|(_, pins)| pins.iter().any(|pin| below(&pin.path, path).is_some()))
            .map(|(stream, _)| *stream)
            .collect();
        for stream in streams {
            self.forget(stream, |pin| below(&pin.path, path).is_some());
        }
    }
}

/// A path without what means nothing.
pub(super) fn plain(path: &str) -> String {
    path.split('/').filter(|name| !matches!(*name, "" | ".")).collect::<Vec<_>>().join("/")
}

/// What of `path` is below `directory`, or nothing if it is elsewhere.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(directory)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

impl From<io::Error> for PacketsError {
    fn from(cause: io::Error) -> Self {
        Self::Disk(cause)
    }
}

impl From<FileError> for PacketsError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}
