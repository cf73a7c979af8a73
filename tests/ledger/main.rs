//! Every packet, byte, flow and message ends in one row of the ledger, and the rows add up: on the captures of this
//! project and, where it is there, on the corpus. What `capinfos` and tshark counted is the same.

#![expect(clippy::print_stdout, reason = "the test runner shows it")]

mod sequence;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use support::{captures, corpus, engine, sums};
use worker::Ledger;

/// Packets and bytes on the wire, as `capinfos` counts them; `None` where it is missing or can't read the file.
fn capinfos(file: &Path) -> Option<(u64, u64)> {
    let ran = Command::new("capinfos").args(["-TmcdQr"]).arg(file).output().ok()?;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let mut numbers = text.trim().rsplit(',').map(|field| field.trim_matches('"').parse::<u64>());
    let (bytes, packets) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    ran.status.success().then_some((packets, bytes))
}

/// The bytes that a plain pcap with this many packets holds of them; `None` for other files.
fn captured_bytes(file: &Path, packets: u64) -> Option<u64> {
    let bytes = std::fs::read(file).ok()?;
    let is_pcap = matches!(
        bytes.get(..4)?,
        [0xd4, 0xc3, 0xb2, 0xa1] | [0xa1, 0xb2, 0xc3, 0xd4] | [0x4d, 0x3c, 0xb2, 0xa1]
    );
    is_pcap.then(|| bytes.len() as u64 - 24 - 16 * packets)
}

/// What does not add up in a capture.
fn faults(file: &Path, truth: &Value) -> Vec<String> {
    let (_, report, result) = engine::dissect_file(file);
    let ledger = &report.ledger;
    let mut sums = sums::of(&report);
    if result.is_ok()
        && let Some((packets, wire_bytes)) = capinfos(file)
    {
        sums.push(("packets = capinfos", ledger.capture.packets, packets));
        let bytes = captured_bytes(file, packets).unwrap_or(wire_bytes);
        sums.push(("bytes = capinfos", ledger.capture.bytes, bytes));
    }
    let mut faults: Vec<_> = sums
        .into_iter()
        .filter(|(_, a, b)| a != b)
        .map(|(what, a, b)| format!("{what}: {a} and {b}"))
        .collect();
    faults.extend(sequence::faults(file));
    faults.extend(tshark_disagrees(ledger, truth));
    faults
}

/// tshark's analysis of the same streams: where it saw nothing lost or sent again, neither may we.
fn tshark_disagrees(ledger: &Ledger, truth: &Value) -> Vec<String> {
    let Some(streams) = truth["tcp"]["stream_list"].as_array() else { return Vec::new() };
    let sum = |field: &str| streams.iter().filter_map(|stream| stream[field].as_u64()).sum::<u64>();
    let mut faults = Vec::new();
    // tshark also calls the end of a stream lost of which it saw no data, and what comes after a forged reset.
    let plain = |stream: &&Value| stream["bytes"] != 0 && stream["rst"] == 0;
    let lost: u64 = streams.iter().filter(plain).filter_map(|stream| stream["lost"].as_u64()).sum();
    if lost > 0 && sum("ooo") + sum("retrans") == 0 && ledger.flow.gaps == 0 {
        faults.push(format!("tshark saw {lost} segments lost, we no gap"));
    }
    if sum("lost") == 0 && ledger.flow.gaps > 0 {
        faults.push(format!(
            "tshark saw nothing lost, we {} gaps of {} bytes",
            ledger.flow.gaps, ledger.flow.gap_bytes
        ));
    }
    if sum("retrans") == 0 && ledger.flow.duplicate > 0 {
        faults.push(format!("tshark saw nothing sent again, we {} bytes", ledger.flow.duplicate));
    }
    faults
}

fn hold(files: Vec<(PathBuf, Value)>) {
    let (mut told, mut n) = (String::new(), 0);
    for (file, truth) in files {
        n += 1;
        for fault in faults(&file, &truth) {
            writeln!(told, "{}: {fault}", captures::name_of(&file)).expect("memory");
        }
    }
    println!("{n} captures");
    assert!(told.is_empty(), "{told}");
}

#[test]
fn the_ledger_of_our_captures_closes() {
    hold(captures::all().iter().map(|case| (case.input().expect("a capture"), Value::Null)).collect());
}

#[test]
fn the_ledger_of_the_corpus_closes() {
    if let Some(folder) = corpus::folder("ledger") {
        hold(corpus::captures(&folder));
    }
}
