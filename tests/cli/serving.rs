//! `kubeshark tap` from its greeting to CTRL+C; `worker` and `hub` apart.

use std::{
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use support::program::{Tap, get, signal};

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
