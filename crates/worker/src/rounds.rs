//! The engine: one reader, many shards, any number of threads, one order.
//!
//! Work goes on in rounds. In a round each thread runs its own shards; who is done first takes what is left:
//!
//! ```text
//!   shard i    finish the transactions of the round before, now that their streams have numbers;
//!              then run its packets of this batch through flow table and dissectors
//!   read       read the next batch from the source and decode it as far as the flows
//!   write      write out what the shards finished in the round before
//! ```
//!
//! Between two rounds one thread numbers the new streams by their first packets and turns the wheel: what was read
//! becomes the present batch, what was finished is handed to the writer. Shards share nothing and there is always the
//! same number of them, so output depends neither on the number of threads nor on their speed. With one thread there is
//! no other thread at all: the same loop runs the same tasks.
//!
//! A shard stays with its thread: what a thread allocated it also frees. Threads that take each other's shards wait for
//! each other in the allocator instead (docs/decisions/001-rounds.md).

use std::{
    io,
    sync::{
        Arc, Barrier, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use flow::{FlowTable, Ordinal, SHARDS, Share};

use api::{Entry, Node};

use crate::{
    CaptureError, CaptureStats, Ledger, Limits,
    batch::{Batch, Event},
    lock,
    tap::{Owner, Tap},
};

/// Fills batches. A live source may return an empty batch after a while; a file waits.
pub(crate) trait BatchSource: Send {
    /// Fills `batch`, which is empty. Once it holds the end, it is not asked again.
    /// After an error the batch holds what was read before it, and the end.
    fn fill(&mut self, batch: &mut Batch) -> Result<(), CaptureError>;

    /// What was captured and decoded so far.
    fn account(&mut self) -> (CaptureStats, flow::DecodeCounters);

    /// How many packets it has handed on. Cheaper than the whole account.
    fn packets(&self) -> u64;

    /// Which share of new flows is shed now. A file waits instead.
    fn shedding(&self) -> Share {
        Share::NONE
    }
}

/// What can be asked between two rounds.
pub(crate) trait Account {
    /// How many packets were read.
    fn packets(&self) -> u64;

    /// What was counted so far, summed over the shards.
    fn ledger(&self) -> Ledger;

    /// Which share of new flows is shed now.
    fn shedding(&self) -> Share;
}

/// Turns an entry into what the consumer wants. Runs on any thread.
pub(crate) trait Finish: Sync {
    /// What it makes.
    type Item: Send;

    /// Makes it, or nothing. `buffer` is for items that are ranges of it: the consumer sees it beside each item.
    fn finish(&self, entry: Entry, buffer: &mut Vec<u8>) -> Option<Self::Item>;
}

/// Takes what was finished, in order.
pub(crate) trait Consume<T>: Send {
    /// Takes one item and the buffer that it was made with.
    fn consume(&mut self, item: T, buffer: &[u8]) -> io::Result<()>;

    /// The next item was completed by this packet.
    fn before(&mut self, _ordinal: Ordinal) {}

    /// The shards are done with a batch: its frames, if it kept any, may be taken. Called before `round`.
    fn frames(&mut self, _batch: &mut Batch) {}

    /// A round is over: nothing else runs.
    fn round(&mut self, account: &dyn Account) -> io::Result<()>;

    /// It was the last round.
    fn end(&mut self) {}
}

/// Gives streams their numbers.
pub(crate) trait Numbers {
    /// The next number.
    fn next(&mut self) -> u64;
}

/// Why the engine stopped before the end of the source.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The source failed; everything before was consumed.
    Capture(CaptureError),
    /// The consumer failed.
    Output(io::Error),
}

/// Where an item stands in the output: the packet that completed it, then stream, then index.
type Position = (Ordinal, u64, u64);

struct Shard<T> {
    table: FlowTable<Tap>,
    tap: Tap,
    output: Output<T>,
}

/// What a shard finished in one round.
struct Output<T> {
    items: Vec<(Position, T)>,
    buffer: Vec<u8>,
}

impl<T> Default for Output<T> {
    fn default() -> Self {
        Self { items: Vec::new(), buffer: Vec::new() }
    }
}

/// The parts that tasks take turns with. No two tasks of a round touch the same one.
struct Engine<'a, F: Finish, C> {
    node: Arc<Node>,
    source: Mutex<Box<dyn BatchSource>>,
    finish: &'a F,
    consumer: Mutex<C>,
    shards: Vec<Mutex<Shard<F::Item>>>,
    present: RwLock<Batch>,
    next: Mutex<Batch>,
    finished: Mutex<Vec<Output<F::Item>>>,
    /// The source has ended: nothing more is read.
    ended: AtomicBool,
    stopped: Mutex<Option<Stopped>>,
    threads: usize,
    /// The next of the tasks that are no shard's.
    task: AtomicUsize,
}

