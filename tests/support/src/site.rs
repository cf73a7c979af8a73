//! A worker on an interface of its own and a hub, as processes: traffic is put on the other end of the wire, scripts are
//! posted, and everything can be killed.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Scratch,
    namespace::Namespace,
    pcap::Endian,
    program::{self, Tap, ask, get, may_capture, missing, signal},
    traffic::{self, Mix},
    watch::Console,
};

/// HTTP transactions of each connection that [`Site::send`] makes.
pub const REQUESTS: u32 = 3;

/// The node's name.
pub const NODE: &str = "node-1";

/// A worker and a hub in a network namespace, which the calling thread is in from then on.
#[derive(Debug)]
pub struct Site {
    hub: Tap,
    worker: Option<Tap>,
    address: String,
    program: PathBuf,
    options: Vec<String>,
    /// Where the worker's data directory is a file system of so many MiB, seen by the worker alone.
    disk_mib: Option<u32>,
    scratch: Scratch,
    /// Frames and transactions on the wire so far, of all workers and of this one.
    sent: [u64; 2],
    seed: u64,
    // The last to go: the others live in it.
    _namespace: Namespace,
}

impl Site {
    /// Starts both; `None`, and a note, where that may not be.
    pub fn start(part: &str, program: &Path, options: &[&str], disk_mib: Option<u32>) -> Option<Self> {
        if !may_capture() {
            missing(&format!("{part}: not run (it needs root or cap_net_raw)"));
            return None;
        }
        if !program::installed(part, &["unshare", "ip", "python3"]) {
            return None;
        }
        let namespace = match Namespace::enter() {
            Ok(namespace) => namespace,
            Err(reason) => {
                missing(&format!("{part}: not run, {reason}"));
                return None;
            }
        };
        // Nobody but us speaks on the wire.
        namespace.shell(
            "for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6 || true; done; \
             ip link set lo up; ip link add far type veth peer name near; ip link set far up; ip link set near up",
        );
        let scratch = Scratch::new();
        let options = options.iter().copied().map(str::to_owned).collect();
        let worker = worker(program, "127.0.0.1:0", &scratch, &options, disk_mib);
        let address = worker.hub.clone();
        let hub = Tap::start_as(Command::new(program).args([
            "hub",
            "--listen",
            "127.0.0.1:0",
            "--workers",
            &address,
        ]));
        Some(Self {
            hub,
            worker: Some(worker),
            address,
            program: program.to_owned(),
            options,
            disk_mib,
            scratch,
            sent: [0, 0],
            seed: 0,
            _namespace: namespace,
        })
    }

    /// The worker's process.
    pub fn worker(&self) -> u32 {
        self.worker.as_ref().expect("a worker").id()
    }

    /// The data directory, as the worker sees it.
    pub fn data(&self) -> PathBuf {
        let own = self.scratch.path().join("data");
        // From another mount namespace, the worker's is reached through its root.
        match self.disk_mib {
            Some(_) => Path::new("/proc")
                .join(self.worker().to_string())
                .join("root")
                .join(own.strip_prefix("/").expect("absolute")),
            None => own,
        }
    }

    // === scripts

    /// Adds a script; gives its number.
    pub fn add(&self, title: &str, code: &str) -> u64 {
        let body = serde_json::json!({"title": title, "code": code}).to_string();
        let (status, answer) = ask(&self.hub.hub, "POST", "/api/scripts", &body);
        assert_eq!(status, 200, "{title}: {answer}");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["index"].as_u64().unwrap_or_else(|| panic!("no number in {answer}"))
    }

    /// Removes a script.
    pub fn remove(&self, script: u64) {
        let (status, answer) = ask(&self.hub.hub, "DELETE", &format!("/api/scripts/{script}"), "");
        assert_eq!(status, 200, "{answer}");
    }

    /// Replaces what scripts see as `env`.
    pub fn set_env(&self, env: &Value) {
        let (status, answer) = ask(&self.hub.hub, "POST", "/api/scripts/env", &env.to_string());
        assert_eq!(status, 200, "{answer}");
    }

    /// What scripts write from now on, and wrote of late.
    pub fn console(&self) -> Console {
        Console::connect(&self.hub.hub)
    }

    /// How a script fares, as the worker's `/status` has it: `state`, `strikes`, `calls`, `backlogFull` and the like;
    /// null if it is not there.
    pub fn fares(&self, script: u64) -> Value {
        let all = self.scripts();
        let found = all["scripts"].as_array().and_then(|all| all.iter().find(|one| one["index"] == script));
        found.cloned().unwrap_or_default()
    }

