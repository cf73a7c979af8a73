//! CTRL+C during `dissect`: what was read comes out whole, with the ledger.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
    thread,
    time::Duration,
};

use support::{Scratch, captures::Case, program::signal, traffic::Mix};

use crate::{start, text};

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
    let path = scratch.mix(&Mix { connections: 3000, requests: 20, questions: 0, seed: 8 });
    let mut child = start(text(&path), Stdio::piped());
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
        let mut child = start("-", Stdio::piped());
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
    let path = scratch.mix(&Mix { connections: 300, requests: 20, questions: 0, seed: 8 });
    // Nobody reads, so the first can't end it.
    let mut child = start(text(&path), Stdio::null());
    thread::sleep(Duration::from_millis(300));
    signal(child.id(), "INT");
    thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().expect("a child").is_none(), "it did not wait for its reader");
    signal(child.id(), "INT");
    assert_eq!(child.wait().expect("a child").code(), Some(130));
}
