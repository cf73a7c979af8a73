//! CTRL+C during `dissect`: what was read comes out whole, with the ledger.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use support::{
    Scratch,
    captures::Case,
    pcap::Endian,
    program::signal,
    traffic::{self, Mix},
};

use crate::{kubeshark, text};

/// What must be true of output and messages when it was interrupted.
fn ended_whole(stdout: &str, stderr: &str, code: Option<i32>) {
    assert_eq!(code, Some(130), "{stderr}");
    assert!(stdout.is_empty() || stdout.ends_with('\n'), "the last line is torn");
    for line in stdout.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    let printed = format!(" · printed {}", stdout.lines().count());
    let stderr = stderr.replace(',', "");
    assert!(stderr.contains("capture  packets ") && stderr.contains(&printed), "{printed}: {stderr}");
}

#[test]
fn of_a_file() {
    let scratch = Scratch::new();
    let mix = traffic::capture(&Mix { connections: 3000, requests: 20, questions: 0, seed: 8 });
    let path = scratch.file("mix.pcap", &mix.pcap(Endian::Little, false));
    let mut child = Command::new(kubeshark())
        .args(["dissect", text(&path)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    // It waits for its reader, so that it is in the middle when it is told.
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut printed = String::new();
    stdout.read_line(&mut printed).expect("a line");
    signal(child.id(), "INT");
    thread::sleep(Duration::from_millis(100));
    stdout.read_to_string(&mut printed).expect("UTF-8");
    let output = child.wait_with_output().expect("a child");
    ended_whole(&printed, &String::from_utf8_lossy(&output.stderr), output.status.code());
    assert!(printed.lines().count() < 3000 * 20, "it was read to its end");
}

#[test]
fn of_a_pipe_that_stays_open() {
    let demo = fs::read(Case::named("http-methods").input().expect("a capture")).expect("a file");
    for (input, entries) in [(&demo[..], 12), (&[], 0)] {
        let mut child = Command::new(kubeshark())
            .args(["dissect", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input).and_then(|()| stdin.flush()).expect("a reader");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut printed = String::new();
        if entries > 0 {
            stdout.read_line(&mut printed).expect("a line");
        } else {
            // Until it listens to signals.
            thread::sleep(Duration::from_millis(300));
        }
        signal(child.id(), "INT");
        stdout.read_to_string(&mut printed).expect("UTF-8");
        let output = child.wait_with_output().expect("a child");
        ended_whole(&printed, &String::from_utf8_lossy(&output.stderr), output.status.code());
        assert_eq!(printed.lines().count(), entries);
        drop(stdin);
    }
}

#[test]
fn the_second_ends_at_once() {
    let scratch = Scratch::new();
    let mix = traffic::capture(&Mix { connections: 300, requests: 20, questions: 0, seed: 8 });
    let path = scratch.file("mix.pcap", &mix.pcap(Endian::Little, false));
    // Nobody reads, so the first can't end it.
    let mut child = Command::new(kubeshark())
        .args(["dissect", text(&path)])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    thread::sleep(Duration::from_millis(300));
    signal(child.id(), "INT");
    thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().expect("a child").is_none(), "it did not wait for its reader");
    signal(child.id(), "INT");
    assert_eq!(child.wait().expect("a child").code(), Some(130));
}
