//! The scripts of `scripts/`: each of them through the built program, over real traffic, and its effect at the service
//! that it writes to. Object stores and `InfluxDB` are real; Slack and webhooks are receivers that keep what comes, and
//! Elasticsearch, Azure and Kinesis stubs that answer as these do.

mod alerts;
mod evidence;
mod flags;
mod metrics;
mod seeds;
mod types;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{
    captures::{self, Case, name_of},
    program::{self, Ran},
};

/// Runs the script of this name, and looks at what came of it.
type Check = fn(&str);

/// Every script.
const SCRIPTS: [(&str, Check); 22] = [
    ("api-inventory.js", evidence::inventory),
    ("dns-exfiltration.js", alerts::exfiltration),
    ("dns-failures.js", alerts::dns_failures),
    ("error-pcap-slackbot.js", alerts::packets_to_slack),
    ("error-rate-slack.js", alerts::error_rate),
    ("error-webhook.js", alerts::webhook),
    ("har-on-error.js", evidence::har),
    ("latency-influxdb.js", metrics::influxdb),
    ("latency-prometheus.js", metrics::prometheus),
    ("packet-count.js", metrics::packet_count),
    ("pass-fail.js", alerts::pass_fail),
    ("pii-detector.js", alerts::personal_data),
    ("record-gcs.js", evidence::record_gcs),
    ("record-s3-slack.js", evidence::record_s3_slack),
    ("record-s3.js", evidence::record_s3),
    ("server-error-slack.js", alerts::server_error),
    ("slow-requests.js", alerts::slow_requests),
    ("snapshot-azure.js", evidence::snapshot_azure),
    ("snapshot-s3.js", evidence::snapshot_s3),
    ("top-talkers.js", metrics::top_talkers),
    ("traffic-elastic.js", metrics::elastic),
    ("traffic-kinesis.js", metrics::kinesis),
];

fn kubeshark() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_kubeshark"))
}

fn script(name: &str) -> PathBuf {
    support::root().join("scripts").join(name)
}

fn capture(name: &str) -> PathBuf {
    Case::named(name).input().expect("a capture")
}

/// Whether a file, or an object, is of a kind: `pcap`.
fn is(name: &str, kind: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == kind)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Runs a script of the library over a capture, in the capture's time; what it sends is sent.
fn tried(name: &str, capture: &Path, env: &[(&str, &str)], more: &[&str]) -> Ran {
    let mut command = Command::new(kubeshark());
    command.args(["scripts", "test", "--live", text(&script(name)), "--pcap", text(capture)]).args(more);
    for (name, value) in env {
        command.args(["--env", &format!("{name}={value}")]);
    }
    program::run(&mut command, b"", Duration::from_mins(2))
}

/// The same; gives the lines that it printed, and nothing may have thrown.
fn run(name: &str, capture: &Path, env: &[(&str, &str)], more: &[&str]) -> Vec<String> {
    let ran = tried(name, capture, env, more);
    let lines: Vec<_> = String::from_utf8_lossy(&ran.stdout).lines().map(str::to_owned).collect();
    assert_eq!(ran.code, Some(0), "{name}: {} {lines:#?}", ran.stderr);
    lines
}

/// Waits until it is so, at most a minute.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn status(entry: &Value) -> u64 {
    entry["response"]["status"].as_u64().unwrap_or_default()
}

#[test]
fn every_script_does_what_it_says() {
    if !program::installed("library of scripts", &["tshark", "tar", "openssl"]) {
        return;
    }
    let mut failed = Vec::new();
    for (name, check) in SCRIPTS {
        // On a thread of its own, so that one that fails does not hide the next.
        if thread::spawn(move || check(name)).join().is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_script_is_here_and_in_the_list() {
    let files = captures::files(&support::root().join("scripts")).into_iter();
    let there: BTreeSet<_> = files.map(|path| name_of(&path)).filter(|name| is(name, "js")).collect();
    let here: BTreeSet<_> = SCRIPTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, here);
    let list = std::fs::read_to_string(script("README.md")).expect("a list");
    for name in there {
        assert!(list.contains(&format!("| [{name}]({name}) |")), "scripts/README.md does not list {name}");
        let code = std::fs::read_to_string(script(&name)).expect("a script");
        let head: Vec<_> = code.lines().take_while(|line| line.starts_with("//")).collect();
        assert!(head.iter().any(|line| line.starts_with("// env: ")), "{name} does not say what it wants");
    }
}

/// What a script lacks, it says.
#[test]
fn what_is_missing_is_named() {
    for (name, lacks) in [
        ("error-rate-slack.js", "needs SLACK_WEBHOOK in env"),
        ("snapshot-s3.js", "needs S3_BUCKET and AWS_REGION in env"),
        ("traffic-elastic.js", "needs ELASTIC_URL in env"),
    ] {
        let ran = tried(name, &capture("demo"), &[], &[]);
        assert_eq!(ran.code, Some(1), "{name}");
        assert!(ran.stderr.contains(lacks) && ran.stderr.contains("not loaded"), "{name}: {}", ran.stderr);
    }
}
