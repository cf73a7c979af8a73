//! Every packet, byte, flow and message ends in one row of the ledger, and the rows add up: on the captures of this
//! project, on the same after a bad network and, where it is there, on the corpus. What `capinfos` and tshark counted is
//! the same.

#![expect(clippy::print_stdout, reason = "the test runner shows it")]

mod sequence;
mod tshark;

use std::{fmt::Write, path::Path, process::Command};

use support::{
    Scratch, captures, corpus, engine, impair,
    pcap::{Capture, Endian},
    program, sums,
};
use tshark::Stream;
use worker::{Ledger, Report};

/// Packets and bytes on the wire, as `capinfos` counts them; `None` where it can't read the file.
fn capinfos(file: &Path) -> Option<(u64, u64)> {
    let ran = Command::new("capinfos").args(["-TmcdQr"]).arg(file).output().expect("capinfos");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let mut numbers = text.trim().rsplit(',').map(|field| field.trim_matches('"').parse::<u64>());
    let (bytes, packets) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    ran.status.success().then_some((packets, bytes))
}

/// What was held against what.
#[derive(Default)]
struct Held {
    captures: usize,
    /// Of which `capinfos` said how much is in them.
    counted: usize,
    /// Of which tshark said something about their streams.
    analysed: usize,
    /// What does not add up.
    faults: String,
}

impl Held {
    /// Holds a capture to all that can be said of it.
    fn hold(&mut self, name: &str, file: &Path, streams: Option<&[Stream]>) {
        let bytes = std::fs::read(file).expect("a readable capture");
        let capture = Capture::try_read(&bytes);
        let (_, report, result) = engine::dissect_file(file);
        let mut sums = sums::of(&report);
        self.captures += 1;
        if result.is_ok()
            && let Some((packets, wire_bytes)) = capinfos(file)
        {
            self.counted += 1;
            sums.push(("packets = capinfos", report.ledger.capture.packets, packets));
            // capinfos counts bytes on the wire, the ledger those captured.
            let cut: u64 = capture.iter().flat_map(|it| &it.frames).map(|frame| u64::from(frame.cut)).sum();
            sums.push(("bytes = capinfos", report.ledger.capture.bytes + cut, wire_bytes));
        }
        let unequal = sums.into_iter().filter(|(_, a, b)| a != b);
        let mut faults: Vec<_> = unequal.map(|(what, a, b)| format!("{what}: {a} and {b}")).collect();
        faults.extend(capture.iter().flat_map(sequence::faults));
        if let Some(streams) = streams {
            self.analysed += 1;
            faults.extend(disagreements(&report, streams));
        }
        for fault in faults {
            writeln!(self.faults, "{name}: {fault}").expect("memory");
        }
    }

    fn end(self) {
        let Self { captures, counted, analysed, faults } = self;
        println!("{captures} captures, {counted} counted by capinfos, {analysed} analysed by tshark");
        assert!(faults.is_empty(), "{faults}");
    }
}

/// tshark's view of the same streams: as much payload, and where it saw nothing lost or sent again, neither may we.
fn disagreements(report: &Report, streams: &[Stream]) -> Vec<String> {
    let Ledger { flow, .. } = &report.ledger;
    let sum = |field: fn(&Stream) -> u64| streams.iter().map(field).sum::<u64>();
    let mut faults = Vec::new();
    let payload = sum(|stream| stream.bytes);
    if payload != flow.tcp_bytes {
        faults.push(format!("tshark saw {payload} bytes of TCP payload, we {}", flow.tcp_bytes));
    }
    // tshark also calls the end of a stream lost of which it saw no data, and what comes after a forged reset.
    let plain = |stream: &&Stream| stream.bytes != 0 && stream.resets == 0;
    let lost: u64 = streams.iter().filter(plain).map(|stream| stream.lost).sum();
    let (disordered, again) = (sum(|stream| stream.disordered), sum(|stream| stream.again));
    if lost > 0 && disordered + again == 0 && flow.gaps == 0 {
        faults.push(format!("tshark saw {lost} segments lost, we no gap"));
    }
    if sum(|stream| stream.lost) == 0 && flow.gaps > 0 {
        faults.push(format!("tshark saw nothing lost, we {} gaps of {} bytes", flow.gaps, flow.gap_bytes));
    }
    if again == 0 && flow.duplicate > 0 {
        faults.push(format!("tshark saw nothing sent again, we {} bytes", flow.duplicate));
    }
    faults
}

const TOOLS: [&str; 2] = ["capinfos", "tshark"];

#[test]
fn the_ledger_of_our_captures_closes() {
    if !program::installed("ledger", &TOOLS) {
        return;
    }
    let mut held = Held::default();
    for case in captures::all() {
        let file = case.input().expect("a capture");
        held.hold(&case.name, &file, Some(&tshark::streams(&file)));
    }
    held.end();
}

#[test]
fn the_ledger_of_impaired_captures_closes() {
    if !program::installed("ledger of impaired captures", &TOOLS) {
        return;
    }
    let (mut held, scratch) = (Held::default(), Scratch::new());
    for seed in 1..=support::number("KUBESHARK_SEEDS", 2) {
        for case in captures::all() {
            let whole = Capture::read(&std::fs::read(case.input().expect("a capture")).expect("readable"));
            let (worse, _) = impair::impair(&whole, seed);
            let file = scratch.file("impaired.pcap", &worse.pcap(Endian::Little, true));
            let streams = tshark::streams(&file);
            held.hold(&format!("{}, seed {seed}", case.name), &file, Some(&streams));
        }
    }
    held.end();
}

#[test]
fn the_ledger_of_the_corpus_closes() {
    let Some(folder) = corpus::folder("ledger") else { return };
    if !program::installed("ledger of the corpus", &TOOLS[..1]) {
        return;
    }
    let known = corpus::known(&["payload"]);
    let mut held = Held::default();
    for (file, truth) in corpus::captures(&folder) {
        let name = captures::name_of(&file);
        let streams = tshark::of_truth(&truth).filter(|_| !known.iter().any(|known| known.file == name));
        held.hold(&name, &file, streams.as_deref());
    }
    held.end();
}