const READ: usize = 0;
const WRITE: usize = 1;

/// What was read passes the shards in the next round, is finished in the one after, and written in the third.
const ROUNDS_AFTER_END: usize = 3;

/// Runs `source` to its end; gives the last ledger, and why it stopped before the end.
pub(crate) fn run<F, C>(
    node: Arc<Node>,
    limits: &Limits,
    source: Box<dyn BatchSource>,
    finish: &F,
    consumer: C,
    numbers: &mut dyn Numbers,
    threads: usize,
) -> (Ledger, Option<Stopped>)
where
    F: Finish,
    C: Consume<F::Item>,
{
    let dissect_limits = Arc::new(limits.dissect.clone());
    let flow_limits = Arc::new(limits.flow.clone());
    let shard = || {
        let tap = Tap::new(Arc::clone(&dissect_limits), Arc::clone(&flow_limits));
        Mutex::new(Shard { table: FlowTable::new(&limits.flow), tap, output: Output::default() })
    };
    let engine = Engine {
        node,
        source: Mutex::new(source),
        finish,
        consumer: Mutex::new(consumer),
        shards: (0..SHARDS).map(|_| shard()).collect(),
        present: RwLock::default(),
        next: Mutex::default(),
        finished: Mutex::new((0..SHARDS).map(|_| Output::default()).collect()),
        ended: AtomicBool::new(false),
        stopped: Mutex::default(),
        task: AtomicUsize::new(0),
        threads: threads.max(1),
    };
    let engine = &engine;
    let helpers = engine.threads - 1;
    let (start, end, over) = (Barrier::new(helpers + 1), Barrier::new(helpers + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        let (start, end, over) = (&start, &end, &over);
        for helper in 1..=helpers {
            scope.spawn(move || {
                let _guard = AbortOnPanic;
                loop {
                    start.wait();
                    if over.load(Ordering::Acquire) {
                        return;
                    }
                    engine.work(helper);
                    end.wait();
                }
            });
        }
        let _guard = AbortOnPanic;
        engine.rounds(numbers, || {
            start.wait();
            engine.work(0);
            end.wait();
        });
        over.store(true, Ordering::Release);
        start.wait();
    });
    lock(&engine.consumer).end();
    (engine.ledger(), lock(&engine.stopped).take())
}

