//! Every packet, byte, flow and message ends in one row of the ledger, and the rows add up: on the captures of this
//! project and, where it is there, on the corpus. What `capinfos` and tshark counted is the same.

mod sequence;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use support::{captures, corpus, engine};
use worker::{Ledger, Report};

/// Sums that close: what must be equal, stage by stage.
fn sums(ledger: &Ledger) -> Vec<(&'static str, u64, u64)> {
    let (capture, decode, flow, dissect) = (&ledger.capture, &ledger.decode, &ledger.flow, &ledger.dissect);
    let rows = |each: &dyn Fn(&mut dyn FnMut(&'static str, u64)), of: &[&str]| {
        let mut sum = 0;
        each(&mut |name, count| sum += if of.contains(&name) { count } else { 0 });
        sum
    };
    let decode_ends: Vec<_> = {
        let mut names = Vec::new();
        decode.each(&mut |name, _| names.push(name));
        names.into_iter().filter(|name| !name.starts_with("frames") && !name.starts_with("frameB") && !is_held(name)).collect()
    };
    let bytes = flow.delivered
        + flow.duplicate
        + flow.copied
        + flow.outside_window
        + flow.after_fin
        + flow.before_start
        + flow.late
        + flow.on_reset
        + flow.after_close;
    let closed = ["closedFinished", "closedReset", "closedIdle", "closedEvicted", "closedReused", "closedAtEnd"];
    let dissect_flows: u64 = dissect.flows.iter().sum::<u64>() + dissect.flows_unknown + dissect.flows_silent;
    let dissect_bytes =
        dissect.bytes_dissected + dissect.bytes_skipped + dissect.bytes_unknown + dissect.bytes_unfinished;
    vec![
        ("frames decoded = packets captured", decode.frames, capture.packets),
        ("their bytes", decode.frame_bytes, capture.bytes),
        ("frames = the rows of decoding", decode.frames, rows(&|visit| decode.each(visit), &decode_ends)),
        ("segments = tcp", flow.segments, decode.tcp),
        ("datagrams = udp", flow.datagrams, decode.udp),
        ("payload of TCP = the rows of flows", flow.tcp_bytes, bytes),
        ("nothing is held at the end", flow.held + flow.held_segments, 0),
        ("datagrams = delivered + copied", flow.datagrams, flow.datagrams_delivered + flow.datagrams_copied),
        ("flows opened = closed", flow.tcp_opened + flow.udp_opened, rows(&|visit| flow.each(visit), &closed)),
        ("no flow is open at the end", ledger.open_flows, 0),
        ("flows dissected = flows opened", dissect_flows, flow.tcp_opened + flow.udp_opened),
        ("bytes dissected = bytes delivered", dissect_bytes, flow.delivered + flow.datagram_bytes),
    ]
}

fn is_held(name: &str) -> bool {
    name.starts_with("held")
}

/// Each entry is one pair, one request without an answer, or one answer without a request.
fn entries_sum(report: &Report) -> (u64, u64) {
    let mut of_messages = 0;
    report.ledger.dissect.each(&mut |name, count| {
        let is_entry = name == "paired" || name == "requests_missing" || name.starts_with("unanswered_");
        of_messages += if is_entry { count } else { 0 };
    });
    (report.entries.values().sum(), of_messages)
}

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
    let is_pcap = matches!(bytes.get(..4)?, [0xd4, 0xc3, 0xb2, 0xa1] | [0xa1, 0xb2, 0xc3, 0xd4] | [0x4d, 0x3c, 0xb2, 0xa1]);
    is_pcap.then(|| bytes.len() as u64 - 24 - 16 * packets)
}

/// What does not add up in a capture.
fn faults(file: &Path, truth: &Value) -> Vec<String> {
    let (_, report, result) = engine::dissect_file(file);
    let ledger = &report.ledger;
    let mut sums = sums(ledger);
    let (entries, messages) = entries_sum(&report);
    sums.push(("entries = messages", entries, messages));
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
        faults.push(format!("tshark saw nothing lost, we {} gaps of {} bytes", ledger.flow.gaps, ledger.flow.gap_bytes));
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
