//! `kubeshark dissect`: captures in, entries as text out, and a ledger. The same engine as the worker's, without store
//! and servers.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use api::{Entry, Node};
use kfl::Sieve;
use thiserror::Error;

use crate::{
    CaptureError, Input, Ledger, Limits, SourceConfig,
    capture::Position,
    rounds::{self, Account, Consume, Finish, Stopped},
    source,
    streams::Counting,
};

/// What is printed of each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The entry as JSON, one a line.
    Ndjson,
    /// A line for a person.
    Table,
    /// Nothing; the summary is all.
    Summary,
}

/// What to dissect, and how.
pub struct DissectConfig {
    /// The captures, one after the other; no flow goes from one into the next. None is read unless all files open.
    pub inputs: Vec<Input>,
    /// Which entries are printed.
    pub filter: Arc<kfl::Filter>,
    /// How.
    pub output: Output,
    /// How many threads work; the output does not depend on it.
    pub threads: usize,
    /// A BPF filter for the packets.
    pub bpf: Option<String>,
    /// The bounds of decoding, flow tables and dissectors.
    pub limits: Limits,
    /// Once true, inputs end where they are: what was read comes out, and the report is whole.
    pub stop: Arc<AtomicBool>,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Which of the inputs, from 0.
    pub input: usize,
    /// Bytes read of it, as it lies on disk.
    pub bytes: u64,
    /// Packets read of all inputs.
    pub packets: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was counted.
    pub ledger: Ledger,
    /// Entries by protocol (name and version).
    pub entries: BTreeMap<String, u64>,
    /// Entries that the filter let through.
    pub printed: u64,
}

/// Why not all was dissected. What came before was printed.
#[derive(Debug, Error)]
pub enum DissectError {
    /// A capture can't be read, or not further.
    #[error(transparent)]
    Capture(CaptureError),
    /// The output can't be written.
    #[error("cannot write the entries")]
    Output(#[source] io::Error),
}

/// Dissects every input and writes to `out`. `progress` is told after every round.
///
/// The report is whole in either case; the error is the first that was met, and ends the run.
pub fn dissect(
    config: &DissectConfig,
    out: &mut (dyn Write + Send),
    progress: &(dyn Fn(Progress) + Sync),
) -> (Report, Result<(), DissectError>) {
    let node = Arc::new(Node {
        ip: "127.0.0.1".into(),
        name: "localhost".into(),
        worker: format!("127.0.0.1:{}", crate::DEFAULT_PORT).into(),
    });
    let mut numbers = Counting::default();
    let mut report = Report::default();
    if let Err(error) = config.inputs.iter().try_for_each(source::check) {
        return (report, Err(DissectError::Capture(error)));
    }
    let sieve = Sieve::new(Arc::clone(&config.filter));
    let limit = config.filter.limit().unwrap_or(u64::MAX);
    for (index, input) in config.inputs.iter().enumerate() {
        if config.stop.load(Ordering::Relaxed) {
            break;
        }
        let position = Position::default();
        let ordinal = report.ledger.capture.packets + report.ledger.capture.filtered;
        let source_config = SourceConfig { filter: config.bpf.clone(), ..SourceConfig::new(input.clone()) };
        let source = match source::open(
            &source_config,
            &config.limits.flow,
            &position,
            &config.stop,
            ordinal,
            false,
            &Arc::default(),
        ) {
            Ok(source) => source,
            Err(error) => return (report, Err(DissectError::Capture(error))),
        };
        let before = report.ledger.capture.packets;
        let mut printed = 0;
        let mut entries = std::mem::take(&mut report.entries);
        let told =
            |packets| progress(Progress { input: index, bytes: position.bytes(), packets: before + packets });
        let printer = Printer {
            out: &mut *out,
            entries: &mut entries,
            printed: &mut printed,
            left: limit.saturating_sub(report.printed),
            told: &told,
        };
        let render = Render { sieve: &sieve, output: config.output };
        let (ledger, stopped) = rounds::run(
            Arc::clone(&node),
            &config.limits,
            source,
            &render,
            printer,
            &mut numbers,
            config.threads,
        );
        report.entries = entries;
        report.printed += printed;
        report.ledger.add(&ledger);
        match stopped {
            None => {}
            Some(Stopped::Capture(error)) => return (report, Err(DissectError::Capture(error))),
            Some(Stopped::Output(error)) => return (report, Err(DissectError::Output(error))),
        }
    }
    (report, Ok(()))
}

/// Filters and prints, on any thread.
struct Render<'a> {
    sieve: &'a Sieve<Entry>,
    output: Output,
}

/// An entry that was counted; its line in the shard's buffer where it is printed.
struct Line {
    protocol: &'static api::Protocol,
    text: Option<Range<usize>>,
}

impl Finish for Render<'_> {
    type Item = Line;

    fn finish(&self, entry: Entry, buffer: &mut Vec<u8>) -> Option<Line> {
        let protocol = entry.protocol;
        if !self.sieve.matches(&entry) {
            return Some(Line { protocol, text: None });
        }
        let start = buffer.len();
        match self.output {
            Output::Summary => {}
            Output::Table => table_line(buffer, &entry),
            Output::Ndjson if self.sieve.filter().alters() => {
                api::write_record(buffer, &self.sieve.filter().altered(&entry));
            }
            Output::Ndjson => api::write_record(buffer, &entry),
        }
        if self.output != Output::Summary {
            buffer.push(b'\n');
        }
        Some(Line { protocol, text: Some(start..buffer.len()) })
    }
}

/// Time, ends, protocol, status, method and summary.
fn table_line(buffer: &mut Vec<u8>, entry: &Entry) {
    let asked = entry.request.as_ref().map(|half| half.summary()).unwrap_or_default();
    let status = entry.response.as_ref().map_or_else(
        || "-".to_owned(),
        |half| match half.summary().status {
            0 => "ok".to_owned(),
            status => status.to_string(),
        },
    );
    let line = format!(
        "{:30} {:>22} → {:22} {:5} {:>3} {:7} {}  {} ms",
        entry.at.to_string(),
        format!("{}:{}", entry.src.ip, entry.src.port),
        format!("{}:{}", entry.dst.ip, entry.dst.port),
        entry.protocol.abbr,
        status,
        printable(&asked.method),
        printable(&asked.summary),
        (entry.elapsed_nanos + 500_000) / 1_000_000,
    );
    buffer.extend_from_slice(line.as_bytes());
}

/// What a stranger sent must not drive the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// Writes what was rendered, in order.
struct Printer<'a> {
    out: &'a mut (dyn Write + Send),
    entries: &'a mut BTreeMap<String, u64>,
    printed: &'a mut u64,
    /// How many more the query's `limit` lets be printed.
    left: u64,
    told: &'a (dyn Fn(u64) + Sync),
}

impl Consume<Line> for Printer<'_> {
    fn consume(&mut self, line: Line, buffer: &[u8]) -> io::Result<()> {
        match self.entries.get_mut(line.protocol.abbr) {
            Some(count) => *count += 1,
            None => drop(self.entries.insert(line.protocol.abbr.to_owned(), 1)),
        }
        if let Some(text) = line.text.filter(|_| self.left > 0) {
            self.left -= 1;
            *self.printed += 1;
            self.out.write_all(&buffer[text])?;
        }
        Ok(())
    }

    fn round(&mut self, account: &dyn Account) -> io::Result<()> {
        (self.told)(account.packets());
        self.out.flush()
    }
}
