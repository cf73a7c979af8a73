//! Under overload a live capture sheds new flows whole: what it shows is whole, what it does not show is counted, and when
//! the load is gone it reads everything again.
//!
//! The overload is real: the program is stopped for as long as it takes to fill the kernel's ring, as on a node that has no
//! time for it.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{
    Scratch, engine,
    namespace::Namespace,
    pcap::Endian,
    program::{self, Tap, get, may_capture, missing, signal},
    traffic::{self, Mix},
    watch::Watcher,
};

/// Requests of each connection.
const REQUESTS: u32 = 3;

/// Traffic, and what it says when it is read in peace.
struct Load {
    file: PathBuf,
    frames: u64,
    /// URL → the entry in short.
    truth: HashMap<String, String>,
}

impl Load {
    fn new(scratch: &Scratch, seed: u64, connections: u32, questions: u32) -> Self {
        let capture = traffic::capture(&Mix { connections, requests: REQUESTS, questions, seed });
        let pcap = capture.pcap(Endian::Little, true);
        let (entries, _, result) = engine::dissect(&pcap);
        result.expect("a readable capture");
        let truth: HashMap<_, _> =
            entries.iter().filter_map(|entry| Some((url(entry)?, engine::line(entry)))).collect();
        assert_eq!(truth.len(), (connections * REQUESTS) as usize);
        let file = scratch.file(&format!("{seed}.pcap"), &pcap);
        Self { file, frames: capture.frames.len() as u64, truth }
    }

    fn send(&self, burst: &str) {
        let mut command = Command::new("python3");
        command
            .arg(support::root().join("tests/overload/send.py"))
            .args(["far", self.file.to_str().expect("UTF-8")]);
        let ran = program::run(command.arg(burst), b"", Duration::from_mins(1));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    /// How many connections were shown whole, and how many in part; the rest is not shown at all.
    fn shown(&self, entries: &HashMap<String, String>) -> (usize, usize) {
        let mut of: BTreeMap<&str, u32> = BTreeMap::new();
        for url in self.truth.keys() {
            let connection = url.split("/lines/").next().expect("a path");
            *of.entry(connection).or_default() += u32::from(entries.get(url) == self.truth.get(url));
        }
        let count = |is: fn(u32) -> bool| of.values().filter(|&&shown| is(shown)).count();
        (count(|shown| shown == REQUESTS), count(|shown| shown > 0 && shown < REQUESTS))
    }
}

fn url(entry: &Value) -> Option<String> {
    entry["request"]["url"].as_str().map(str::to_owned)
}

/// The worker under load.
struct Worker {
    address: String,
    hub: String,
    /// Frames sent so far.
    sent: u64,
}

impl Worker {
    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&get(&self.address, path, &[]).1).expect("JSON")
    }

    fn source(&self) -> Value {
        self.json("/status")["sources"][0].clone()
    }

    /// Waits until all that was sent went through, and gives the ledger.
    fn settled(&self) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let ledger = self.json("/ledger");
            let row = |stage: &str, row: &str| count(&ledger, stage, row);
            let dropped = row("capture", "kernelDropped");
            let through = row("decode", "tcp") == row("flow", "segments")
                && row("decode", "udp") == row("flow", "datagrams");
            if row("capture", "packets") + dropped == self.sent && through {
                close(&ledger);
                return ledger;
            }
            assert!(Instant::now() < deadline, "{} frames were sent: {ledger}", self.sent);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// All entries, by URL, of which nothing is said against; and how many others there are.
    fn entries(&self, ledger: &Value) -> (HashMap<String, String>, u64) {
        let rows = ledger["dissect"].as_object().expect("rows");
        let is_entry =
            |row: &&String| *row == "paired" || *row == "requestsMissing" || row.starts_with("unanswered");
        let all: u64 = rows.keys().filter(is_entry).map(|row| count(ledger, "dissect", row)).sum();
        let entries = Watcher::connect(&self.hub, "/api/wsFull?q=").entries(all as usize);
        let unflagged: Vec<_> = entries.iter().filter(|entry| engine::flags(entry).is_empty()).collect();
        let flagged = (entries.len() - unflagged.len()) as u64;
        (unflagged.iter().filter_map(|entry| Some((url(entry)?, engine::line(entry)))).collect(), flagged)
    }
}

fn count(ledger: &Value, stage: &str, row: &str) -> u64 {
    ledger[stage][row].as_u64().unwrap_or_else(|| panic!("no {stage} {row} in {ledger}"))
}

