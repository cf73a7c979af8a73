//! Whole captures, damaged.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    time::{Duration, Instant},
};

use support::{
    Scratch, captures, corpus, engine,
    pcap::{Capture, Endian},
    sums,
    traffic::Random,
};

use crate::mutate::{below, one};

/// Our smaller captures, as pcap of either byte order and as pcapng.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let forms = |case: &captures::Case| {
        let bytes = std::fs::read(case.input().expect("a capture")).expect("a readable capture");
        let mut capture = Capture::read(&bytes);
        capture.frames.truncate(8);
        [
            capture.pcap(Endian::Little, true),
            capture.pcap(Endian::Big, false),
            capture.pcapng(Endian::Little),
            capture.pcapng(Endian::Big),
        ]
    };
    captures::all().iter().flat_map(forms).collect()
}

/// Reads a capture: it ends, or fails with a message, and the ledger closes either way.
pub(crate) fn run(capture: &[u8]) {
    let (_, report, result) = engine::dissect(capture);
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
    for (what, a, b) in sums::of(&report) {
        assert_eq!(a, b, "{what}");
    }
}

/// No capture may take longer, however damaged.
const LIMIT: Duration = Duration::from_secs(10);

/// Every capture at hand, its bytes flipped, its packets cut, dropped, doubled and reordered.
pub(crate) fn mutated() {
    let mut files: Vec<_> = captures::all().iter().map(|case| case.input().expect("a capture")).collect();
    if let Some(folder) = corpus::folder("mutated captures") {
        files.extend(corpus::captures(&folder).into_iter().map(|(path, _)| path));
    }
    let (mut n, mut longest) = (0, Duration::ZERO);
    for file in &files {
        let bytes = std::fs::read(file).expect("a readable capture");
        let mut hash = DefaultHasher::new();
        captures::name_of(file).hash(&mut hash);
        let random = &mut Random::new(hash.finish());
        let mut variants: Vec<Vec<u8>> = (0..4).map(|_| one(std::slice::from_ref(&bytes), random)).collect();
        if bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) && whole(&bytes) {
            let capture = Capture::read(&bytes);
            variants.extend((0..5).map(|kind| damaged(&capture, kind, random).pcap(Endian::Little, true)));
        }
        for variant in variants {
            let scratch = Scratch::new();
            let since = Instant::now();
            let (_, report, _) = engine::dissect_file(&scratch.file("damaged", &variant));
            longest = longest.max(since.elapsed());
            assert!(since.elapsed() < LIMIT, "{}: {:?}", file.display(), since.elapsed());
            for (what, a, b) in sums::of(&report) {
                assert_eq!(a, b, "{}: {what}", file.display());
            }
            n += 1;
        }
    }
    println!("{n} damaged forms of {} captures, {longest:?} at most", files.len());
}

/// Whether the last record is whole, so that the tests' own reader can read it.
fn whole(bytes: &[u8]) -> bool {
    let mut at = 24;
    while let Some(len) = bytes.get(at + 8..at + 12) {
        at += 16 + u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize;
    }
    at == bytes.len()
}

/// One packet in ten flipped, cut, dropped, doubled or moved.
fn damaged(capture: &Capture, kind: u32, random: &mut Random) -> Capture {
    let mut frames = Vec::new();
    for frame in &capture.frames {
        let mut frame = frame.clone();
        if random.below(10) > 0 {
            frames.push(frame);
            continue;
        }
        let (at, to) = (below(random, frame.bytes.len()), below(random, frames.len()));
        match kind {
            0 if !frame.bytes.is_empty() => frame.bytes[at] ^= 1 << random.below(8),
            1 => frame.bytes.truncate(at),
            2 => continue,
            3 => frames.push(frame.clone()),
            _ => {
                frames.insert(to, frame);
                continue;
            }
        }
        frames.push(frame);
    }
    Capture { link_type: capture.link_type, frames }
}
