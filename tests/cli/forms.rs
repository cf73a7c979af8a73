//! However a capture is stored, its entries are the same.

use std::fs;

use support::{
    Scratch,
    pcap::{self, Capture, Endian},
    reframe,
    traffic::Mix,
};

use crate::{capture, dissected, run_with, text};

fn read(name: &str) -> Capture {
    Capture::read(&fs::read(capture(name)).expect("a file"))
}

#[test]
fn every_file_format() {
    let scratch = Scratch::new();
    let capture = read("http-methods");
    let plain = capture.pcap(Endian::Little, false);
    let expected = dissected(&[text(&crate::capture("http-methods"))]);
    for (name, bytes) in [
        ("micro-little", plain.clone()),
        ("micro-big", capture.pcap(Endian::Big, false)),
        ("nano-little", capture.pcap(Endian::Little, true)),
        ("nano-big", capture.pcap(Endian::Big, true)),
        ("pcapng-little", capture.pcapng(Endian::Little)),
        ("pcapng-big", capture.pcapng(Endian::Big)),
        ("gzip", pcap::gzip(&plain)),
        ("zstd", pcap::zstd(&plain)),
        ("pcapng-gzip", pcap::gzip(&capture.pcapng(Endian::Big))),
        ("pcapng-zstd", pcap::zstd(&capture.pcapng(Endian::Little))),
        ("two-gzip-members", [pcap::gzip(&plain[..1000]), pcap::gzip(&plain[1000..])].concat()),
    ] {
        assert!(dissected(&[text(&scratch.file(name, &bytes))]) == expected, "{name} gives something else");
        let ran = run_with(&["dissect", "-"], &bytes);
        assert_eq!(ran.code, Some(0), "{name} on standard input: {}", ran.stderr);
        assert!(ran.stdout == expected, "{name} on standard input gives something else");
    }
}

#[test]
fn nanoseconds_are_kept() {
    let scratch = Scratch::new();
    let mut capture = read("any-sll2");
    for (index, frame) in capture.frames.iter_mut().enumerate() {
        frame.at = 1_700_000_000_000_000_001 + index as u64;
    }
    for (name, bytes) in
        [("pcap", capture.pcap(Endian::Big, true)), ("pcapng", capture.pcapng(Endian::Little))]
    {
        let printed = String::from_utf8(dissected(&[text(&scratch.file(name, &bytes))])).expect("JSON");
        assert!(printed.contains(r#""startTime":"2023-11-14T22:13:20.00000000"#), "{name}: {printed}");
    }
}

#[test]
fn every_link_layer() {
    let scratch = Scratch::new();
    for name in ["http-methods", "ipv6", "dns-udp"] {
        let expected = dissected(&[text(&capture(name))]);
        for (form, reframed) in reframe::all(&read(name)) {
            let path = scratch.file(form, &reframed.pcap(Endian::Little, false));
            assert!(dissected(&[text(&path)]) == expected, "{name} over {form} gives something else");
        }
    }
}

#[test]
fn any_number_of_threads_any_run() {
    let scratch = Scratch::new();
    let path = scratch.mix(&Mix { connections: 300, requests: 4, questions: 900, seed: 5 });
    let expected = dissected(&["--threads", "1", text(&path)]);
    assert_eq!(expected.split_inclusive(|byte| *byte == b'\n').count(), 300 * 4 + 900);
    for threads in ["1", "2", "3", "8"] {
        assert!(
            dissected(&["--threads", threads, text(&path)]) == expected,
            "{threads} threads give something else"
        );
    }
}

#[test]
fn several_files_follow_each_other() {
    let (first, second) = (capture("dns-udp"), capture("http-methods"));
    let printed = String::from_utf8(dissected(&[text(&first), text(&second)])).expect("JSON");
    let ids: std::collections::BTreeSet<_> =
        printed.lines().map(|line| entry(line)["id"].to_string()).collect();
    assert_eq!(ids.len(), 13 + 12, "ids repeat");
}

fn entry(line: &str) -> serde_json::Value {
    serde_json::from_str(line).expect("an entry")
}
