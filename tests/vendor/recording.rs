//! `file.*`, `pcap.*` and the wrappers that record: real packets in a real store, uploaded to real object stores.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, Mutex, mpsc::sync_channel},
    thread,
    time::Duration,
};

use scripting::{About, Options, Rehearsal, Stage};
use serde_json::{Map, Value, json};
use support::{
    Scratch,
    captures::Case,
    pcap::{Capture, Frame},
    receiver::Receiver,
    recorded::{self, matching, unpacked},
    servers::{Gcs, S3, service_account},
};
use worker::{Backstage, Input, Limits, Seen};

const SECOND: i64 = 1_000_000_000;

/// A script that saw a capture, in the capture's time.
struct Recording {
    data: Scratch,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Recording {
    fn new() -> Self {
        Self { data: Scratch::new(), lines: Arc::default() }
    }

    /// Runs `code` over the capture `demo`; then `after` has the script at the time of the last packet.
    fn run(&self, code: &str, env: &Value, after: impl FnOnce(&mut Rehearsal, i64) + Send) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let backstage = Backstage::open(self.data.path(), 1 << 30).expect("a packet store");
        let limits =
            outlets::Limits { backoff: Duration::from_millis(1), attempts: 2, ..outlets::Limits::default() };
        let about = About {
            node: "my-cluster".to_owned(),
            ip: "192.168.49.2".to_owned(),
            run_id: 1_678_808_288,
            data_dir: self.data.path().to_owned(),
        };
        let outlets = outlets::Outlets::new(outlets::Config { limits, ..outlets::Config::default() });
        let stage = Stage {
            about,
            options: Options::default(),
            host: backstage.host(),
            outlets: outlets.expect("clients"),
            is_live: true,
            runtime: runtime.handle().clone(),
            start: demo().frames.first().expect("a packet").at as i64,
        };
        let said = Arc::clone(&self.lines);
        let console = move |line: scripting::wire::Line| said.lock().expect("no panic").push(line.text);
        let env: Map<String, Value> = env.as_object().expect("an object").clone();
        let node = api::Node { ip: "".into(), name: "n".into(), worker: "127.0.0.1:30001".into() };
        let input = Input::File(Case::named("demo").input().expect("a capture"));
        let outcome = scripting::rehearse(stage, console, |rehearsal| {
            rehearsal.set_env(env);
            rehearsal.load(0, code);
            let (mut now, (sender, events)) = (0, sync_channel(1));
            let backstage = &backstage;
            // Beside the script, so that packets come after the copy of their stream.
            thread::scope(|scope| {
                scope.spawn(move || {
                    let mut seen = |seen| sender.send(seen).is_ok();
                    let read = worker::replay(input, &Limits::default(), node, backstage, &mut seen);
                    read.expect("a whole capture");
                });
                for event in events {
                    match event {
                        Seen::Packet(info) => now = now.max(info.at),
                        Seen::Entry(entry) => {
                            let mut text = Vec::new();
                            api::write_record(&mut text, &*entry);
                            rehearsal.entry(&text, now);
                        }
                    }
                }
            });
            after(rehearsal, now);
            rehearsal.outcome()
        });
        assert!(outcome.expect("an engine").refused.is_empty(), "{:?}", self.lines());
        backstage.close();
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panic").clone()
    }
}

/// Lets the script's time pass until something holds.
fn until(rehearsal: &mut Rehearsal, now: &mut i64, what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        *now += SECOND;
        rehearsal.advance(*now);
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{what} did not come");
}

fn demo() -> Capture {
    Capture::read(&fs::read(Case::named("demo").input().expect("a capture")).expect("a file"))
}

/// Looks into a repository; gives its `content.json`.
fn check_repository(archive: &[u8], query: &str, matching: &BTreeSet<String>) -> Value {
    let members = unpacked(archive);
    let content: Value = serde_json::from_slice(&members["content.json"]).expect("JSON");
    assert_eq!(content["kfl_query"], query);
    let listed: BTreeSet<String> =
        serde_json::from_value(content["l4_streams"].clone()).expect("a list of streams");
    assert_eq!(&listed, matching, "{query}");
    assert_eq!(members["name_resolution_history.json"], b"{}");
    let pcap = content["pcap_file_name"].as_str().expect("a name");
    assert_eq!(members.len(), 3, "{:?}", members.keys());
    assert!(Capture::read(&members[pcap]).frames.is_sorted_by_key(|frame| frame.at));
    assert_eq!(recorded::names(&members[pcap], &Case::named("demo").input().expect("a capture")), listed);
    content
}

