//! CPU time of a worker for each packet of a paced live load: alone, with scripts of several kinds, and without the packet
//! store. The script host is a process of its own and not counted: what is asked is what capture and dissection lose.
//!
//! Each case is measured in turn, round after round, and the least of its rounds is printed: whatever else the machine does
//! only adds to it.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{collections::BTreeMap, fs, path::Path, thread};

use support::site::{REQUESTS, Site};

/// Connections of a round, and frames that are sent every ten milliseconds.
const LOAD: (u32, u32) = (6_000, 100);

/// A name, the worker's options, and the script if there is one.
type Case = (&'static str, &'static [&'static str], &'static str);

/// What is measured; the first is what the others are compared with.
const CASES: [Case; 5] = [
    ("alone", &[], ""),
    ("no packet store", &["--packets-mib", "0"], ""),
    (
        "onItemCaptured",
        &[],
        "var n = 0; function onItemCaptured(data) { if (data.response.status === 500) n++; }",
    ),
    ("onPacketCaptured", &[], "var n = 0; function onPacketCaptured(info) { n += info.length; }"),
    (
        "always too slow",
        &[],
        "function onItemCaptured(data) { for (var end = Date.now() + 300; Date.now() < end;) {} }",
    ),
];

fn main() {
    let mut least: BTreeMap<usize, f64> = BTreeMap::new();
    for _ in 0..support::number("ROUNDS", 3) {
        for (at, case) in CASES.iter().enumerate() {
            // A thread of its own, since it enters a network namespace.
            let measured = thread::scope(|scope| scope.spawn(|| measure(case)).join());
            let Ok(Some(micros)) = measured else {
                println!("{}: not measured", case.0);
                return;
            };
            let slot = least.entry(at).or_insert(micros);
            *slot = slot.min(micros);
        }
    }
    let alone = least[&0];
    for (at, micros) in least {
        let more = (micros / alone - 1.0) * 100.0;
        println!("{:17} {micros:6.2} µs of CPU for each packet, {more:+6.1} %", CASES[at].0);
    }
}

/// Microseconds of CPU for each packet; `None` where that can't be measured here.
fn measure((_, options, script): &Case) -> Option<f64> {
    let (connections, burst) = LOAD;
    let program = Path::new(env!("CARGO_BIN_EXE_kubeshark"));
    let mut site = Site::start("cost", program, options, None)?;
    // The first packets find an empty store and cold caches.
    site.send(500, burst);
    site.all_is_seen();
    if !script.is_empty() {
        let script = site.add("measured", script);
        site.loaded(script);
    }
    let before = cpu_nanos(site.worker());
    site.send(connections, burst);
    site.all_is_seen();
    let nanos = cpu_nanos(site.worker()) - before;
    // A handshake, what a transaction takes, and a farewell.
    let packets = connections * (6 + 3 * REQUESTS);
    Some(nanos as f64 / 1000.0 / f64::from(packets))
}

/// CPU time of all threads of a process, in nanoseconds.
fn cpu_nanos(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("a process").flatten();
    let of = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or_default()
    };
    threads.map(of).sum()
}
