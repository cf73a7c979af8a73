//! `kubeshark tap` from its greeting to CTRL+C; `worker` and `hub` apart.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
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

/// A process that is ended with its value.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str]) -> Self {
        Self(Command::new(kubeshark()).args(arguments).spawn().expect("the program"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An address where nobody listens now.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn worker_and_hub_apart_end_on_sigterm() {
    let (worker_address, hub_address) = (free_address(), free_address());
    let demo = capture("demo");
    let mut worker =
        Process::start(&["worker", "--pcap", text(&demo), "--listen", &worker_address, "--node", "one"]);
    let mut hub = Process::start(&["hub", "--workers", &worker_address, "--listen", &hub_address]);
    let deadline = Instant::now() + Duration::from_secs(10);
    let connected = || {
        std::net::TcpStream::connect(&hub_address).is_ok()
            && get(&hub_address, "/api/status", &[]).1.contains(r#""connected":true"#)
    };
    while !connected() {
        assert!(Instant::now() < deadline, "the hub did not find its worker");
        thread::sleep(Duration::from_millis(50));
    }
    for process in [&mut hub, &mut worker] {
        signal(process.0.id(), "TERM");
        assert_eq!(process.0.wait().expect("a child").code(), Some(0));
    }
}
