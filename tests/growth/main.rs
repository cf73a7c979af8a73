//! Twice the hostile input takes about twice the work; memory stays within its bounds under a flood.

mod hostile;
mod queries;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use support::{
    Scratch,
    pcap::{Capture, Endian},
    program,
};

const KUBESHARK: &str = env!("CARGO_BIN_EXE_kubeshark");

/// Instructions that it takes to read a capture, as valgrind counts them.
fn instructions(scratch: &Scratch, name: &str, capture: &Capture) -> u64 {
    let file = scratch.file(&format!("{name}.pcap"), &capture.pcap(Endian::Little, true));
    counted(&["dissect", "--threads", "1", "-o", "summary"], &file)
}

/// Instructions that a command of the program takes on a file.
fn counted(arguments: &[&str], file: &Path) -> u64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", KUBESHARK]);
    command.args(arguments).arg(file);
    let ran = program::run(&mut command, b"", Duration::from_mins(10));
    let count = ran.stderr.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    count.unwrap_or_else(|| panic!("valgrind: {}", ran.stderr))
}

/// How much more each doubling may take.
const RATIO: f64 = 2.2;

#[test]
fn work_grows_with_the_input() {
    if !program::installed("growth", &["valgrind"]) {
        return;
    }
    let scratch = Scratch::new();
    let none = instructions(&scratch, "nothing", &Capture { link_type: 1, frames: Vec::new() });
    grows(&hostile::ALL, |name, n, make| instructions(&scratch, name, &make(n)).saturating_sub(none));
}

#[test]
fn work_grows_with_a_query_and_its_record() {
    if !program::installed("growth", &["valgrind"]) {
        return;
    }
    let scratch = Scratch::new();
    let asked = |name: &str, query: &str, record: &str| {
        counted(&["kfl", "match", query], &scratch.file(name, record.as_bytes()))
    };
    let none = asked("nothing.json", "a", "{}");
    grows(&queries::ALL, |name, n, make| {
        let (query, record) = make(n);
        asked(&format!("{name}.json"), &query, &record).saturating_sub(none)
    });
}

/// Compares the work for each kind of input, for twice and for four times as much of it.
#[expect(clippy::print_stdout, reason = "the test runner shows it")]
fn grows<Make: Copy + Sync>(
    all: &[(&'static str, usize, Make)],
    work_for: impl Fn(&str, usize, Make) -> u64 + Sync,
) {
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let worker = || {
        while let Some((name, n, make)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let work = [1, 2, 4].map(|times| work_for(name, n * times, *make));
            let ratios = [work[1] as f64 / work[0] as f64, work[2] as f64 / work[1] as f64];
            println!(
                "{name}: {:?} million instructions for {n}, twice and four times as many: ×{:.2}, ×{:.2}",
                work.map(|it| it / 1_000_000),
                ratios[0],
                ratios[1]
            );
            if ratios.iter().any(|&ratio| ratio > RATIO) {
                faults.lock().expect("no panic").push(format!("{name}: {ratios:?}"));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    let faults = faults.into_inner().expect("no panic");
    assert!(faults.is_empty(), "more than ×{RATIO} for twice the input: {faults:?}");
}

/// MiB that a flood may take: 64 shards of 4096 flows, and what the program takes without any.
const BOUND: u64 = 512;

#[test]
fn a_flood_stays_within_bounds() {
    let n = support::number("KUBESHARK_FLOOD", 100_000) as usize;
    let scratch = Scratch::new();
    let file = scratch.path().join("flood.pcap");
    hostile::flood(&file, n);
    let (entries, peak) = dissect(&file);
    println!("{n} half-open flows: {peak} MiB at most");
    assert!(peak <= BOUND, "{peak} MiB");
    let normal = entries.lines().filter(|entry| entry.contains("/normal/")).count();
    assert_eq!(normal, hostile::NORMAL, "requests of a normal flow beside the flood");
}

/// The entries of a capture, and the most memory that it took to read it, in MiB.
fn dissect(file: &Path) -> (String, u64) {
    let mut child = Command::new(KUBESHARK);
    child.args(["dissect", "--threads", "2"]).arg(file).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = child.spawn().expect("the program");
    let status = format!("/proc/{}/status", child.id());
    let waiting = thread::spawn(move || child.wait_with_output());
    let mut peak = 0;
    while !waiting.is_finished() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(now.unwrap_or(0) / 1024);
        thread::sleep(Duration::from_millis(5));
    }
    let output = waiting.join().expect("no panic").expect("a child");
    (String::from_utf8(output.stdout).expect("JSON"), peak)
}
