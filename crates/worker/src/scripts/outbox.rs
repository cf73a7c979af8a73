//! What scripts have to say to a hub, until one takes it: bounded, and what does not fit is counted.

use std::{collections::VecDeque, sync::Mutex};

use api::messages::{ConsoleLine, FromWorker, Job, LineKind, ScriptState};
use tokio::sync::watch;

use crate::lock;

/// Most bytes of console lines that are kept.
const LINES_BYTES: usize = 1 << 20;

/// Most bytes of lines in one message.
const MESSAGE_BYTES: usize = 256 << 10;

/// Most calls of `hub.action` that wait.
const ACTIONS: usize = 256;

/// Most bytes of these.
const ACTIONS_BYTES: usize = 1 << 20;

/// What waits for hubs.
#[derive(Debug)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    /// Counts the changes.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<ConsoleLine>,
    /// The number of the first of them.
    first: u64,
    bytes: usize,
    /// The lines before this number were taken by a hub.
    taken: u64,
    states: (u64, Vec<ScriptState>),
    jobs: (u64, Vec<Job>),
    actions: VecDeque<(FromWorker, usize)>,
    actions_bytes: usize,
    dropped: Dropped,
}

/// What no hub took in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) lines: u64,
    pub(crate) actions: u64,
}

/// How much of it one hub has.
#[derive(Debug, Default)]
pub(crate) struct Place {
    line: u64,
    states: u64,
    jobs: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { inner: Mutex::default(), news: watch::Sender::new(0) }
    }
}

impl Outbox {
    /// Takes console lines, of which `dropped` were not kept before they came here.
    pub(crate) fn lines(&self, lines: impl IntoIterator<Item = ConsoleLine>) {
        self.change(|inner| {
            for line in lines {
                inner.bytes += size(&line);
                inner.lines.push_back(line);
            }
            while inner.bytes > LINES_BYTES
                && let Some(oldest) = inner.lines.pop_front()
            {
                inner.bytes -= size(&oldest);
                inner.dropped.lines += u64::from(inner.first >= inner.taken);
                inner.first += 1;
            }
        });
    }

    /// How the scripts fare now.
    pub(crate) fn states(&self, states: Vec<ScriptState>) {
        self.change(|inner| {
            if inner.states.1 != states {
                inner.states = (inner.states.0 + 1, states);
            }
        });
    }

    /// All jobs as they are now.
    pub(crate) fn jobs(&self, jobs: Vec<Job>) {
        self.change(|inner| {
            if inner.jobs.1 != jobs {
                inner.jobs = (inner.jobs.0 + 1, jobs);
            }
        });
    }

    /// A script calls the hub; false if too many calls wait.
    pub(crate) fn action(&self, script: u32, action: String, object: serde_json::Value) -> bool {
        let size = action.len() + object.to_string().len();
        self.change(|inner| {
            let room = inner.actions.len() < ACTIONS && inner.actions_bytes + size <= ACTIONS_BYTES;
            if room {
                inner.actions_bytes += size;
                inner.actions.push_back((FromWorker::HubAction { script, action, object }, size));
            } else {
                inner.dropped.actions += 1;
            }
            room
        })
    }

    /// What no hub took in time.
    pub(crate) fn dropped(&self) -> Dropped {
        lock(&self.inner).dropped
    }

    /// Tells whenever something was added.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Where a hub that has just come begins: behind the lines that a hub took before.
    pub(crate) fn place(&self) -> Place {
        Place { line: lock(&self.inner).taken, states: 0, jobs: 0 }
    }

    /// The next messages for the hub at this place; none if it has everything.
    pub(crate) fn take(&self, place: &mut Place) -> Vec<FromWorker> {
        let mut inner = lock(&self.inner);
        let mut messages: Vec<_> = inner.actions.drain(..).map(|(action, _)| action).collect();
        inner.actions_bytes = 0;
        if place.states != inner.states.0 {
            place.states = inner.states.0;
            messages.push(FromWorker::ScriptStates { states: inner.states.1.clone() });
        }
        if place.jobs != inner.jobs.0 {
            place.jobs = inner.jobs.0;
            messages.push(FromWorker::Jobs { jobs: inner.jobs.1.clone() });
        }
        let lost = inner.first.saturating_sub(place.line);
        let skip = (place.line + lost - inner.first) as usize;
        let mut left = MESSAGE_BYTES;
        let fits = |line: &&ConsoleLine| {
            let fits = left > 0;
            left = left.saturating_sub(size(line));
            fits
        };
        let lines: Vec<_> = inner.lines.iter().skip(skip).take_while(fits).cloned().collect();
        place.line += lost + lines.len() as u64;
        inner.taken = inner.taken.max(place.line);
        if lost > 0 || !lines.is_empty() {
            messages.push(FromWorker::Console { lines, lost });
        }
        messages
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let done = change(&mut lock(&self.inner));
        self.news.send_modify(|changes| *changes += 1);
        done
    }
}

/// A line of the script host itself, or about it.
pub(crate) fn complaint(script: u32, text: impl Into<String>) -> ConsoleLine {
    ConsoleLine { script, kind: LineKind::Error, text: text.into() }
}

fn size(line: &ConsoleLine) -> usize {
    line.text.len() + size_of::<ConsoleLine>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> ConsoleLine {
        complaint(1, text)
    }

    fn console(messages: &[FromWorker]) -> (Vec<&str>, u64) {
        let found = messages.iter().find_map(|message| match message {
            FromWorker::Console { lines, lost } => {
                Some((lines.iter().map(|line| &*line.text).collect(), *lost))
            }
            _ => None,
        });
        found.unwrap_or_default()
    }

    #[test]
    fn lines_wait_for_the_first_hub_and_are_not_repeated_to_the_next() {
        let outbox = Outbox::default();
        outbox.lines([line("a"), line("b")]);
        let mut first = outbox.place();
        assert_eq!(console(&outbox.take(&mut first)), (vec!["a", "b"], 0));
        outbox.lines([line("c")]);
        let mut second = outbox.place();
        for place in [&mut first, &mut second] {
            assert_eq!(console(&outbox.take(place)), (vec!["c"], 0));
            assert!(outbox.take(place).is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told() {
        let outbox = Outbox::default();
        let mut place = outbox.place();
        let long = "x".repeat(LINES_BYTES / 4);
        for _ in 0..6 {
            outbox.lines([line(&long)]);
        }
        let lost = outbox.dropped().lines;
        assert_eq!(lost, 3);
        let (mut got, mut told) = (0, 0);
        loop {
            let messages = outbox.take(&mut place);
            if messages.is_empty() {
                break;
            }
            let (lines, lost) = console(&messages);
            got += lines.len();
            told += lost;
        }
        assert_eq!((got, told), (3, lost));
        let object = || serde_json::Value::String("y".repeat(ACTIONS_BYTES / 2));
        assert!(outbox.action(1, "a".into(), object()));
        assert!(!outbox.action(1, "b".into(), object()));
        assert_eq!(outbox.dropped().actions, 1);
    }

    #[test]
    fn states_and_jobs_are_told_when_they_change() {
        let outbox = Outbox::default();
        let mut place = outbox.place();
        let state = |calls| vec![ScriptState { calls, ..ScriptState::default() }];
        outbox.states(state(1));
        outbox.states(state(2));
        assert_eq!(outbox.take(&mut place), [FromWorker::ScriptStates { states: state(2) }]);
        outbox.states(state(2));
        assert!(outbox.take(&mut place).is_empty());
        assert_eq!(outbox.take(&mut outbox.place()).len(), 1, "a new hub is told what is");
    }
}
