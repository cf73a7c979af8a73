//! Live capture on the loopback, where this user may capture.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use support::program::{Tap, get, note, may_capture};

use crate::kubeshark;

/// Answers every connection with one response.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let read = stream.read(&mut request).expect("a request");
            assert!(read > 0);
            stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 6\r\nConnection: close\r\n\r\nshort\n").expect("a reader");
        }
    });
    address
}

#[test]
fn traffic_of_this_machine_is_seen() {
    if !may_capture() {
        note("live capture: not run (it needs root or cap_net_raw)");
        return;
    }
    let address = server();
    for interface in ["lo", "any"] {
        let tap = Tap::start(&kubeshark(), &["-i", interface]);
        assert_eq!(get(&address, &format!("/{interface}?q=1"), &[]).0, 418);
        let deadline = Instant::now() + Duration::from_secs(10);
        // The worker's numbers reach `/status` with the next report.
        loop {
            let (_, metrics) = get(&tap.hub, "/api/metrics", &[]);
            let (_, status) = get(&tap.hub, "/api/status", &[]);
            if status.contains(r#""HTTP":1"#) || metrics.contains("entries_total 1") {
                break;
            }
            assert!(Instant::now() < deadline, "{interface}: the request was not seen: {status}");
            thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(tap.interrupt().code(), Some(0));
    }
}
