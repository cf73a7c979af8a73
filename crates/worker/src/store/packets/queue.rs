//! The buffer between capture and the writer: bounded in bytes, so that capture never waits for the disk.

use std::{
    collections::VecDeque,
    mem,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    batch::{Batch, Frames, KeptFrame},
    lock,
};

use super::writer::Writer;

/// What the writer is asked to do, between two batches.
pub(super) type Question = Box<dyn FnOnce(&mut Writer) + Send>;

/// What the writer does, in this order: whoever asks after a packet was pushed finds it written.
pub(super) enum Job {
    Frames { source: u32, frames: Frames },
    Question(Question),
}

/// Questions that may wait; each has somebody who waits for the answer.
const QUESTIONS: usize = 4096;
/// Emptied batches kept for use again.
const SPARE: usize = 4;

pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to do.
    filled: Condvar,
    /// Something was done.
    room: Condvar,
    limit: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    questions: usize,
    spare: Vec<Frames>,
    closed: bool,
}

impl Queue {
    /// One that holds at most `limit` bytes, or one batch.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), room: Condvar::new(), limit }
    }

    /// Takes the frames of a batch; gives back false if there is no room for them and `wait` is not set.
    pub(super) fn push(&self, source: u32, batch: &mut Batch, wait: bool) -> bool {
        let needed = weight(batch.frames());
        let full = |state: &mut State| !state.closed && state.bytes > 0 && state.bytes + needed > self.limit;
        let mut state = lock(&self.state);
        if wait {
            state = self.room.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed || full(&mut state) {
            return false;
        }
        let spare = state.spare.pop().unwrap_or_default();
        let frames = fitted(batch.take_frames(spare), &mut state.spare);
        state.bytes += weight(&frames);
        state.jobs.push_back(Job::Frames { source, frames });
        self.filled.notify_one();
        true
    }

    /// Asks the writer something; false if too much is asked already, or nobody answers any longer.
    pub(super) fn ask(&self, question: Question) -> bool {
        let mut state = lock(&self.state);
        if state.closed || state.questions >= QUESTIONS {
            return false;
        }
        state.questions += 1;
        state.jobs.push_back(Job::Question(question));
        self.filled.notify_one();
        true
    }

    /// The next job; nothing after `at_most`, or an error at the end of all jobs.
    pub(super) fn pop(&self, at_most: Duration) -> Result<Option<Job>, Closed> {
        let idle = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let (mut state, _) = self
            .filled
            .wait_timeout_while(lock(&self.state), at_most, idle)
            .unwrap_or_else(PoisonError::into_inner);
        match state.jobs.pop_front() {
            Some(job) => {
                if matches!(job, Job::Question(_)) {
                    state.questions -= 1;
                }
                Ok(Some(job))
            }
            None if state.closed => Err(Closed),
            None => Ok(None),
        }
    }

    /// The frames of a job were written.
    pub(super) fn done(&self, mut frames: Frames) {
        let mut state = lock(&self.state);
        state.bytes -= weight(&frames);
        if state.spare.len() < SPARE {
            frames.clear();
            state.spare.push(frames);
        }
        self.room.notify_all();
    }

    /// Takes nothing more; what is in it is still done.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.filled.notify_all();
        self.room.notify_all();
    }
}

/// The queue is closed and empty.
#[derive(Debug)]
pub(super) struct Closed;

/// Bytes that a batch's frames hold.
fn weight(frames: &Frames) -> usize {
    frames.arena.capacity()
        + frames.kept.capacity() * mem::size_of::<KeptFrame>()
        + frames.parts.capacity() * mem::size_of::<(u32, u64)>()
        + frames.ended.capacity() * mem::size_of::<u64>()
}

/// A batch that is mostly empty is queued in its own size, and its room is used again at once.
fn fitted(frames: Frames, spare: &mut Vec<Frames>) -> Frames {
    if frames.arena.capacity() <= 2 * frames.arena.len() + (16 << 10) {
        return frames;
    }
    let Frames { arena, mut kept, mut parts, mut ended } = frames;
    kept.shrink_to_fit();
    parts.shrink_to_fit();
    ended.shrink_to_fit();
    let small = Frames { arena: arena.clone(), kept, parts, ended };
    if spare.len() < SPARE {
        let mut large = Frames { arena, ..Frames::default() };
        large.clear();
        spare.push(large);
    }
    small
}
