//! A hub, and workers fed from captures, in one process on free ports; watchers as users have them.

mod access;
mod routes;
mod session;
mod shape;
mod slow;
mod tls;
mod workers;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use support::{captures::Case, program::get};
use tokio::runtime::Runtime;
use worker::{Input, SourceConfig};

/// What the seed calls a cluster: a hub and its workers. They end with it.
struct Cluster {
    runtime: Runtime,
    workers: Vec<Option<worker::Running>>,
    addresses: Vec<SocketAddr>,
    hub: hub::Running,
}

fn worker_config(listen: SocketAddr, node: &str, input: PathBuf) -> worker::Config {
    worker::Config {
        listen,
        node: node.into(),
        ..worker::Config::new(vec![SourceConfig::new(Input::File(input))])
    }
}

fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn capture(name: &str) -> PathBuf {
    Case::named(name).input().expect("a capture")
}

impl Cluster {
    /// A worker per capture, on nodes `node-0`, `node-1` …
    fn of(captures: &[PathBuf]) -> Self {
        Self::with(captures, hub::Limits::default())
    }

    fn with(captures: &[PathBuf], limits: hub::Limits) -> Self {
        let cluster = Self::start(captures, None, hub::Config { limits, ..hub::Config::default() });
        cluster.wait_for_workers(captures.len());
        cluster
    }

    /// With keys for workers, as the configuration of the hub may have others.
    fn start(captures: &[PathBuf], keys: Option<&Path>, config: hub::Config) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let start = |(index, input): (usize, &PathBuf)| {
            let config = worker_config(free(), &format!("node-{index}"), input.clone());
            let config = worker::Config { tls_dir: keys.map(Path::to_path_buf), ..config };
            runtime.block_on(worker::start(config)).expect("a worker")
        };
        let workers: Vec<_> = captures.iter().enumerate().map(start).collect();
        let addresses: Vec<_> = workers.iter().map(|worker| worker.address).collect();
        let named = addresses.iter().map(ToString::to_string).collect();
        let config = hub::Config { listen: free(), workers: named, ..config };
        let hub = runtime.block_on(hub::start(config)).expect("a hub");
        Self { runtime, workers: workers.into_iter().map(Some).collect(), addresses, hub }
    }

    fn hub(&self) -> String {
        self.hub.address.to_string()
    }

    fn status(&self) -> serde_json::Value {
        serde_json::from_str(&get(&self.hub(), "/api/status", &[]).1).expect("JSON")
    }

    /// Waits until this many workers are connected.
    fn wait_for_workers(&self, count: usize) {
        let connected = || {
            let status = self.status();
            let workers = status["workers"].as_array().expect("a list").clone();
            workers.iter().filter(|worker| worker["connected"] == true).count()
        };
        eventually(&format!("{count} connected workers"), || connected() == count);
    }

    fn stop_worker(&mut self, index: usize) {
        let worker = self.workers[index].take().expect("a running worker");
        self.runtime.block_on(worker.shutdown());
    }

    fn restart_worker(&mut self, index: usize, input: PathBuf) {
        let config = worker_config(self.addresses[index], &format!("node-{index}"), input);
        self.workers[index] = Some(self.runtime.block_on(worker::start(config)).expect("a worker"));
    }
}

/// Waits until it is so, at most ten seconds.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
