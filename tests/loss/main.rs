//! Nothing is lost of live traffic: what nginx logged and dnsperf asked is what we show. Of an impaired copy of the same
//! packets we show what is there, and say what is not.

#![expect(clippy::print_stdout, reason = "the test runner shows it")]

use std::{collections::HashMap, fs, path::Path, process::Command, time::Duration};

use serde_json::Value;
use support::{
    Scratch, corpus, engine, impair,
    pcap::{Capture, Endian},
    program,
};

/// Runs the traffic; the reason where that can't be.
fn traffic(directory: &Path) -> Result<(), String> {
    let is_there = |name: &&str| {
        Command::new("sh")
            .args(["-c", &format!("command -v {name}")])
            .output()
            .is_ok_and(|it| it.status.success())
    };
    let needed = ["nginx", "wrk", "dnsmasq", "dnsperf", "tcpdump", "ip", "nsenter", "curl"];
    let missing: Vec<_> = needed.iter().filter(|name| !is_there(name)).copied().collect();
    if !missing.is_empty() {
        return Err(format!("{} not installed", missing.join(", ")));
    }
    let options = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let may =
        Command::new("unshare").args(options).arg("true").output().is_ok_and(|ran| ran.status.success());
    if !may {
        return Err("network namespaces may not be made here".into());
    }
    let mut command = Command::new("unshare");
    command.args(options).arg("bash").arg(support::root().join("tests/loss/traffic.sh"));
    command.args([Path::new(env!("CARGO_BIN_EXE_kubeshark")), directory]);
    let ran = program::run(&mut command, b"", Duration::from_mins(1));
    assert_eq!(ran.code, Some(0), "{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr);
    Ok(())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of a counter in what `/metrics` said: the sum of the lines that contain all of `words`.
fn metric(metrics: &str, words: &[&str]) -> u64 {
    let lines =
        metrics.lines().filter(|line| !line.starts_with('#') && words.iter().all(|word| line.contains(word)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

/// Entries with both halves, by protocol.
fn whole<'a>(entries: &'a [Value], protocol: &'a str) -> impl Iterator<Item = &'a Value> {
    let is_whole = move |entry: &&Value| {
        entry["protocol"]["name"] == protocol && !entry["request"].is_null() && !entry["response"].is_null()
    };
    entries.iter().filter(is_whole)
}

/// What tells an entry from all others, and what it says.
fn told(entry: &Value) -> (String, String) {
    if entry["protocol"]["name"] == "dns" {
        let name = entry["request"]["questions"][0]["name"].to_string();
        return (name, format!("{} {}", entry["response"]["code"], entry["response"]["answers"]));
    }
    (entry["request"]["url"].to_string(), engine::line(entry))
}

#[test]
fn live_traffic_is_shown_and_impaired_traffic_is_not_made_up() {
    let scratch = Scratch::new();
    let directory = scratch.path();
    if let Err(reason) = traffic(directory) {
        return corpus::note(&format!("loss: not run, {reason}"));
    }
    let lines = read(&directory.join("access.log")).lines().count();
    let report = read(&directory.join("dnsperf.out"));
    let completed = report.lines().find_map(|line| line.trim().strip_prefix("Queries completed:"));
    let asked: usize =
        completed.and_then(|text| text.split_whitespace().next()?.parse().ok()).expect("a report of dnsperf");
    assert!(lines > 500 && asked > 2500, "too little traffic: {lines} lines, {asked} questions");

    let metrics = read(&directory.join("metrics"));
    let (paired, lost) = (metric(&metrics, &["paired"]), metric(&metrics, &["dropped"]));
    let capture = Capture::read(&fs::read(directory.join("all.pcap")).expect("a capture"));
    let (entries, _, result) = engine::dissect(&capture.pcap(Endian::Little, true));
    result.expect("a readable capture");
    let (http, dns) = (whole(&entries, "http").count(), whole(&entries, "dns").count());
    println!(
        "nginx logged {lines}, dnsperf had {asked} answers; live {paired} pairs ({lost} packets dropped), from the file {http} and {dns}"
    );
    assert_eq!((http, dns), (lines, asked), "the capture that tcpdump wrote");
    assert_eq!(paired, (lines + asked) as u64, "captured live; packets dropped: {lost}\n{metrics}");

    for seed in 1..=3 {
        impaired(&capture, &entries, lines + asked, seed);
    }
}

fn impaired(capture: &Capture, entries: &[Value], requests: usize, seed: u64) {
    let unimpaired: HashMap<String, String> = entries.iter().map(told).collect();
    let (worse, changes) = impair::impair(capture, seed);
    let (entries, report, result) = engine::dissect(&worse.pcap(Endian::Little, true));
    result.expect("a readable capture");
    let gaps = report.ledger.flow.gaps;
    // A datagram that is lost leaves no trace.
    let found = entries.len() as u64 + gaps + changes.lost_datagrams;
    let unflagged: Vec<_> = entries.iter().filter(|entry| engine::flags(entry).is_empty()).collect();
    let wrong: Vec<_> = unflagged
        .iter()
        .filter(|entry| {
            let (name, says) = told(entry);
            unimpaired.get(&name) != Some(&says)
        })
        .map(|entry| engine::line(entry))
        .collect();
    println!(
        "seed {seed}: {changes:?}; {} entries, {} of them unflagged, {gaps} gaps, {} wrong",
        entries.len(),
        unflagged.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "unflagged, and not as they were: {:?}", &wrong[..wrong.len().min(5)]);
    assert!(found >= requests as u64, "{found} entries and gaps of {requests} requests");
    assert!(unflagged.len() * 10 > requests * 8, "most of it must still be there");
}