/// The sums of a ledger that still grows.
fn close(ledger: &Value) {
    let sum = |rows: &[&str]| rows.iter().map(|row| count(ledger, "flow", row)).sum::<u64>();
    let closed = [
        "closedFinished",
        "closedReset",
        "closedIdle",
        "closedEvicted",
        "closedReused",
        "closedAtEnd",
        "open",
    ];
    let bytes = [
        "delivered",
        "duplicate",
        "copied",
        "outsideWindow",
        "afterFin",
        "beforeStart",
        "late",
        "onReset",
        "afterClose",
        "shedBytes",
        "held",
    ];
    for (what, a, b) in [
        ("frames", count(ledger, "capture", "packets"), count(ledger, "decode", "frames")),
        ("flows", sum(&["tcpOpened", "udpOpened"]), sum(&closed)),
        ("payload of TCP", sum(&["tcpBytes"]), sum(&bytes)),
        ("datagrams", sum(&["datagrams"]), sum(&["datagramsDelivered", "datagramsCopied", "shedDatagrams"])),
    ] {
        assert_eq!(a, b, "{what}: {ledger}");
    }
}

fn setting(scratch: &Path) -> Result<(Namespace, Tap), String> {
    let namespace = Namespace::enter()?;
    let ipv6 =
        "for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6 || true; done";
    namespace.shell(&format!(
        "{ipv6}; ip link set lo up; ip link add far type veth peer name near; ip link set far up; ip link set near up"
    ));
    let program = Path::new(env!("CARGO_BIN_EXE_kubeshark"));
    let tap = Tap::start_in(program, &["-i", "near", "--buffer-mib", "1", "--snaplen", "2048"], scratch);
    Ok((namespace, tap))
}

#[test]
fn new_flows_are_shed_whole_before_all_are_torn() {
    if !may_capture() {
        return missing("overload: not run (it needs root or cap_net_raw)");
    }
    if !program::installed("overload", &["unshare", "ip", "python3"]) {
        return;
    }
    let scratch = Scratch::new();
    let (_namespace, tap) = match setting(scratch.path()) {
        Ok(setting) => setting,
        Err(reason) => return missing(&format!("overload: not run, {reason}")),
    };
    let status: Value = serde_json::from_str(&get(&tap.hub, "/api/status", &[]).1).expect("JSON");
    let address = status["workers"][0]["address"].as_str().expect("a worker").to_owned();
    let mut worker = Worker { address, hub: tap.hub.clone(), sent: 0 };
    assert_eq!(worker.source()["shedding"], 0.0);

    // More than the ring holds, while nobody reads it.
    let flood = Load::new(&scratch, 1, 2000, 500);
    signal(tap.id(), "STOP");
    flood.send("0");
    signal(tap.id(), "CONT");
    worker.sent += flood.frames;
    let ledger = worker.settled();
    let (dropped, shed) = (count(&ledger, "capture", "kernelDropped"), count(&ledger, "flow", "shedFlows"));
    let (entries, flagged) = worker.entries(&ledger);
    println!(
        "{dropped} of {} frames dropped, {shed} flows shed, {} entries whole, {flagged} flagged",
        flood.frames,
        entries.len()
    );
    assert!(dropped > 0 && shed > 0 && !entries.is_empty(), "{ledger}");
    assert!(
        entries.iter().all(|(url, line)| flood.truth.get(url) == Some(line)),
        "unflagged, and not as it was sent"
    );
    assert!(get(&worker.address, "/metrics", &[]).1.contains("stage=\"flow\",row=\"shedFlows\""));

    // While it sheds: a connection is shown whole or not at all, unless a packet of it was dropped.
    let during = Load::new(&scratch, 2, 400, 0);
    during.send("50");
    worker.sent += during.frames;
    let after = worker.settled();
    let (dropped_then, shed_then) =
        (count(&after, "capture", "kernelDropped") - dropped, count(&after, "flow", "shedFlows") - shed);
    let (whole, torn) = during.shown(&worker.entries(&after).0);
    println!(
        "while it sheds: {whole} connections whole, {torn} in part; {shed_then} shed, {dropped_then} frames dropped"
    );
    assert!(torn as u64 <= dropped_then, "{torn} connections are shown in part");
    assert!(shed_then > 0 && whole > 0, "{after}");
    assert!(
        (whole as u64 + shed_then).abs_diff(400) <= dropped_then,
        "{whole} shown and {shed_then} shed of 400"
    );

    // Once it has been quiet for a while, everything is read again.
    let deadline = Instant::now() + Duration::from_mins(1);
    while worker.source()["shedding"] != 0.0 {
        assert!(Instant::now() < deadline, "{}", worker.source());
        thread::sleep(Duration::from_millis(100));
    }
    let peace = Load::new(&scratch, 3, 200, 0);
    peace.send("20");
    worker.sent += peace.frames;
    let last = worker.settled();
    let dropped_last = count(&last, "capture", "kernelDropped") - dropped - dropped_then;
    let (whole, _) = peace.shown(&worker.entries(&last).0);
    println!("afterwards: {whole} of 200 connections whole, {dropped_last} frames dropped");
    assert!(200 - whole as u64 <= dropped_last, "{whole} of 200 connections, {dropped_last} frames dropped");
    if dropped_last == 0 {
        assert_eq!(count(&last, "flow", "shedFlows"), shed + shed_then);
    }
    assert_eq!(tap.interrupt().code(), Some(0));
}
