//! No input makes the engine panic, hang or lose count.
//!
//! Each target runs over the inputs in `corpus/`, then over mutations of them: for 10 s, or as long as
//! `KUBESHARK_FUZZ_SECONDS` says. The seed is the same each time unless `KUBESHARK_FUZZ_SEED` is set.

#![expect(clippy::print_stdout, reason = "the test runner shows it")]

mod captures;
mod kfl;
mod mutate;
mod targets;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use support::{captures::files, pcap::Capture, traffic::Random};

/// No single input may take longer.
const LIMIT: Duration = Duration::from_secs(5);

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

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

fn fuzz(target: &str, inputs: &[Vec<u8>], run: fn(&[u8])) {
    assert!(!inputs.is_empty(), "no inputs for {target}");
    let try_one = |input: &[u8]| {
        let since = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| run(input))).is_err() || since.elapsed() > LIMIT {
            let path = env::temp_dir().join(format!("kubeshark-fuzz-{target}"));
            std::fs::write(&path, input).expect("a temporary file");
            panic!("{target} does not stand {} ({:?})", path.display(), since.elapsed());
        }
    };
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
    println!("{target}: {} inputs kept, {n} mutations", inputs.len());
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
    fuzz("files", &captures::seeds(), captures::run);
}

#[test]
fn mutated_captures_end_in_good_order() {
    captures::mutated();
}
