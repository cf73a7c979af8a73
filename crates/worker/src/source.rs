//! From packet sources to batches.
//!
//! Nothing here queues: a file is read when there is room for its packets; an interface is read as fast as rounds go,
//! and what waits meanwhile waits in the kernel's ring, which counts what it has to drop; a pipe has a thread of its
//! own, because a read from it can block while entries wait to be shown.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use flow::{DecodeCounters, Frame, Ordinal, Share};

use crate::{
    CaptureError, CaptureStats, Input, SourceConfig,
    batch::{Batch, Filler},
    capture::{
        CaptureFile, FileFilter, LiveCapture, LiveOptions, NotSet, PacketSource, Position, wall_clock,
    },
    lock,
    overload::Gauge,
    rounds::BatchSource,
    targets::{
        Gate, Kernel,
        filter::{self, MAX_TERMS, Program},
    },
};

/// An idle source gives way so often, so that what was read before is shown.
const IDLE: Duration = Duration::from_millis(20);

/// Opens what `config` names; its first frame follows `ordinal`. `stop` ends it early, as if it had no more packets.
/// `keep_frames`: its batches hold whole frames. `gate`: what an interface lets through; a file lets through all.
pub(crate) fn open(
    config: &SourceConfig,
    limits: &flow::Limits,
    position: &Position,
    stop: &Arc<AtomicBool>,
    ordinal: Ordinal,
    keep_frames: bool,
    gate: &Arc<Gate>,
) -> Result<Box<dyn BatchSource>, CaptureError> {
    let filler = Filler::new(limits, keep_frames);
    let stop = Arc::clone(stop);
    let filter = match &config.input {
        Input::Interface(_) => None,
        _ => config.filter.clone().map(FileFilter::new).transpose()?,
    };
    Ok(match &config.input {
        Input::File(path) if is_regular(path) => {
            let frames = Frames { file: CaptureFile::open(path, position)?, filter, refused: 0 };
            Box::new(Regular { frames, filler, ordinal, stop })
        }
        Input::File(path) => {
            let (path, position) = (path.clone(), position.clone());
            Piped::open(move || CaptureFile::open(&path, &position), filter, filler, ordinal, stop)?
        }
        Input::Stdin => {
            let position = position.clone();
            Piped::open(move || CaptureFile::stdin(&position), filter, filler, ordinal, stop)?
        }
        Input::Interface(name) => {
            let options = LiveOptions {
                snaplen: config.snaplen,
                buffer_bytes: config.buffer_bytes,
                filter: config.filter.clone(),
            };
            let (capture, gauge) =
                (LiveCapture::open(name, &options)?, Gauge::new(name, config.buffer_bytes));
            let (typed, leave_out) = (config.filter.clone(), config.leave_out.clone());
            let passage = Passage { gate: Arc::clone(gate), version: None, program: None, typed, leave_out };
            let mut live = Live { capture, filler, ordinal, stop, gauge, passage };
            live.follow();
            Box::new(live)
        }
    })
}

/// Says what can be said before anything is read: a pipe, that nobody may have opened yet, is not touched.
pub(crate) fn check(input: &Input) -> Result<(), CaptureError> {
    match input {
        Input::File(path) if is_regular(path) => CaptureFile::check(path),
        _ => Ok(()),
    }
}

/// Whether reading it never waits for somebody else. What cannot be asked fails when it is opened.
fn is_regular(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file() || metadata.is_dir())
}

/// Frames of a file, less those that the filter refuses.
struct Frames {
    file: CaptureFile,
    filter: Option<FileFilter>,
    refused: u64,
}

impl Frames {
    /// Lends the next frame to `take` unless it is refused; false at the end.
    fn next(&mut self, ordinal: Ordinal, take: impl FnOnce(&Frame<'_>)) -> Result<bool, CaptureError> {
        let Some(frame) = self.file.next_packet(ordinal)? else { return Ok(false) };
        let accepted = match &mut self.filter {
            Some(filter) => filter.accepts(frame.link_type, frame.bytes)?,
            None => true,
        };
        if accepted {
            take(&frame);
        } else {
            self.refused += 1;
        }
        Ok(true)
    }

    fn stats(&self) -> CaptureStats {
        CaptureStats { filtered: self.refused, ..self.file.stats() }
    }
}

/// What was stopped before it could be opened.
struct Nothing(Filler, Ordinal);

impl BatchSource for Nothing {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), CaptureError> {
        self.0.end(self.1, batch);
        Ok(())
    }

