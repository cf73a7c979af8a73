//! What is printed, and where.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use support::{Scratch, traffic::Mix};

use crate::{capture, dissected, run, run_with, start, text};

#[test]
fn kfl_chooses() {
    let demo = capture("demo");
    for (query, count) in [
        ("", 38),
        ("http", 32),
        ("dns", 6),
        ("http and response.status == 500", 2),
        ("response.status > 300 and node.name == \"localhost\"", 10),
        ("request.headers[\"X-Request-Id\"] == \"12\"", 2),
        ("http and request.path.startsWith(\"/orders\")", 4),
        ("limit(3)", 3),
    ] {
        let printed = dissected(&["--kfl", query, text(&demo)]);
        assert_eq!(printed.split_inclusive(|byte| *byte == b'\n').count(), count, "{query}");
    }
    // What is a field that no entry has in one spelling is the status in the other.
    for (lang, count) in [("v1", 0), ("v2", 2)] {
        let printed = dissected(&["--lang", lang, "--kfl", "status_code == 500", text(&demo)]);
        assert_eq!(printed.split_inclusive(|byte| *byte == b'\n').count(), count, "{lang}");
    }
}

#[test]
fn a_table_has_a_line_per_entry() {
    let printed =
        String::from_utf8(dissected(&["-o", "table", text(&capture("http-methods"))])).expect("UTF-8");
    assert_eq!(printed.lines().count(), 12);
    assert!(
        printed
            .lines()
            .next()
            .is_some_and(|line| line.contains("GET") && line.contains("/hello.txt") && line.contains("200")),
        "{printed}"
    );
}

#[test]
fn the_ledger_goes_to_stderr_or_is_the_summary() {
    let demo = capture("demo");
    let ran = run(&["dissect", text(&demo)]);
    assert!(ran.stderr.contains("entries  all 38 · printed 38 · DNS 6 · HTTP 32"), "{}", ran.stderr);
    let summary = String::from_utf8(dissected(&["-o", "summary", text(&demo)])).expect("UTF-8");
    for row in [
        "capture  packets ",
        "capture  bytes ",
        "capture  kernel dropped ",
        "flow     TCP opened ",
        "entries  HTTP ",
    ] {
        assert!(summary.lines().any(|line| line.starts_with(row)), "{row} is not in {summary}");
    }
    assert!(!summary.contains('{'));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let scratch = Scratch::new();
    let path = scratch.mix(&Mix { connections: 200, requests: 10, questions: 0, seed: 6 });
    let mut child = start(text(&path), Stdio::piped());
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    // The reader is dropped here, with most of the output unread.
    let output = child.wait_with_output().expect("a child");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_was_printed_can_be_filtered_again() {
    let entries = dissected(&[text(&capture("demo"))]);
    let query = "http and response.status == 500";
    let ran = run_with(&["kfl", "match", query], &entries);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, dissected(&["--kfl", query, text(&capture("demo"))]));
    let ran = run_with(&["kfl", "match", query], b"{}\nno json\n");
    // As grep has it: 1 says that nothing matched, 2 that something went wrong.
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("line 2"), "{}", ran.stderr);
}

#[test]
fn help_version_completions() {
    let version = run(&["version"]);
    assert_eq!(
        String::from_utf8_lossy(&version.stdout),
        format!("kubeshark {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = String::from_utf8(run(&["--help"]).stdout).expect("UTF-8");
    for command in ["tap", "dissect", "worker", "hub", "kfl", "version", "completions"] {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(command)),
            "{command} is not in {help}"
        );
        let ran = run(&[command, "--help"]);
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.len() > 100, "{command} has no help");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.code, Some(0));
        assert!(String::from_utf8_lossy(&ran.stdout).contains("dissect"), "{shell}");
    }
}
