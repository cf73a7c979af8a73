//! Live capture, where this user may capture.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::MetadataExt,
    process::Command,
    thread,
};

use support::{
    Scratch,
    program::{Tap, get, may_capture, missing, note},
    watch::Watcher,
};

use crate::{kubeshark, run};

/// Whether live capture can be tested; if not, that is told.
fn may() -> bool {
    let may = may_capture();
    if !may {
        missing("live capture: not run (it needs root or cap_net_raw)");
    }
    may
}

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
fn a_filter_is_quoted_as_it_was_typed() {
    if !may() {
        return;
    }
    let ports = ["--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0"];
    let ran = run(&[&["tap", "-i", "lo", "--bpf", "foo bar"][..], &ports].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("the capture filter `foo bar` is not valid BPF"), "{}", ran.stderr);
}

/// Other tests talk on this machine too: what asks for the answers of this test's server alone.
fn answers_of(address: &str) -> String {
    let (_, port) = address.rsplit_once(':').expect("a port");
    format!("/api/wsFull?q=http%20and%20dst.port%20%3D%3D%20%22{port}%22")
}

/// The number of the stream of an entry.
fn stream(entry: &serde_json::Value) -> u64 {
    let id = entry["id"].as_str().expect("an id");
    let name = id.rsplit('/').next().and_then(|name| name.split('.').next());
    name.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no stream in {id}"))
}

#[test]
fn ids_of_live_traffic_never_repeat() {
    if !may() {
        return;
    }
    let (address, state) = (server(), Scratch::new());
    let mut before = 0;
    for _ in 0..2 {
        let tap = Tap::start_in(&kubeshark(), &["-i", "lo"], state.path());
        let mut watcher = Watcher::connect(&tap.hub, &answers_of(&address));
        assert_eq!(get(&address, "/", &[]).0, 418);
        let number = stream(&watcher.entries(1)[0]);
        assert!(number > before, "{number} follows {before}");
        // The streams of other tests are numbered too, by less than a block.
        before += 100_000;
    }
    assert!(state.path().join("kubeshark/stream-high-water").is_file());
}

#[test]
fn traffic_of_this_machine_is_seen() {
    if !may() {
        return;
    }
    let address = server();
    for interface in ["lo", "any"] {
        let tap = Tap::start(&kubeshark(), &["-i", interface]);
        let mut watcher = Watcher::connect(&tap.hub, &answers_of(&address));
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

/// A line of `/proc/…/status`, for every thread of a process.
fn of_threads(process: u32, field: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("a process");
    let status = tasks
        .map(|task| fs::read_to_string(task.expect("a thread").path().join("status")).expect("a status"));
    let line = |status: String| {
        let found =
            status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t")).map(str::to_owned);
        found.unwrap_or_else(|| panic!("no {field}"))
    };
    status.map(line).collect()
}

/// Root with the rights that the chart gives it, and not one more.
fn as_in_a_pod(arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all,+net_raw,+setuid,+setgid", "--inh-caps=-all", "--groups=65532"]);
    command.arg(kubeshark()).args(["worker", "--listen", "127.0.0.1:0"]).args(arguments);
    command
}

#[test]
fn a_worker_looks_at_packets_without_any_right() {
    if !may() {
        return;
    }
    if fs::metadata("/proc/self").expect("a process").uid() != 0 {
        note("giving up rights: not run (it needs root)");
        return;
    }
    let (address, scratch) = (server(), Scratch::new());
    let data = scratch.path().join("data");
    let arguments = ["-i", "any", "--user", "65532", "--data-dir", data.to_str().expect("UTF-8")];
    // The second finds what the first has left.
    for _ in 0..2 {
        let worker = Tap::start_as(&mut as_in_a_pod(&arguments));
        for (field, expected) in [
            ("Uid", "65532\t65532\t65532\t65532"),
            ("Gid", "65532\t65532\t65532\t65532"),
            ("Groups", ""),
            ("CapPrm", "0000000000000000"),
            ("CapEff", "0000000000000000"),
            ("CapAmb", "0000000000000000"),
            ("NoNewPrivs", "1"),
        ] {
            let held = of_threads(worker.id(), field);
            assert!(held.len() > 2 && held.iter().all(|held| held.trim() == expected), "{field}: {held:?}");
        }
        let mut watcher = Watcher::connect(&worker.hub, answers_of(&address).trim_start_matches("/api"));
        assert_eq!(get(&address, "/", &[]).0, 418);
        assert_eq!(watcher.entries(1)[0]["response"]["status"], 418);
        drop(watcher);
        assert_eq!(worker.end("TERM").code(), Some(0));
    }
    assert_eq!(fs::metadata(data.join("stream-high-water")).expect("a mark").uid(), 65532);
}

#[test]
fn a_worker_that_may_not_change_its_user_does_not_start() {
    if !may() || fs::metadata("/proc/self").expect("a process").uid() != 0 {
        return;
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-all,+net_raw,+setgid", "--inh-caps=-all", "--groups=65532"])
        .arg(kubeshark());
    command.args(["worker", "--listen", "127.0.0.1:0", "-i", "lo", "--user", "65532"]);
    let state = Scratch::new();
    let ran = support::program::run(
        command.env("XDG_STATE_HOME", state.path()),
        b"",
        std::time::Duration::from_secs(30),
    );
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot become user 65532"), "{}", ran.stderr);
}
