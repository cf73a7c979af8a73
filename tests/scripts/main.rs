//! Scripts on their way: from a folder or a request, through the hub, to the workers' script hosts, and what they say
//! back. Everything is real but the traffic, which is read from captures.

mod alerts;
mod console;
mod delivery;
mod hooks;
mod rehearsal;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use hub::source::SourceConfig;
use serde_json::Value;
use support::{
    captures::Case,
    program::{ask, get},
    watch::Console,
};
use tokio::runtime::Runtime;
use worker::{Input, SourceConfig as Packets};

/// The built program: workers run it as script host.
fn kubeshark() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_kubeshark"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn capture(name: &str) -> PathBuf {
    Case::named(name).input().expect("a capture")
}

fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A hub and two workers, `node-0` and `node-1`. They end with it.
struct Cluster {
    runtime: Runtime,
    workers: Vec<Option<worker::Running>>,
    addresses: Vec<SocketAddr>,
    hub: hub::Running,
}

fn worker_config(listen: SocketAddr, index: usize) -> worker::Config {
    worker::Config {
        listen,
        node: format!("node-{index}"),
        script_host: Some(kubeshark()),
        ..worker::Config::new(vec![Packets::new(Input::File(capture("ipv6")))])
    }
}

impl Cluster {
    fn start(scripts: SourceConfig) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let start = |index| runtime.block_on(worker::start(worker_config(free(), index))).expect("a worker");
        let workers: Vec<_> = (0..2).map(start).collect();
        let addresses: Vec<_> = workers.iter().map(|worker| worker.address).collect();
        let named = addresses.iter().map(ToString::to_string).collect();
        let script_host = Some(kubeshark());
        let config =
            hub::Config { listen: free(), workers: named, scripts, script_host, ..hub::Config::default() };
        let hub = runtime.block_on(hub::start(config)).expect("a hub");
        Self { runtime, workers: workers.into_iter().map(Some).collect(), addresses, hub }
    }

    fn hub(&self) -> String {
        self.hub.address.to_string()
    }

    fn stop_worker(&mut self, index: usize) {
        let worker = self.workers[index].take().expect("a running worker");
        self.runtime.block_on(worker.shutdown());
    }

    fn restart_worker(&mut self, index: usize) {
        let config = worker_config(self.addresses[index], index);
        self.workers[index] = Some(self.runtime.block_on(worker::start(config)).expect("a worker"));
    }

    /// What scripts write from now on, and wrote before.
    fn console(&self) -> Console {
        Console::connect(&self.hub())
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = get(&self.hub(), path, &[]);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = ask(&self.hub(), method, path, &body.to_string());
        assert_eq!(status, 200, "{method} {path}: {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }
}

/// Waits until it is so, at most half a minute.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