    /// How a script fares, as the hub's users see it: `phase`, `strikes`, `error` and the like.
    pub fn told(&self, script: u64) -> Value {
        self.of_hub(&format!("/api/scripts/{script}"))["workers"][0].clone()
    }

    /// Waits until a script's top level has run.
    pub fn loaded(&self, script: u64) {
        self.until(&format!("script {script} is loaded"), || self.fares(script)["state"] == "loaded");
    }

    /// What the worker knows of scripts.
    pub fn scripts(&self) -> Value {
        self.status()["scripts"].clone()
    }

    // === what both say

    fn of_hub(&self, path: &str) -> Value {
        let (status, body) = get(&self.hub.hub, path, &[]);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The worker's `/status`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&get(&self.address, "/status", &[]).1).expect("JSON")
    }

    /// A row of the worker's ledger.
    pub fn row(&self, stage: &str, row: &str) -> u64 {
        let status = self.status();
        status["ledger"][stage][row].as_u64().unwrap_or_else(|| panic!("no {stage} {row} in {status}"))
    }

    /// Waits until it is so, at most two minutes.
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while !is_so() {
            assert!(Instant::now() < deadline, "waited in vain: {what}; {}", self.status());
            thread::sleep(Duration::from_millis(50));
        }
    }

    // === traffic

    /// Puts HTTP connections on the wire, other ones each time, and so many frames every ten milliseconds. Gives the
    /// frames.
    pub fn send(&mut self, connections: u32, burst: u32) -> HashSet<Vec<u8>> {
        self.seed += 1;
        let mix = Mix { connections, requests: REQUESTS, questions: 0, seed: self.seed };
        let capture = traffic::capture(&mix);
        let file = self.scratch.file("load.pcap", &capture.pcap(Endian::Little, true));
        let mut command = Command::new("python3");
        command.arg(crate::root().join("tests/overload/send.py")).arg("far").arg(file).arg(burst.to_string());
        let ran = program::run(&mut command, b"", Duration::from_mins(10));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        self.sent[0] += capture.frames.len() as u64;
        self.sent[1] += u64::from(connections * REQUESTS);
        capture.frames.into_iter().map(|frame| frame.bytes).collect()
    }

    /// Transactions on the wire since this worker was started.
    pub fn transactions(&self) -> u64 {
        self.sent[1]
    }

    /// Where the worker serves.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until all that was sent was seen; none of it may be missing.
    pub fn all_is_seen(&self) {
        let [frames, transactions] = self.sent;
        self.until("all frames", || {
            self.row("capture", "packets") + self.row("capture", "kernelDropped") >= frames
        });
        self.until("all transactions", || self.row("dissect", "paired") >= transactions);
        let row = |stage, row| self.row(stage, row);
        let seen = [
            row("capture", "packets"),
            row("dissect", "paired"),
            row("capture", "kernelDropped"),
            row("flow", "shedFlows"),
        ];
        assert_eq!(
            seen,
            [frames, transactions, 0, 0],
            "packets, transactions, dropped, shed: {}",
            self.status()
        );
    }

    // === disasters

    /// Kills the script host, and waits until there is another one.
    pub fn kill_script_host(&self) {
        let process = || self.scripts()["process"].as_u64();
        let before = process().expect("a script host");
        signal(before as u32, "KILL");
        self.until("another script host", || process().is_some_and(|now| now != before));
    }

    /// Kills the worker, with all that is in its memory, and starts it again.
    pub fn kill_worker(&mut self) {
        let status = self.worker.take().expect("a worker").end("KILL");
        assert!(!status.success(), "it ended by itself");
        self.worker = Some(worker(&self.program, &self.address, &self.scratch, &self.options, self.disk_mib));
        self.sent = [0, 0];
    }
}

fn worker(
    program: &Path,
    listen: &str,
    scratch: &Scratch,
    options: &Vec<String>,
    disk_mib: Option<u32>,
) -> Tap {
    let data = scratch.path().join("data");
    std::fs::create_dir_all(&data).expect("a directory");
    let mut command = match disk_mib {
        Some(mib) => {
            let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\"; exec \"$@\"");
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-ec", &mount]).arg(&data).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(["worker", "-i", "near", "--node", NODE, "--listen", listen]).arg("--data-dir").arg(&data);
    Tap::start_as(command.args(options))
}