/// The wrapper as its page has it.
const SCRIPT: &str = r#"
// Record
var KFL_PCAP_S3_KFL_ARR = [
    "http and response.status == 500",
    "dns",
];

function onItemCaptured(data) {
    wrapper.kflPcapS3(data, {
        kflArr:             KFL_PCAP_S3_KFL_ARR,
        slackWebhook:       env.SLACK_WEBHOOK,
    });
}"#;

fn s3_env(server: &S3, key: &str, slack: &str) -> Value {
    json!({
        "AWS_REGION": S3::REGION,
        "AWS_ACCESS_KEY_ID": S3::KEY_ID,
        "AWS_SECRET_ACCESS_KEY": key,
        "S3_BUCKET": "traces",
        "AWS_ENDPOINT_URL_S3": format!("http://{}", server.address),
        "SLACK_WEBHOOK": slack,
    })
}

/// `kfl_<index>_kubeshark_<digits>.tar.gz`
fn repositories(keys: &[String]) -> Vec<&String> {
    keys.iter()
        .filter(|key| key.starts_with("my-cluster_192.168.49.2/kfl_") && key.ends_with(".tar.gz"))
        .collect()
}

#[test]
fn streams_are_recorded_and_uploaded_to_s3() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let slack = Receiver::ok();
    let recording = Recording::new();
    // First nobody is let in: what was recorded waits on disk, and is not lost with the script either.
    let url = slack.url("/hook");
    recording.run(SCRIPT, &s3_env(&server, "wrong-hunter2", &url), |rehearsal, mut now| {
        until(rehearsal, &mut now, "a refusal", || {
            recording.lines().iter().any(|line| line.contains("stays on disk"))
        });
    });
    assert!(recording.lines().iter().all(|line| !line.contains("hunter2")), "{:?}", recording.lines());
    assert!(server.keys("traces").is_empty());
    // The next run finds it. (A capture that is read again gives the same streams again.)
    let script = SCRIPT.replace("slackWebhook:", "maxMinutes: 30,\n        slackWebhook:");
    recording.run(&script, &s3_env(&server, S3::KEY, &url), |rehearsal, mut now| {
        until(rehearsal, &mut now, "four repositories", || repositories(&server.keys("traces")).len() == 4);
        until(rehearsal, &mut now, "the log of all", || {
            let keys = server.keys("traces");
            let log = keys.iter().find(|key| key.contains("kflPcapS3_log_"));
            let log = log.and_then(|key| server.object("traces", key));
            log.and_then(|log| serde_json::from_slice::<Vec<Value>>(&log).ok())
                .is_some_and(|log| log.len() == 4)
        });
        until(rehearsal, &mut now, "Slack", || slack.received().len() == 4);
        // What was uploaded is not kept.
        until(rehearsal, &mut now, "nothing but logs", || {
            files_below(&recording.data.path().join("kfl_pcap_s3")).iter().all(|file| file.contains("_log_"))
        });
    });
    let keys = server.keys("traces");
    let failed = matching("demo", |entry| entry["response"]["status"] == 500);
    let dns = matching("demo", |entry| entry["protocol"]["name"] == "dns");
    for key in repositories(&keys) {
        let archive = server.object("traces", key).expect("an object");
        let (query, streams) = if key.contains("/kfl_0_") {
            ("http and response.status == 500", &failed)
        } else {
            ("dns", &dns)
        };
        let content = check_repository(&archive, query, streams);
        assert_eq!(content["kfl_index"], u64::from(query == "dns"));
        assert!(content["time"].as_str().expect("a time").ends_with(" GMT"));
    }
    let log = keys.iter().find(|key| key.contains("/kflPcapS3_log_")).expect("a log");
    let log: Vec<Value> =
        serde_json::from_slice(&server.object("traces", log).expect("an object")).expect("JSON");
    let first = log.first().and_then(Value::as_object).expect("an object");
    let names: Vec<_> = first.keys().map(String::as_str).collect();
    assert_eq!(names, ["file", "kfl_index", "kfl_query", "s3_url", "time"]);
    let text = slack.received().first().expect("a message").text();
    assert!(text.contains("Notification") && text.contains("New PCAP: http"), "{text}");
}

