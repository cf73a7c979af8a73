//! `kubeshark scripts test`: scripts over a capture, in the capture's own time.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use serde_json::Value;
use support::{
    Scratch,
    pcap::{Capture, Endian},
    program::{self, Ran},
    receiver::Receiver,
};

use crate::{capture, kubeshark, text};

/// Runs `scripts test` over a capture.
fn tried(scratch: &Scratch, script: &str, name: &str, more: &[&str]) -> Ran {
    let script = scratch.file("script.js", script.as_bytes());
    let capture = capture(name);
    let mut command = Command::new(kubeshark());
    command.args(["scripts", "test", text(&script), "--pcap", text(&capture)]).args(more);
    program::run(&mut command, b"", Duration::from_mins(1))
}

fn lines(ran: &Ran) -> Vec<String> {
    String::from_utf8_lossy(&ran.stdout).lines().map(str::to_owned).collect()
}

/// What stands under this key, of the lines that are JSON with it.
fn told(ran: &Ran, key: &str) -> Vec<Value> {
    let json = lines(ran).into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    json.filter_map(|value| value.get(key).cloned()).collect()
}

#[test]
fn packets_per_minute_are_those_of_the_capture() {
    const MINUTE: u64 = 60_000_000_000;
    let scratch = Scratch::new();
    let read = Capture::read(&fs::read(capture("demo")).expect("a file"));
    // Four copies of the capture, a little less than a minute apart: minutes begin within them.
    let mut spread = Capture { link_type: read.link_type, frames: Vec::new() };
    for copy in 0..4 {
        for frame in &read.frames {
            let mut frame = frame.clone();
            frame.at += copy * (MINUTE - 7_000_000_000);
            spread.frames.push(frame);
        }
    }
    let path = scratch.file("spread.pcap", &spread.pcap(Endian::Little, true));
    let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
    let minutes: Vec<_> = spread.frames.iter().map(|frame| frame.at / MINUTE).collect();
    for minute in minutes[0]..=*minutes.last().expect("packets") {
        expected.insert(minute, minutes.iter().filter(|&&other| other == minute).count() as u64);
    }
    assert!(expected.len() > 2, "{expected:?}");
    let script = support::root().join("scripts/packet-count.js");
    let mut command = Command::new(kubeshark());
    command.args(["scripts", "test", text(&script), "--pcap", text(&path)]);
    let ran = program::run(&mut command, b"", Duration::from_mins(1));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let counted: Vec<u64> = lines(&ran)
        .iter()
        .filter_map(|line| {
            line.strip_prefix("[localhost-0] Captured packet count per minute: ")?.parse().ok()
        })
        .collect();
    assert_eq!(counted, expected.into_values().collect::<Vec<_>>());
    assert_eq!(told(&ran, "job")[0]["runs"], counted.len());
}

const ALERT: &str = r##"function onItemCaptured(data) {
    if (data.response.status === 500)
        vendor.slack(env.SLACK_WEBHOOK, "Server-side Error", data.request.path, "#ff0000");
}"##;

#[test]
fn calls_are_noted_and_made_only_when_asked() {
    let scratch = Scratch::new();
    let slack = Receiver::ok();
    let webhook = format!("SLACK_WEBHOOK={}", slack.url("/hook"));
    let ran = tried(&scratch, ALERT, "http-methods", &["--env", &webhook]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let calls = told(&ran, "call");
    assert_eq!(calls.len(), 1, "{:?}", lines(&ran));
    assert_eq!(calls[0]["helper"], "vendor.slack");
    assert!(calls[0]["what"].to_string().contains("Server-side Error"), "{}", calls[0]);
    assert!(slack.received().is_empty());

    let ran = tried(&scratch, ALERT, "http-methods", &["--env", &webhook, "--live"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let received = slack.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].json()["attachments"][0]["pretext"], "Server-side Error");
}

#[test]
fn what_throws_is_a_failure_and_what_test_says_is_not() {
    let scratch = Scratch::new();
    for (script, code, words) in [
        ("var a = 1;", 0, &[][..]),
        ("throw new Error('no key');", 1, &["script.js", "not loaded", "no key"]),
        ("function onItemCaptured(data) { data.nothing.at.all; }", 1, &["script.js", "12 of 13 calls threw"]),
        ("jobs.schedule('t', '* * * * * *', function () { throw new Error('job'); }, 2);", 1, &["threw"]),
        ("function onItemQueried(data) { return test.fail(data); }", 0, &["test.fail 12"]),
        ("while (true) {}", 1, &["script.js"]),
    ] {
        let ran = tried(&scratch, script, "http-methods", &[]);
        assert_eq!(ran.code, Some(code), "{script}: {}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{script} does not say {word:?}: {}", ran.stderr);
        }
    }
    let missing = program::run(
        Command::new(kubeshark()).args(["scripts", "test", "nowhere.js", "--pcap", text(&capture("demo"))]),
        b"",
        Duration::from_mins(1),
    );
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("nowhere.js"), "{}", missing.stderr);
    let ran = tried(&scratch, "1", "http-methods", &["--env", "novalue"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}
