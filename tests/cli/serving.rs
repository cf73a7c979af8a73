//! `kubeshark tap` from its greeting to CTRL+C; `worker` and `hub` apart.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use support::{
    Scratch,
    program::{Tap, get, signal},
    watch::Watcher,
};

use crate::{capture, kubeshark, text};

#[test]
fn tap_greets_serves_and_ends() {
    let tap = Tap::start(&kubeshark(), &["--pcap", text(&capture("demo"))]);
    assert!(
        tap.greeting.contains(&format!("wscat --connect ws://{}/api/wsFull", tap.hub)),
        "{}",
        tap.greeting
    );
    for path in ["/api/echo", "/echo", "/api/status", "/status", "/healthz", "/api/metrics"] {
        assert_eq!(get(&tap.hub, path, &[]).0, 200, "{path}");
    }
    let status = tap.interrupt();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn tap_on_every_address_greets_with_one_that_answers() {
    let demo = capture("demo");
    let tap = Tap::start_as(
        Command::new(kubeshark())
            .args(["tap", "--listen", "0.0.0.0:0", "--worker-listen", "0.0.0.0:0"])
            .args(["--pcap", text(&demo), "--allowed-hosts", "shop.example"]),
    );
    assert!(tap.hub.starts_with("127.0.0.1:"), "{}", tap.greeting);
    let mut watcher = Watcher::connect(&tap.hub, "/api/wsFull?q=http");
    assert_eq!(watcher.entries(32).len(), 32);
    for (host, code) in [("shop.example", 200), ("elsewhere.example", 403)] {
        assert_eq!(get(&tap.hub, "/api/status", &[("Host", host)]).0, code, "{host}");
    }
}

#[test]
fn a_worker_serves_what_it_read_before_the_damage() {
    let scratch = Scratch::new();
    let whole = fs::read(capture("http-methods")).expect("a file");
    let path = scratch.file("cut.pcap", &whole[..whole.len() - 5]);
    let mut child = Command::new(kubeshark())
        .args(["worker", "--listen", "127.0.0.1:0", "--pcap", text(&path)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let greeting = lines.next().expect("a greeting");
    let (_, address) = greeting.split_once("http://").expect("an address");
    let mut watcher = Watcher::connect(address, "/wsFull?q=http");
    assert_eq!(watcher.entries(12).len(), 12);
    drop(watcher);
    assert!(lines.any(|line| line == format!("  kubeshark hub --workers {address}")));
    signal(child.id(), "INT");
    let output = child.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.matches("cut short").count(), 1, "{said}");
    assert!(said.contains("still served"), "{said}");
}

#[test]
fn worker_and_hub_apart_greet_and_end_on_sigterm() {
    let demo = capture("demo");
    let serving = |arguments: &[&str]| Tap::start_as(Command::new(kubeshark()).args(arguments));
    let worker = serving(&[
        "worker",
        "--pcap",
        text(&demo),
        "--listen",
        "127.0.0.1:0",
        "--advertise",
        "one.example:80",
    ]);
    let hub = serving(&["hub", "--workers", &worker.hub, "--listen", "127.0.0.1:0"]);
    for (process, paste) in [
        (&worker, format!("  kubeshark hub --workers {}\n", worker.hub)),
        (&hub, format!("  wscat --connect ws://{}/api/wsFull\n", hub.hub)),
    ] {
        assert!(process.greeting.contains(&paste), "{}", process.greeting);
    }
    let mut watcher = Watcher::connect(&hub.hub, "/api/wsFull?q=http");
    let entries = watcher.entries(32);
    assert_eq!(entries[0]["worker"], "one.example:80");
    drop(watcher);
    for process in [hub, worker] {
        assert_eq!(process.end("TERM").code(), Some(0));
    }
}
