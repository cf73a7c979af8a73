//! What scripts write, for whoever follows it: a bounded past, read by each watcher at its own pace.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use api::messages::{ConsoleLine, LineKind};
use axum::extract::ws::Utf8Bytes;
use tokio::sync::watch;

use crate::lock;

/// Most lines that a reader takes at once.
const MAX_READ: usize = 64;

/// Longest line, in bytes; what is longer is cut.
const MAX_LINE: usize = 64 << 10;

/// The newest lines. They are numbered 0, 1, 2 …
#[derive(Debug)]
pub(crate) struct Console {
    /// Most bytes of lines that are kept.
    most: usize,
    ring: Mutex<Ring>,
    /// The number of the next line.
    head: watch::Sender<u64>,
    /// Lines that workers had to drop before they reached the hub.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Utf8Bytes>,
    /// The number of the first of them.
    first: u64,
    bytes: usize,
    /// What stands before this number was cleared on purpose, and is missed by nobody.
    cleared: u64,
}

/// What a reader was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) texts: Vec<Utf8Bytes>,
    /// Lines between the reader's place and these that are gone.
    pub(crate) missed: u64,
    /// The reader's next place.
    pub(crate) next: u64,
}

impl Console {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ring: Mutex::default(), head: watch::Sender::new(0), lost: AtomicU64::new(0) }
    }

    /// Takes a line, and makes room for it.
    pub(crate) fn add(&self, mut line: String) {
        if line.len() > MAX_LINE {
            line.truncate(line.floor_char_boundary(MAX_LINE));
            line.push_str(" … (cut)");
        }
        let mut ring = lock(&self.ring);
        ring.bytes += line.len();
        ring.lines.push_back(line.into());
        while ring.bytes > self.most && ring.lines.len() > 1 {
            let Some(oldest) = ring.lines.pop_front() else { break };
            ring.bytes -= oldest.len();
            ring.first += 1;
        }
        self.head.send_replace(ring.first + ring.lines.len() as u64);
    }

    /// Takes what a script wrote on a node.
    pub(crate) fn write(&self, node: &str, line: &ConsoleLine) {
        if line.kind == LineKind::Clear {
            let mut ring = lock(&self.ring);
            ring.first += ring.lines.len() as u64;
            ring.lines.clear();
            ring.bytes = 0;
            ring.cleared = ring.first;
        } else {
            self.add(line.of_node(node).to_string());
        }
    }

    /// A line about scripts that no script wrote.
    pub(crate) fn complain(&self, text: &str) {
        self.add(format!("[hub:ERROR] {text}"));
    }

    /// Remembers lines that a worker could not keep, and says so.
    pub(crate) fn lose(&self, node: &str, lines: u64) {
        self.lost.fetch_add(lines, Relaxed);
        self.complain(&format!(
            "{lines} lines of node {node} were dropped: scripts write faster than they are read"
        ));
    }

    /// The next lines from number `from` on; none at the head.
    pub(crate) fn read(&self, from: u64) -> Lines {
        let ring = lock(&self.ring);
        let start = from.max(ring.first);
        let skip = (start - ring.first) as usize;
        let texts: Vec<_> = ring.lines.iter().skip(skip).take(MAX_READ).cloned().collect();
        Lines { missed: start - from.max(ring.cleared).min(start), next: start + texts.len() as u64, texts }
    }

    /// Where a reader begins that wants the last `tail` lines first.
    pub(crate) fn beginning(&self, tail: u64) -> u64 {
        let ring = lock(&self.ring);
        let end = ring.first + ring.lines.len() as u64;
        end.saturating_sub(tail).max(ring.first)
    }

    /// Tells the number of the next line, whenever it changes.
    pub(crate) fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Lines that came, and lines that were lost on the way.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (*self.head.borrow(), self.lost.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_gaps_are_told() {
        let console = Console::new(10);
        for line in ["aaaa", "bbbb", "cccc", "dddd"] {
            console.add(line.into());
        }
        let lines = |from| {
            let read = console.read(from);
            (
                read.texts.iter().map(|line| line.as_str().to_owned()).collect::<Vec<_>>(),
                read.missed,
                read.next,
            )
        };
        assert_eq!(lines(0), (vec!["cccc".into(), "dddd".into()], 2, 4));
        assert_eq!(lines(3), (vec!["dddd".into()], 0, 4));
        assert_eq!(lines(4), (vec![], 0, 4));
        assert_eq!((console.beginning(1), console.beginning(100)), (3, 2));
    }

    #[test]
    fn what_was_cleared_is_not_missed() {
        let console = Console::new(1 << 20);
        let write = |kind| console.write("node", &ConsoleLine { script: 0, kind, text: "x".into() });
        for kind in [LineKind::Log, LineKind::Log, LineKind::Clear, LineKind::Error] {
            write(kind);
        }
        assert_eq!(console.read(1), Lines { texts: vec!["[node-0:ERROR] x".into()], missed: 0, next: 3 });
    }

    #[test]
    fn a_long_line_is_cut_where_a_character_ends() {
        let console = Console::new(1 << 20);
        console.add("ä".repeat(MAX_LINE));
        let line = console.read(0).texts.remove(0);
        assert!(line.len() < MAX_LINE + 20 && line.ends_with("ä … (cut)"), "{}", line.len());
    }
}