    fn account(&mut self) -> (CaptureStats, DecodeCounters) {
        (CaptureStats::default(), self.0.decoder.counters().clone())
    }

    fn packets(&self) -> u64 {
        0
    }
}

/// A file on disk.
struct Regular {
    frames: Frames,
    filler: Filler,
    ordinal: Ordinal,
    stop: Arc<AtomicBool>,
}

impl BatchSource for Regular {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), CaptureError> {
        while !batch.is_full() {
            self.ordinal += 1;
            let filler = &mut self.filler;
            let more = if self.stop.load(Ordering::Relaxed) {
                Ok(false)
            } else {
                self.frames.next(self.ordinal, |frame| filler.frame(frame, batch))
            };
            if !matches!(more, Ok(true)) {
                self.filler.end(self.ordinal, batch);
                return more.map(|_| ());
            }
        }
        Ok(())
    }

    fn account(&mut self) -> (CaptureStats, DecodeCounters) {
        (self.frames.stats(), self.filler.decoder.counters().clone())
    }

    fn packets(&self) -> u64 {
        self.frames.file.stats().packets
    }
}

/// An interface of this machine.
struct Live {
    capture: LiveCapture,
    filler: Filler,
    ordinal: Ordinal,
    stop: Arc<AtomicBool>,
    gauge: Gauge,
    passage: Passage,
}

/// What an interface lets through, and what the kernel knows of it.
struct Passage {
    gate: Arc<Gate>,
    /// The version of the rules that are followed.
    version: Option<u64>,
    /// What the kernel follows.
    program: Option<Program>,
    /// The filter that the user typed.
    typed: Option<String>,
    /// Our own servers.
    leave_out: Vec<SocketAddr>,
}

impl BatchSource for Live {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), CaptureError> {
        if self.passage.version != Some(self.passage.gate.version()) {
            self.follow();
        }
        if self.stop.load(Ordering::Relaxed) {
            self.filler.end(self.ordinal + 1, batch);
            return Ok(());
        }
        if self.gauge.is_due() {
            self.gauge.observe(self.capture.full_stats().kernel_dropped, wall_clock());
        }
        batch.shed = self.gauge.share();
        let filled = self.read(batch);
        if filled.is_err() {
            self.filler.end(self.ordinal + 1, batch);
        }
        filled
    }

    fn account(&mut self) -> (CaptureStats, DecodeCounters) {
        let (own, not_targeted) = self.filler.refused();
        let stats = CaptureStats { own, not_targeted, ..self.capture.full_stats() };
        (stats, self.filler.decoder.counters().clone())
    }

    fn packets(&self) -> u64 {
        self.capture.stats().packets
    }

    fn shedding(&self) -> Share {
        self.gauge.share()
    }
}

impl Live {
    /// Follows the present rules: exactly from the next packet on, and in the kernel as far as its limits go.
    fn follow(&mut self) {
        let Passage { gate, typed, leave_out, .. } = &self.passage;
        let version = gate.version();
        let rules = gate.rules();
        let mut terms = MAX_TERMS;
        let (kernel, program) = loop {
            let filter = filter::of(typed.as_deref(), leave_out, &rules, terms);
            let before = gate.kernel();
            if before.error.is_none() && self.passage.program.as_ref() == Some(&filter.program) {
                let kernel = Kernel { coarse: filter.coarse, ..before };
                gate.followed(version, kernel.clone());
                break (kernel, filter.program);
            }
            let set = match self.capture.set_filter(&filter.program) {
                Err(NotSet::TooLong) if terms > 0 => {
                    terms /= 2;
                    continue;
                }
                Ok(instructions) => Ok(instructions),
                Err(NotSet::TooLong) => Err("the kernel takes no filter so long".to_owned()),
                Err(NotSet::Failed(error)) => Err(error),
            };
            let text = match &filter.program {
                Program::All => None,
                Program::Nothing => Some("nothing".to_owned()),
                Program::Text(text) => Some(text.clone()),
            };
            let kernel = match set {
                Ok(instructions) => {
                    Kernel { filter: text, coarse: filter.coarse, instructions, ..Kernel::default() }
                }
                // What was in force before stays, and the rules are kept all the same.
                Err(error) => Kernel { coarse: true, error: Some(error), ..before },
            };
            gate.followed(version, kernel.clone());
            break (kernel, filter.program);
        };
        self.filler.follow(gate, rules, kernel.coarse);
        (self.passage.version, self.passage.program) = (Some(version), Some(program));
    }