impl<F: Finish, C: Consume<F::Item>> Engine<'_, F, C> {
    fn rounds(&self, numbers: &mut dyn Numbers, round: impl Fn()) {
        let mut after_end = 0;
        lock(&self.next).clear();
        while after_end < ROUNDS_AFTER_END {
            after_end += usize::from(self.ended.load(Ordering::Relaxed));
            self.task.store(0, Ordering::Relaxed);
            round();
            self.turn(numbers);
            if matches!(*lock(&self.stopped), Some(Stopped::Output(_))) {
                return;
            }
        }
    }

    /// Runs the thread's own shards, then reads and writes, if nobody else has yet.
    fn work(&self, thread: usize) {
        for shard in (thread..SHARDS).step_by(self.threads) {
            self.shard(shard);
        }
        loop {
            match self.task.fetch_add(1, Ordering::Relaxed) {
                READ => self.read(),
                WRITE => {
                    if let Err(error) = self.write() {
                        *lock(&self.stopped) = Some(Stopped::Output(error));
                    }
                }
                _ => return,
            }
        }
    }

    fn read(&self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        let mut batch = lock(&self.next);
        if let Err(error) = lock(&self.source).fill(&mut batch) {
            lock(&self.stopped).get_or_insert(Stopped::Capture(error));
        }
        self.ended.store(batch.end.is_some(), Ordering::Relaxed);
    }

    fn write(&self) -> io::Result<()> {
        let (mut finished, mut consumer) = (lock(&self.finished), lock(&self.consumer));
        let mut order = Vec::with_capacity(finished.iter().map(|output| output.items.len()).sum());
        for (shard, output) in finished.iter_mut().enumerate() {
            order.extend(output.items.drain(..).map(|(position, item)| (position, shard, item)));
        }
        order.sort_unstable_by_key(|(position, ..)| *position);
        for ((ordinal, ..), shard, item) in order {
            consumer.before(ordinal);
            consumer.consume(item, &finished[shard].buffer)?;
        }
        finished.iter_mut().for_each(|output| output.buffer.clear());
        Ok(())
    }

    fn shard(&self, index: usize) {
        let mut shard = lock(&self.shards[index]);
        let Shard { table, tap, output } = &mut *shard;
        for pending in tap.pending.drain(..) {
            let (ordinal, entry) = (pending.transaction.ordinal, pending.into_entry(&self.node));
            let position = (ordinal, entry.stream.number, entry.index);
            if let Some(item) = self.finish.finish(entry, &mut output.buffer) {
                output.items.push((position, item));
            }
        }
        let batch = self.present.read().unwrap_or_else(PoisonError::into_inner);
        table.shed(batch.shed);
        for event in batch.events(index) {
            match event {
                Event::Packet(packet, None) => table.packet(&packet, tap),
                Event::Packet(packet, Some(frame)) => {
                    tap.frame(frame);
                    table.packet(&packet, tap);
                    batch.own(frame, tap.owner());
                }
                Event::Tick(tick) => table.tick(tick.ordinal, tick.now, tap),
            }
        }
        if let Some(end) = batch.end {
            table.finish(end.ordinal, end.now, tap);
        }
    }

    /// Between two rounds: numbers the new streams, and moves everything one place on.
    fn turn(&self, numbers: &mut dyn Numbers) {
        let mut finished = lock(&self.finished);
        let mut opened = Vec::new();
        let (mut unowned, mut ended) = (Vec::new(), Vec::new());
        for (shard, done) in self.shards.iter().zip(finished.iter_mut()) {
            let mut shard = lock(shard);
            opened.append(&mut shard.tap.opened);
            unowned.append(&mut shard.tap.unowned);
            ended.append(&mut shard.tap.ended);
            std::mem::swap(&mut shard.output, done);
        }
        opened.sort_unstable_by_key(|(ordinal, _)| *ordinal);
        for (_, stream) in opened {
            stream.give(numbers.next());
        }
        let (mut present, mut next) =
            (self.present.write().unwrap_or_else(PoisonError::into_inner), lock(&self.next));
        for (frame, owner) in unowned {
            present.own(frame, owner.key());
        }
        present.ended(ended.into_iter().map(|owner: Owner| owner.key()));
        lock(&self.consumer).frames(&mut present);
        std::mem::swap(&mut *present, &mut *next);
        next.clear();
        drop(finished);
        if let Err(error) = lock(&self.consumer).round(self) {
            *lock(&self.stopped) = Some(Stopped::Output(error));
        }
    }
}

impl<F: Finish, C: Consume<F::Item>> Account for Engine<'_, F, C> {
    fn packets(&self) -> u64 {
        lock(&self.source).packets()
    }

    fn shedding(&self) -> Share {
        lock(&self.source).shedding()
    }

    fn ledger(&self) -> Ledger {
        let (capture, decode) = lock(&self.source).account();
        let mut ledger = Ledger { capture, decode, ..Ledger::default() };
        for shard in &self.shards {
            let shard = lock(shard);
            ledger.flow.add(shard.table.counters());
            ledger.dissect.add(&shard.tap.counters);
            ledger.open_flows += shard.table.len() as u64;
        }
        ledger
    }
}

/// A panic is a bug, and a thread that dies of one leaves the others waiting for ever: better to end and be restarted.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}
