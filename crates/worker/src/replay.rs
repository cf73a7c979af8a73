//! A capture file in; its packets and entries out, each at its place in the capture: for trying scripts.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use api::{Entry, Node};
use flow::Ordinal;
use scripting::{Host, files::Files, wire::PacketInfo};

use crate::{
    CaptureError, Input, Limits, NameHistory, PacketLimits, Packets, SourceConfig,
    batch::Batch,
    capture::Position,
    rounds::{self, Account, Consume, Finish, Stopped},
    scripts::{self, Outbox, WorkerHost},
    source,
    store::packets::Sink,
    streams::Counting,
};

/// What happens in a capture.
#[derive(Debug)]
pub enum Seen {
    /// A packet was captured.
    Packet(PacketInfo),
    /// The packet before it completed an entry.
    Entry(Box<Entry>),
}

/// What scripts can ask while a capture is replayed: its packets are kept in a directory.
pub struct Backstage {
    packets: Packets,
    host: Arc<WorkerHost>,
}

impl Backstage {
    /// Keeps packets in `directory`, and at most `script_bytes` bytes of what scripts write there.
    pub fn open(directory: &Path, script_bytes: u64) -> io::Result<Self> {
        let files = Files::open(directory, script_bytes)?;
        let limits = PacketLimits { bytes: u64::MAX, ..PacketLimits::default() };
        let packets = Packets::open(&files, &limits, false)?;
        let names = NameHistory::default();
        names.write(&files).map_err(io::Error::other)?;
        let host = WorkerHost { packets: Some(packets.clone()), names, outbox: Arc::new(Outbox::default()) };
        Ok(Self { packets, host: Arc::new(host) })
    }

    /// Who answers the scripts.
    pub fn host(&self) -> Arc<dyn Host> {
        Arc::clone(&self.host) as Arc<dyn Host>
    }

    /// Ends it, and removes the packets; what scripts wrote stays.
    pub fn close(&self) {
        self.packets.close();
    }
}

/// Reads a capture to its end and hands over what it holds, in order. `seen` says whether it wants more.
pub fn replay(
    input: Input,
    limits: &Limits,
    node: Node,
    backstage: &Backstage,
    seen: &mut (dyn FnMut(Seen) -> bool + Send),
) -> Result<(), CaptureError> {
    let stop = Arc::new(AtomicBool::new(false));
    let source = source::open(
        &SourceConfig::new(input),
        &limits.flow,
        &Position::default(),
        &stop,
        0,
        true,
        &Arc::default(),
    )?;
    let sink = backstage.packets.sink(0, true);
    let mut player = Player { sink, batches: VecDeque::new(), seen, wanted: true };
    let (_, stopped) =
        rounds::run(Arc::new(node), limits, source, &Whole, &mut player, &mut Counting::default(), 1);
    player.play_until(Ordinal::MAX);
    match stopped {
        Some(Stopped::Capture(error)) => Err(error),
        Some(Stopped::Output(_)) | None => Ok(()),
    }
}

struct Whole;

impl Finish for Whole {
    type Item = Box<Entry>;

    fn finish(&self, entry: Entry, _: &mut Vec<u8>) -> Option<Box<Entry>> {
        Some(Box::new(entry))
    }
}

/// Puts entries between packets. An entry comes two rounds after the batch that completed it.
struct Player<'a> {
    sink: Sink,
    /// Packets that were not played yet, a batch each.
    batches: VecDeque<VecDeque<(Ordinal, PacketInfo)>>,
    seen: &'a mut (dyn FnMut(Seen) -> bool + Send),
    wanted: bool,
}

/// So many rounds after a batch all of its entries have come.
const ROUNDS: usize = 3;

impl Player<'_> {
    fn play(&mut self, event: Seen) {
        self.wanted = self.wanted && (self.seen)(event);
    }

    fn play_until(&mut self, ordinal: Ordinal) {
        while let Some(batch) = self.batches.front_mut() {
            match batch.pop_front_if(|(at, _)| *at <= ordinal) {
                Some((_, info)) => self.play(Seen::Packet(info)),
                None if batch.is_empty() && self.batches.len() > 1 => drop(self.batches.pop_front()),
                None => return,
            }
        }
    }
}

impl Consume<Box<Entry>> for &mut Player<'_> {
    fn consume(&mut self, entry: Box<Entry>, _: &[u8]) -> io::Result<()> {
        self.play(Seen::Entry(entry));
        Ok(())
    }

    fn before(&mut self, ordinal: Ordinal) {
        self.play_until(ordinal);
    }

    fn frames(&mut self, batch: &mut Batch) {
        self.batches.push_back(scripts::packets::infos(batch).collect());
        self.sink.take(batch);
    }

    fn round(&mut self, _: &dyn Account) -> io::Result<()> {
        while self.batches.len() > ROUNDS {
            let last = self.batches[0].back().map_or(0, |(ordinal, _)| *ordinal);
            self.play_until(last);
            self.batches.pop_front();
        }
        if self.wanted { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    }
}
