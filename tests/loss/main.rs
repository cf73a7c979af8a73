//! Nothing is lost of live traffic: what nginx logged and dnsperf asked is what we show. Of an impaired copy of the same
//! packets we show what is there, and say what is not.

#![expect(clippy::print_stdout, reason = "the test runner shows it")]

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
    time::Duration,
};

use flow::{Direction, Transport};
use serde_json::Value;
use support::{
    Scratch, engine, flows, impair, namespace,
    pcap::{Capture, Endian},
    program,
};

const PROGRAMS: [&str; 9] =
    ["unshare", "nsenter", "ip", "nginx", "wrk", "dnsmasq", "dnsperf", "tcpdump", "curl"];

/// Runs the traffic; the reason where that can't be.
fn traffic(directory: &Path) -> Result<(), String> {
    let mut command = namespace::command(&["--net", "--pid", "--fork", "--kill-child", "--mount-proc"])?;
    command.arg("bash").arg(support::root().join("tests/loss/traffic.sh"));
    command.args([Path::new(env!("CARGO_BIN_EXE_kubeshark")), directory]);
    let ran = program::run(&mut command, b"", Duration::from_mins(5));
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

/// What tells a request from all others: its URL, or the name that it asks for.
fn name(entry: &Value) -> String {
    if entry["protocol"]["name"] == "http" {
        return entry["request"]["url"].to_string();
    }
    let asked = &entry["request"]["questions"][0]["name"];
    // The answer to a question that was lost.
    if asked.is_null() { entry["response"]["answers"][0]["name"].to_string() } else { asked.to_string() }
}

/// All that an entry says of what was exchanged.
fn told(entry: &Value) -> String {
    let end = |key: &str| format!("{}:{}", entry[key]["ip"], entry[key]["port"]);
    format!("{} {} {} {}", end("src"), end("dst"), entry["request"], entry["response"])
}

/// The names that the entries of a protocol have.
fn names(entries: &[Value], protocol: &str) -> BTreeSet<String> {
    entries.iter().filter(|entry| entry["protocol"]["name"] == protocol).map(name).collect()
}

#[test]
fn live_traffic_is_shown_and_impaired_traffic_is_not_made_up() {
    let scratch = Scratch::new();
    let directory = scratch.path();
    if !program::installed("loss and disorder", &PROGRAMS) {
        return;
    }
    if let Err(reason) = traffic(directory) {
        return program::missing(&format!("loss and disorder: not run, {reason}"));
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

    assert_eq!((names(&entries, "http").len(), names(&entries, "dns").len()), (lines, asked), "no two alike");
    for seed in 1..=support::number("KUBESHARK_SEEDS", 3) {
        impaired(&capture, &entries, seed);
    }
}

fn impaired(capture: &Capture, unimpaired: &[Value], seed: u64) {
    let (worse, changes) = impair::impair(capture, seed);
    let (entries, _, result) = engine::dissect(&worse.pcap(Endian::Little, true));
    result.expect("a readable capture");

    let as_it_was: HashMap<String, String> =
        unimpaired.iter().map(|entry| (name(entry), told(entry))).collect();
    let unflagged: Vec<_> = entries.iter().filter(|entry| engine::flags(entry).is_empty()).collect();
    let differs = |entry: &&&Value| as_it_was.get(&name(entry)) != Some(&told(entry));
    let wrong: Vec<_> = unflagged.iter().filter(differs).map(|entry| engine::line(entry)).collect();

    // A request that is not shown lies in a gap that could hold one.
    let unseen = names(unimpaired, "http").difference(&names(&entries, "http")).count() as u64;
    let shortest = unimpaired.iter().filter(|entry| entry["protocol"]["name"] == "http");
    let shortest = shortest.filter_map(|entry| entry["requestSize"].as_u64()).min().expect("a request");
    let flows = flows::read(&worse, |_| ());
    let streams = flows.iter().filter(|told| told.opening.key.transport == Transport::Tcp);
    let gaps: Vec<_> = streams.flat_map(|told| told.half(Direction::ToServer).gaps.iter().copied()).collect();
    let room: u64 = gaps.iter().map(|gap| gap / shortest).sum();

    // A datagram leaves no gap: what is not shown was lost on both ways, and nothing else is.
    let (lost, _, _) = engine::dissect(&changes.lost.pcap(Endian::Little, true));
    let lost: Vec<_> = whole(&lost, "dns").cloned().collect();
    let lost = names(&lost, "dns");
    let (questions, shown) = (names(unimpaired, "dns"), names(&entries, "dns"));
    let not_shown: BTreeSet<_> = questions.difference(&shown).cloned().collect();

    println!(
        "seed {seed}: {} lost, {} late, {} doubled; {} entries, {} of them unflagged, {} of these wrong; of {} requests \
         {unseen} not shown, room for {room} in {} gaps; of {} questions {} not shown, {} lost both ways",
        changes.lost.frames.len(),
        changes.moved,
        changes.doubled,
        entries.len(),
        unflagged.len(),
        wrong.len(),
        names(unimpaired, "http").len(),
        gaps.len(),
        questions.len(),
        not_shown.len(),
        lost.len(),
    );
    assert!(wrong.is_empty(), "unflagged, and not as they were: {:?}", &wrong[..wrong.len().min(5)]);
    assert!(unseen <= room, "{unseen} requests are not shown, and the gaps have room for {room}");
    assert_eq!(not_shown, lost, "questions that are not shown, and that nobody could see");
    assert!(unflagged.len() * 10 > unimpaired.len() * 8, "most of it must still be there");
}