    fn read(&mut self, batch: &mut Batch) -> Result<(), CaptureError> {
        let mut waited = false;
        while !batch.is_full() {
            if let Some(frame) = self.capture.next_packet(self.ordinal + 1)? {
                self.ordinal = frame.ordinal;
                self.gauge.frame(frame.at, frame.bytes.len());
                self.filler.frame(&frame, batch);
                continue;
            }
            self.gauge.emptied();
            if batch.is_empty() && !waited {
                self.capture.wait(IDLE)?;
                waited = true;
            } else {
                break;
            }
        }
        if batch.is_empty() {
            self.filler.advance(self.ordinal, wall_clock(), batch);
        }
        Ok(())
    }
}

/// A pipe, read by a thread of its own, which waits while the batch is full.
struct Piped {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

struct Shared {
    state: Mutex<PipeState>,
    /// Something is in the batch.
    filled: Condvar,
    /// The batch was taken.
    taken: Condvar,
}

struct PipeState {
    filler: Filler,
    batch: Batch,
    stats: CaptureStats,
    failed: Option<CaptureError>,
    /// It was stopped: nothing more is taken.
    closed: bool,
}

impl Piped {
    /// Waits until the capture begins, which may be never, or until it is stopped.
    fn open(
        open: impl FnOnce() -> Result<CaptureFile, CaptureError> + Send + 'static,
        filter: Option<FileFilter>,
        filler: Filler,
        ordinal: Ordinal,
        stop: Arc<AtomicBool>,
    ) -> Result<Box<dyn BatchSource>, CaptureError> {
        let (opened, file) = mpsc::sync_channel(1);
        // Neither thread is joined: it may be blocked in a read for ever, and ends with the process.
        thread::spawn(move || {
            // Nobody waits for it any longer once it was stopped.
            drop(opened.send(open()));
        });
        let file = loop {
            match file.recv_timeout(IDLE) {
                Ok(file) => break file?,
                Err(RecvTimeoutError::Timeout) if !stop.load(Ordering::Relaxed) => {}
                Err(_) => return Ok(Box::new(Nothing(filler, ordinal))),
            }
        };
        let frames = Frames { file, filter, refused: 0 };
        let (stats, failed) = (frames.stats(), None);
        let mut state = PipeState { filler, batch: Batch::default(), stats, failed, closed: false };
        state.batch.clear();
        let shared =
            Arc::new(Shared { state: Mutex::new(state), filled: Condvar::new(), taken: Condvar::new() });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || pump(frames, ordinal, &theirs));
        Ok(Box::new(Self { shared, stop }))
    }
}

/// Moves frames from the pipe into the shared batch until the pipe ends.
fn pump(mut frames: Frames, mut ordinal: Ordinal, shared: &Shared) {
    let room = || {
        let state = lock(&shared.state);
        let full = |state: &mut PipeState| state.batch.is_full() && !state.closed;
        shared.taken.wait_while(state, full).unwrap_or_else(PoisonError::into_inner)
    };
    loop {
        ordinal += 1;
        // A frame and its place in the account go in together.
        let mut held = None;
        let more = frames.next(ordinal, |frame| {
            let guard = held.insert(room());
            let state = &mut **guard;
            if !state.closed {
                state.filler.frame(frame, &mut state.batch);
            }
        });
        let state = &mut *held.unwrap_or_else(room);
        if state.closed {
            return;
        }
        state.stats = frames.stats();
        let ended = !matches!(more, Ok(true));
        if ended {
            state.filler.end(ordinal, &mut state.batch);
            state.failed = more.err();
        }
        shared.filled.notify_one();
        if ended {
            return;
        }
    }
}

impl BatchSource for Piped {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), CaptureError> {
        let state = lock(&self.shared.state);
        let (mut state, _) = self
            .shared
            .filled
            .wait_timeout_while(state, IDLE, |state| state.batch.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(batch, &mut state.batch);
        self.shared.taken.notify_one();
        if self.stop.load(Ordering::Relaxed) && batch.end.is_none() {
            state.closed = true;
            state.filler.end(Ordinal::MAX, batch);
        }
        state.failed.take().map_or(Ok(()), Err)
    }

    fn account(&mut self) -> (CaptureStats, DecodeCounters) {
        let state = lock(&self.shared.state);
        (state.stats, state.filler.decoder.counters().clone())
    }

    fn packets(&self) -> u64 {
        lock(&self.shared.state).stats.packets
    }
}
