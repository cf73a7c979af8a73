//! Whole captures, damaged.

use support::{
    captures, engine, mutate,
    pcap::{self, Capture, Endian},
    sums,
};

/// The beginnings of our captures: as pcap of either byte order, as pcapng, and compressed.
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
            pcap::gzip(&capture.pcap(Endian::Little, false)),
            pcap::zstd(&capture.pcapng(Endian::Little)),
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

/// Damaged captures: the ledger of each closes.
pub(crate) fn mutated() {
    let n = mutate::captures("the ledger of damaged captures", &|name, capture| {
        let (_, report, _) = engine::dissect(capture);
        for (what, a, b) in sums::of(&report) {
            assert_eq!(a, b, "{name}: {what}");
        }
    });
    println!("{n} damaged captures");
}
