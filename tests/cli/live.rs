//! Live capture, where this user may capture.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use support::{
    program::{Tap, get, may_capture, note},
    watch::Watcher,
};

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
            let answer =
                b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 6\r\nConnection: close\r\n\r\nshort\n";
            stream.write_all(answer).expect("a reader");
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
        // Other tests talk on this machine too.
        let mut watcher = Watcher::connect(&tap.hub, "/api/wsFull?q=response.status%20%3D%3D%20418");
        assert_eq!(get(&address, &format!("/{interface}?q=1"), &[]).0, 418);
        let entry = watcher.entries(1).remove(0);
        assert_eq!(entry["request"]["url"], format!("/{interface}?q=1"));
        assert_eq!(
            format!("{}:{}", entry["dst"]["ip"].as_str().unwrap(), entry["dst"]["port"].as_str().unwrap()),
            address
        );
        // What the program says itself is left out: watching it would make more of it.
        let own = format!("http and dst.port == \"{}\"", tap.hub.rsplit(':').next().unwrap());
        watcher.send(&own);
        assert_eq!(get(&tap.hub, "/api/status", &[]).0, 200);
        watcher.expect_silence();
        drop(watcher);
        assert_eq!(tap.interrupt().code(), Some(0));
    }
}
