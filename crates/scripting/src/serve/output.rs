//! What the script host says, on its way to the parent.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    engine::Output,
    lock,
    wire::{FromScripts, Kind, begin, end, frame},
};

/// Frames that wait to be written. Console lines that do not fit are dropped and counted; the rest is little.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    drained: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    lines_dropped: u64,
    is_writing: bool,
    is_broken: bool,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), drained: Condvar::new(), limit }
    }

    pub(super) fn send(&self, message: &FromScripts) {
        let mut state = lock(&self.state);
        if state.is_broken {
            return;
        }
        if matches!(message, FromScripts::Console(_)) && state.bytes.len() >= self.limit {
            state.lines_dropped += 1;
            return;
        }
        let start = begin(&mut state.bytes, Kind::Control);
        if serde_json::to_writer(&mut state.bytes, message).is_err() {
            // A vector takes everything, and every message is JSON.
            state.bytes.truncate(start);
            return;
        }
        end(&mut state.bytes, start);
        drop(state);
        self.filled.notify_one();
    }

    fn queried(&self, number: u64, entry: Option<&[u8]>) {
        let mut state = lock(&self.state);
        let mut body = number.to_le_bytes().to_vec();
        body.extend_from_slice(entry.unwrap_or_default());
        frame(&mut state.bytes, Kind::Query, &body);
        drop(state);
        self.filled.notify_one();
    }

    /// Waits until all is written; not longer than this.
    pub(super) fn drain(&self, patience: Duration) {
        let state = lock(&self.state);
        let is_full = |state: &mut State| !state.is_broken && (state.is_writing || !state.bytes.is_empty());
        drop(self.drained.wait_timeout_while(state, patience, is_full));
    }

    fn take(&self) -> Vec<u8> {
        let mut state = lock(&self.state);
        state.is_writing = false;
        if state.bytes.is_empty() {
            self.drained.notify_all();
        }
        while state.bytes.is_empty() {
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_writing = true;
        std::mem::take(&mut state.bytes)
    }
}

/// Writes what is in the queue, on a thread of its own.
pub(super) fn write_to(mut socket: UnixStream, queue: Arc<Queue>) -> io::Result<()> {
    let write = move || {
        loop {
            let bytes = queue.take();
            if let Err(error) = socket.write_all(&bytes) {
                tracing::debug!(%error, "The worker reads no more");
                lock(&queue.state).is_broken = true;
                queue.drained.notify_all();
                return;
            }
        }
    };
    std::thread::Builder::new().name("script-out".to_owned()).spawn(write).map(drop)
}

/// The engine's way to the queue.
pub(super) struct Pipe(pub(super) Arc<Queue>);

impl Output for Pipe {
    fn send(&self, message: FromScripts) {
        self.0.send(&message);
    }

    fn queried(&self, number: u64, entry: Option<&[u8]>) {
        self.0.queried(number, entry);
    }

    fn lines_dropped(&self) -> u64 {
        lock(&self.0.state).lines_dropped
    }
}
