//! `vendor.*` as scripts call it, in the real engine, at real object stores and `InfluxDB`, and at receivers that keep what
//! comes. Slack, Elasticsearch, Azure and Kinesis are receivers that stand in for them: stubs.

mod files;
mod messages;
mod recording;

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use scripting::{About, Answer, Host, Options, Outcome, Request, Stage};
use serde_json::{Map, Value, json};
use support::Scratch;

/// 2023-03-23T10:00:00Z, in nanoseconds.
const START: i64 = 1_679_565_600_000_000_000;

/// A worker's part: streams are five bytes each.
struct Worker {
    directory: PathBuf,
    asked: Mutex<Vec<Request>>,
}

impl Host for Worker {
    fn ask(&self, request: Request) -> Answer {
        let answer = match &request {
            Request::CopyStream { stream, destination } => {
                let written = fs::write(self.directory.join(destination), format!("{stream}: pcap"));
                written.map(|()| Value::Null).map_err(|error| error.to_string())
            }
            Request::Deleted { path } => {
                let removed = fs::remove_file(self.directory.join(path));
                removed.map(|()| Value::Null).map_err(|error| error.to_string())
            }
            Request::NameResolutionHistory => {
                Ok(json!({"1679565600": {"10.0.0.1": {"FullAddress": "a.b", "Namespace": "b"}}}))
            }
            _ => Ok(Value::Null),
        };
        self.asked.lock().expect("no panic").push(request);
        Box::pin(async move { answer })
    }
}

/// What a script did.
struct Ran {
    /// What it printed, without the marks of the console.
    lines: Vec<String>,
    outcome: Outcome,
    asked: Vec<Request>,
}

/// A node's data directory, with a file in it.
struct Node(Scratch);

impl Node {
    fn new() -> Self {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.path().join("pcaps")).expect("a directory");
        scratch.file("trace.pcap", b"packets");
        Self(scratch)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a script's top level. With `is_live`, what it sends is sent.
    fn run(&self, code: &str, env: &Value, is_live: bool) -> Ran {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let about = About {
            node: "my-cluster".to_owned(),
            ip: "192.168.49.2".to_owned(),
            run_id: 1_678_808_288,
            data_dir: self.0.path().to_owned(),
        };
        let limits = outlets::Limits {
            backoff: std::time::Duration::from_millis(1),
            attempts: 2,
            ..outlets::Limits::default()
        };
        let worker = Arc::new(Worker { directory: self.0.path().to_owned(), asked: Mutex::default() });
        let stage = Stage {
            about,
            options: Options::default(),
            host: Arc::clone(&worker) as Arc<dyn Host>,
            outlets: outlets::Outlets::new(outlets::Config { limits, ..outlets::Config::default() })
                .expect("clients"),
            is_live,
            runtime: runtime.handle().clone(),
            start: START,
        };
        let lines = Arc::new(Mutex::new(Vec::new()));
        let said = Arc::clone(&lines);
        let console = move |line: scripting::wire::Line| said.lock().expect("no panic").push(line.text);
        let env: Map<String, Value> = env.as_object().expect("an object").clone();
        let outcome = scripting::rehearse(stage, console, |rehearsal| {
            rehearsal.set_env(env);
            rehearsal.load(0, code);
            rehearsal.outcome()
        });
        let lines = lines.lock().expect("no panic").clone();
        let asked = worker.asked.lock().expect("no panic").clone();
        Ran { lines, outcome: outcome.expect("an engine"), asked }
    }

    /// Runs a script that sends what it sends; what it printed.
    fn live(&self, code: &str, env: &Value) -> Vec<String> {
        let ran = self.run(code, env, true);
        assert!(ran.outcome.refused.is_empty(), "{:?}: {:?}", ran.outcome.refused, ran.lines);
        ran.lines
    }
}
