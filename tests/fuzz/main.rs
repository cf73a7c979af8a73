//! No input makes the engine panic, hang or lose count.
//!
//! Each target runs over the inputs in `corpus/`, then over mutations of them: for 10 s, or as long as
//! `KUBESHARK_FUZZ_SECONDS` says. The seed is the same each time unless `KUBESHARK_FUZZ_SEED` is set.

#![expect(clippy::print_stdout, reason = "the test runner shows it")]

mod captures;
mod kfl;
mod targets;

use std::{
    env,
    io::{Write, stderr},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use support::{captures::files, mutate, number, pcap::Capture, traffic::Random};

/// No single input may take longer.
const LIMIT: Duration = Duration::from_secs(5);

/// The inputs of a target that are kept.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let directory = support::root().join("tests/fuzz/corpus").join(target);
    files(&directory).iter().map(|path| std::fs::read(path).expect("a readable file")).collect()
}

/// Frames of our captures, as the target for frames wants them: the link type, then each frame behind its length.
fn frames() -> Vec<Vec<u8>> {
    let of = |case: &support::captures::Case| {
        let capture = Capture::read(&std::fs::read(case.input().expect("a capture")).expect("readable"));
        let mut input = vec![capture.link_type as u8, (capture.link_type >> 8) as u8];
        for frame in capture.frames.iter().filter(|frame| frame.bytes.len() < 300).take(6) {
            input.extend((frame.bytes.len() as u16).to_le_bytes());
            input.extend(&frame.bytes);
        }
        input
    };
    support::captures::all().iter().map(of).collect()
}

/// An input that is tried, and since when.
type Trial = Mutex<Option<(Instant, Vec<u8>)>>;

/// Ends the whole run when a trial takes too long: the input is kept, and nothing else could end it.
fn watch(target: &str, trial: &Trial, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(200));
        let trial = trial.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, input)) = trial.as_ref()
            && since.elapsed() > LIMIT
        {
            let path = keep(target, input);
            // Not `eprintln!`, which the test harness would keep to itself.
            drop(writeln!(stderr(), "{target} takes more than {LIMIT:?} for {}", path.display()));
            process::abort();
        }
    }
}

fn keep(target: &str, input: &[u8]) -> PathBuf {
    let path = env::temp_dir().join(format!("kubeshark-fuzz-{target}"));
    std::fs::write(&path, input).expect("a temporary file");
    path
}

fn fuzz(target: &str, inputs: &[Vec<u8>], run: fn(&[u8])) {
    assert!(!inputs.is_empty(), "no inputs for {target}");
    let (trial, done) = (Trial::default(), AtomicBool::new(false));
    let set = |to| *trial.lock().unwrap_or_else(PoisonError::into_inner) = to;
    let try_one = |input: &[u8]| {
        set(Some((Instant::now(), input.to_vec())));
        let stands = catch_unwind(AssertUnwindSafe(|| run(input))).is_ok();
        set(None);
        if !stands {
            done.store(true, Ordering::Relaxed);
            panic!("{target} does not stand {}", keep(target, input).display());
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| watch(target, &trial, &done));
        for input in inputs {
            try_one(input);
        }
        let random = &mut Random::new(number("KUBESHARK_FUZZ_SEED", 1));
        let end = Instant::now() + Duration::from_secs(number("KUBESHARK_FUZZ_SECONDS", 10));
        let mut n = 0_u64;
        while Instant::now() < end {
            for _ in 0..16 {
                try_one(&mutate::one(inputs, random));
                n += 1;
            }
        }
        done.store(true, Ordering::Relaxed);
        println!("{target}: {} inputs kept, {n} mutations", inputs.len());
    });
}

#[test]
fn frames_stand() {
    fuzz("frames", &[kept("frames"), frames()].concat(), targets::frames);
}

#[test]
fn segments_stand() {
    fuzz("segments", &kept("segments"), targets::segments);
}

#[test]
fn http1_stands() {
    fuzz("http1", &kept("http1"), targets::http1);
}

#[test]
fn dns_stands() {
    fuzz("dns", &kept("dns"), targets::dns);
}

#[test]
fn queries_stand() {
    fuzz("kfl_parse", &kept("kfl_parse"), kfl::parse);
}

#[test]
fn filters_answer_as_the_naive_evaluator_does() {
    fuzz("kfl_eval", &kept("kfl_eval"), kfl::eval);
}

#[test]
fn capture_files_stand() {
    fuzz("files", &[kept("files"), captures::seeds()].concat(), captures::run);
}

#[test]
fn the_ledger_of_damaged_captures_closes() {
    captures::mutated();
}
