//! A capture file in, its entries out, typed and in memory: for benchmarks and tests.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use api::{Entry, Node};

use crate::{
    CaptureError, Input, Limits, SourceConfig,
    capture::Position,
    rounds::{self, Account, Consume, Finish, Stopped},
    source,
    streams::Counting,
};

/// The entries of a capture, in the order in which `kubeshark dissect` prints them. All of them are held at once.
pub fn entries(input: Input, limits: &Limits) -> Result<Vec<Entry>, CaptureError> {
    let node = Arc::new(Node {
        ip: "127.0.0.1".into(),
        name: "localhost".into(),
        worker: format!("127.0.0.1:{}", crate::DEFAULT_PORT).into(),
    });
    let stop = Arc::new(AtomicBool::new(false));
    let source = source::open(
        &SourceConfig::new(input),
        &limits.flow,
        &Position::default(),
        &stop,
        0,
        false,
        &Arc::default(),
    )?;
    let mut entries = Vec::new();
    let (_, stopped) =
        rounds::run(node, limits, source, &Whole, Keep(&mut entries), &mut Counting::default(), 1);
    match stopped {
        Some(Stopped::Capture(error)) => Err(error),
        // Keeping does not fail.
        Some(Stopped::Output(_)) | None => Ok(entries),
    }
}

struct Whole;

impl Finish for Whole {
    type Item = Entry;

    fn finish(&self, entry: Entry, _: &mut Vec<u8>) -> Option<Entry> {
        Some(entry)
    }
}

struct Keep<'a>(&'a mut Vec<Entry>);

impl Consume<Entry> for Keep<'_> {
    fn consume(&mut self, entry: Entry, _: &[u8]) -> io::Result<()> {
        self.0.push(entry);
        Ok(())
    }

    fn round(&mut self, _: &dyn Account) -> io::Result<()> {
        Ok(())
    }
}
