//! Of twenty watchers one stops reading: it alone loses entries, is told how many, and costs no more than its queue.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use support::{
    Scratch,
    pcap::{Capture, Endian},
    program::get,
    traffic::{self, Mix},
    watch::{Got, Watcher},
};

use crate::{Cluster, eventually};

const WATCHERS: usize = 20;
const STALL: Duration = Duration::from_secs(30);
const QUEUE_BYTES: usize = 1 << 20;

/// What a watcher got, and was told that it lost.
#[derive(Debug, Default)]
struct Account {
    ids: BTreeSet<String>,
    repeated: usize,
    lost: u64,
}

impl Account {
    fn take(&mut self, text: &str) {
        let message: serde_json::Value = serde_json::from_str(text).expect("JSON");
        match message["event"].as_str() {
            Some("lost") => self.lost += message["n"].as_u64().expect("a number"),
            Some(_) => {}
            None => {
                let id = message["id"].as_str().expect("an id").to_owned();
                self.repeated += usize::from(!self.ids.insert(id));
            }
        }
    }

    fn total(&self) -> u64 {
        self.ids.len() as u64 + self.lost
    }
}

/// Reads until `expected` are accounted for.
fn read_all(watcher: &mut Watcher, expected: u64) -> Account {
    let mut account = Account::default();
    let deadline = Instant::now() + STALL + Duration::from_mins(1);
    while account.total() < expected {
        assert!(Instant::now() < deadline, "{} got, {} lost of {expected}", account.ids.len(), account.lost);
        match watcher.next(Duration::from_secs(5)) {
            Got::Text(text) => account.take(&text),
            Got::Nothing => {}
            Got::Closed(code, reason) => panic!("closed: {code} {reason}"),
        }
    }
    account
}

#[test]
fn one_of_twenty_stops_reading() {
    let scratch = Scratch::new();
    let pipe = scratch.path().join("live.pcap");
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()));
    let mix = Mix { connections: 1200, requests: 10, questions: 0, seed: 9 };
    let expected = u64::from(mix.connections * mix.requests);
    // Entries that come when watchers watch already: a capture that is still being written.
    let opening = thread::spawn({
        let pipe = pipe.clone();
        move || {
            let mut pipe = fs::OpenOptions::new().write(true).open(pipe).expect("a reader");
            let header = Capture { link_type: 1, frames: Vec::new() }.pcap(Endian::Little, true);
            pipe.write_all(&header).expect("a reader");
            pipe
        }
    });
    let limits = hub::Limits { queue_bytes: QUEUE_BYTES, ..hub::Limits::default() };
    let cluster = Cluster::with(&[pipe], limits);
    let mut pipe = opening.join().expect("no panic");
    let mut watchers: Vec<_> =
        (0..WATCHERS).map(|_| Watcher::connect(&cluster.hub(), "/api/wsFull?q=http&events=1")).collect();
    eventually("twenty watchers", || {
        let watching = cluster.status()["watchers"].as_array().map(Vec::len);
        watching == Some(WATCHERS)
    });
    let mut stalled = watchers.pop().expect("a watcher");
    let reading: Vec<_> = watchers
        .into_iter()
        .map(|mut watcher| thread::spawn(move || read_all(&mut watcher, expected)))
        .collect();

    // All of it comes while one does not read.
    let start = Instant::now();
    let frames = traffic::capture(&mix).frames;
    let header = 24;
    for (index, some) in frames.chunks(frames.len() / 200).enumerate() {
        let due = start + STALL.mul_f64(0.8) * index as u32 / 200;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let bytes = Capture { link_type: 1, frames: some.to_vec() }.pcap(Endian::Little, true);
        pipe.write_all(&bytes[header..]).expect("a reader");
        if index % 20 == 0 {
            assert_queues_are_bounded(&cluster);
        }
    }
    drop(pipe);
    for account in reading.into_iter().map(|reader| reader.join().expect("a watcher who noticed nothing")) {
        assert_eq!((account.ids.len() as u64, account.lost, account.repeated), (expected, 0, 0));
    }
    thread::sleep((start + STALL).saturating_duration_since(Instant::now()));
    let account = read_all(&mut stalled, expected);
    assert_eq!((account.total(), account.repeated), (expected, 0));
    assert!(account.lost > 0, "the watcher that did not read lost nothing: the test sends too little");
    let status = cluster.status();
    assert_eq!(status["hub"]["lost"], account.lost);
}

/// No watcher holds more than its queue.
fn assert_queues_are_bounded(cluster: &Cluster) {
    let (_, metrics) = get(&cluster.hub(), "/metrics", &[]);
    let queued = metrics.lines().find_map(|line| line.strip_prefix("kubeshark_hub_queued_bytes "));
    let queued: usize = queued.and_then(|bytes| bytes.parse().ok()).expect("a number of bytes");
    assert!(queued <= WATCHERS * QUEUE_BYTES, "{queued} bytes wait");
    for watcher in cluster.status()["watchers"].as_array().expect("a list") {
        assert!(watcher["queue"]["bytes"].as_u64() <= Some(QUEUE_BYTES as u64), "{watcher}");
    }
}
