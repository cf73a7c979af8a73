//! What the engine's thread has to do next, from all other threads.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    lock,
    wire::{Kind, ToScripts},
};

/// Bytes of entries and packets that the inbox takes before whoever brings them has to wait.
const FEED_BYTES: usize = 1 << 20;

/// Something to do.
#[derive(Debug)]
pub(crate) enum Input {
    /// Entries and packets, as they came.
    Feed(Feed),
    /// What the parent said.
    Message(ToScripts),
    /// What a script waits for is there.
    Wake(u64),
    /// A job is due.
    Due(u64),
}

/// Frames as they were read, and where each body lies.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: Vec<(Kind, Range<usize>)>,
}

#[derive(Debug, Default)]
struct State {
    inputs: VecDeque<Input>,
    feed_bytes: usize,
    is_closed: bool,
}

/// Bounded where it must be: of feeds by bytes; of the rest there is one for each script, timer or request that waits.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    filled: Condvar,
    room: Condvar,
}

impl Inbox {
    /// Adds something.
    pub(crate) fn push(&self, input: Input) {
        lock(&self.state).inputs.push_back(input);
        self.filled.notify_one();
    }

    /// Adds entries and packets, once there is room for them.
    pub(crate) fn feed(&self, feed: Feed) {
        let mut state = lock(&self.state);
        while state.feed_bytes >= FEED_BYTES && !state.is_closed {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.feed_bytes += feed.bytes.len();
        state.inputs.push_back(Input::Feed(feed));
        drop(state);
        self.filled.notify_one();
    }

    /// What a script waits for is there.
    pub(crate) fn wake(&self, instance: u64) {
        self.push(Input::Wake(instance));
    }

    /// Nothing more will come from the parent.
    pub(crate) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.filled.notify_one();
        self.room.notify_all();
    }

    /// Whether nothing more will come from the parent.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).is_closed
    }

    /// Takes all there is. Where there is nothing, waits as long as this; `None`: until there is.
    pub(crate) fn take(&self, patience: Option<Duration>) -> VecDeque<Input> {
        let mut state = lock(&self.state);
        if state.inputs.is_empty() && !state.is_closed {
            state = match patience {
                Some(Duration::ZERO) => state,
                Some(patience) => {
                    self.filled.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.feed_bytes = 0;
        let inputs = std::mem::take(&mut state.inputs);
        drop(state);
        self.room.notify_all();
        inputs
    }
}