#[test]
fn the_same_goes_to_gcs() {
    let Some(server) = Gcs::start(&["test-11-12"]) else { return };
    let recording = Recording::new();
    let script = r#"
        function onItemCaptured(data) {
            wrapper.kflPcapGcs(data, { kflArr: ["dns"], maxL4Streams: 2, verbose: true });
        }"#;
    let env = json!({
        "GCS_BUCKET": "test-11-12",
        "GCS_SA_KEY_JSON": service_account().to_string(),
        "STORAGE_EMULATOR_HOST": server.address,
    });
    recording.run(script, &env, |rehearsal, mut now| {
        until(rehearsal, &mut now, "repositories", || {
            recording.lines().iter().filter(|line| line.starts_with("Uploaded ")).count() == 3
        });
    });
    let names = server.names("test-11-12");
    let mut recorded = 0;
    for name in repositories(&names) {
        let members = unpacked(&server.object("test-11-12", name).expect("an object"));
        let content: Value = serde_json::from_slice(&members["content.json"]).expect("JSON");
        let streams = content["l4_streams"].as_array().expect("a list").len();
        assert!(streams <= 2, "{content}");
        recorded += streams;
    }
    assert_eq!(recorded, matching("demo", |entry| entry["protocol"]["name"] == "dns").len());
    let log = names.iter().find(|name| name.contains("/kflPcapGcs_log_")).expect("a log");
    let log: Value =
        serde_json::from_slice(&server.object("test-11-12", log).expect("an object")).expect("JSON");
    assert!(log[0]["gcs_url"].as_str().expect("a URL").contains("kfl_0_kubeshark_"), "{log}");
}

fn files_below(directory: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path().display().to_string());
        }
    }
    files
}

#[test]
fn files_and_snapshots_are_made_by_scripts() {
    let recording = Recording::new();
    let script = r#"
        file.mkdir("recorded/deep");
        file.write("recorded/notes.txt", "one");
        file.append("recorded/notes.txt", " two");
        var streams = [];
        function onItemCaptured(data) {
            if (data.protocol.name !== "dns" || streams.indexOf(data.stream) !== -1) return;
            streams.push(data.stream);
            file.copy(pcap.path(data.stream), "recorded/" + data.stream);
        }
        function attempt(f) { try { console.log(f()); } catch (error) { console.log("" + error); } }
        setTimeout(function () {
            file.move("recorded", "moved");
            console.log(streams.join(" "));
            console.log(pcap.snapshot([], "moved"));
            console.log(pcap.snapshot([streams[0]]));
            console.log(pcap.snapshot());
            console.log(file.tar("moved"));
            console.log(JSON.stringify(pcap.nameResolutionHistory()));
            attempt(function () { file.write("../outside", "x"); });
            attempt(function () { file.copy(pcap.path("000000009999.pcap"), "x"); });
            attempt(function () { pcap.path("../../etc/passwd"); });
            console.log(file.temp("a", "moved", "json").indexOf("moved/a"));
            file.delete("moved");
            file.delete("moved");
        }, 3600000);"#;
    recording.run(script, &json!({}), |rehearsal, now| rehearsal.advance(now + 3700 * SECOND));
    let lines = recording.lines();
    let recorded: BTreeSet<String> = lines[0].split(' ').map(str::to_owned).collect();
    assert_eq!(recorded, matching("demo", |entry| entry["protocol"]["name"] == "dns"), "{lines:?}");
    let found = recorded::streams(&Case::named("demo").input().expect("a capture"));
    let read = |name: &String| Capture::read(&fs::read(recording.data.path().join(name)).expect("a file"));
    let mut expected: Vec<Frame> = recorded.iter().flat_map(|stream| found[stream].clone()).collect();
    expected.sort_by_key(|frame| frame.at);
    assert_eq!(read(&lines[1]).frames, expected);
    let first = lines[0].split(' ').next().expect("a stream");
    assert_eq!(read(&lines[2]).frames, found[first]);
    assert_eq!(read(&lines[3]).frames.len(), demo().frames.len());
    let archive = unpacked(&fs::read(recording.data.path().join(&lines[4])).expect("a file"));
    assert_eq!(archive["notes.txt"], b"one two");
    assert_eq!(archive.len(), recorded.len() + 1);
    assert_eq!(lines[5], "{}");
    assert!(lines[6].starts_with("Error: ") && lines[6].contains("data directory"), "{}", lines[6]);
    assert!(lines[7].contains("no packet of stream 000000009999.pcap is held"), "{}", lines[7]);
    assert!(lines[8].contains("is not the name of a stream"), "{}", lines[8]);
    assert_eq!(lines[9], "0");
    assert!(!recording.data.path().join("moved").exists());
}
