//! The recordings of the documentation as they are lived with: `kubeshark tap`, the wall's clock, traffic that comes
//! while they run, variables that change.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{ChildStdin, Command},
};

use serde_json::{Map, Value, json};
use support::{
    Scratch,
    pcap::{Capture, Endian, Frame},
    program::{self, Tap, ask, get},
    recorded::{self, entries},
    servers::{Gcs, S3},
    traffic::{self, Mix},
};

use crate::{
    capture, eventually,
    evidence::{BUCKET, check_recorded, gcs_env, s3_env},
    is, kubeshark, script, text,
};

/// A folder with one script of the library and one that tells of changes, variables in a file, a data directory.
struct Place(Scratch);

impl Place {
    fn new(name: &str, env: Vec<(&'static str, String)>) -> Self {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path().join("scripts")).expect("a directory");
        scratch.file(&format!("scripts/{name}"), &fs::read(script(name)).expect("a script"));
        let place = Self(scratch);
        place.set_env(env);
        place
    }

    fn set_env(&self, env: Vec<(&'static str, String)>) {
        let env: Map<String, Value> =
            env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.0.file("env.json", Value::Object(env).to_string().as_bytes());
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn tap(&self, pcap: &Path) -> Command {
        let mut command = Command::new(kubeshark());
        command
            .args(["tap", "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0", "--pcap"])
            .arg(pcap)
            .arg("--scripts")
            .arg(self.0.path().join("scripts"))
            .arg("--env-file")
            .arg(self.0.path().join("env.json"))
            .arg("--data-dir")
            .arg(self.data());
        command
    }
}

fn asked(tap: &Tap, path: &str) -> Value {
    serde_json::from_str(&get(&tap.hub, path, &[]).1).expect("JSON")
}

/// How often a script was called: its top level, hooks, jobs.
fn calls(tap: &Tap) -> u64 {
    asked(tap, "/api/scripts")[0]["workers"][0]["calls"].as_u64().unwrap_or_default()
}

/// The files below a directory.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

fn tools() -> bool {
    program::installed("recordings", &["tshark", "tar", "openssl"])
}

/// What was recorded when the program ended is uploaded by the next run, of the same script.
#[test]
fn what_an_ended_run_recorded_is_uploaded() {
    if !tools() {
        return;
    }
    let Some(server) = S3::start(&[BUCKET]) else { return };
    let place = Place::new("record-s3.js", s3_env(&server));
    let recorded = || {
        let files = below(&place.data()).into_iter().filter(|path| text(path).contains("/open/"));
        files.filter(|path| path.extension().is_some_and(|kind| kind == "pcap")).count()
    };
    let streams = recorded::matching("demo", |entry| {
        entry["protocol"]["name"] == "dns" || entry["response"]["status"] == 500
    });
    let tap = Tap::start_as(&mut place.tap(&capture("demo")));
    eventually("all streams on disk", || recorded() == streams.len());
    let fed = entries("demo").len() as u64;
    eventually("a call for each entry", || calls(&tap) > fed);
    assert_eq!(tap.interrupt().code(), Some(0));
    assert!(server.keys(BUCKET).is_empty(), "the hour is not over");

    let tap = Tap::start_as(&mut place.tap(&capture("demo")));
    let log_lines = || {
        let keys = server.keys(BUCKET);
        let log = keys.iter().find(|key| key.contains("/kflPcapS3_log_"));
        let log = log.and_then(|key| serde_json::from_slice::<Value>(&server.object(BUCKET, key)?).ok());
        log.and_then(|log| log.as_array().map(Vec::len)).unwrap_or_default()
    };
    eventually("a log of both", || log_lines() == 2);
    check_recorded(&server, "localhost_127.0.0.1");
    assert_eq!(tap.interrupt().code(), Some(0));
}

/// `maxL4Streams` as the page has it, reached in the middle of an hour.
#[test]
fn so_many_streams_are_a_recording() {
    if !tools() {
        return;
    }
    let Some(server) = S3::start(&[BUCKET]) else { return };
    let place = Place::new("record-s3-slack.js", s3_env(&server));
    let mix = Mix { connections: 0, requests: 0, questions: 10_050, seed: 6 };
    let questions = place.0.file("questions.pcap", &traffic::capture(&mix).pcap(Endian::Little, true));
    let tap = Tap::start_as(&mut place.tap(&questions));
    let repository = || {
        let keys = server.keys(BUCKET);
        keys.into_iter().find(|key| key.starts_with("localhost_127.0.0.1/kfl_1_kubeshark_"))
    };
    eventually("a repository", || repository().is_some_and(|key| server.object(BUCKET, &key).is_some()));
    let key = repository().expect("a repository");
    let members = recorded::unpacked(&server.object(BUCKET, &key).expect("an object"));
    let content: Value = serde_json::from_slice(&members["content.json"]).expect("JSON");
    let listed: BTreeSet<String> = serde_json::from_value(content["l4_streams"].clone()).expect("streams");
    assert_eq!(listed.len(), 10_000);
    let pcap = content["pcap_file_name"].as_str().expect("a name");
    let file = place.0.file("merged.pcap", &members[pcap]);
    assert_eq!(recorded::streams(&file).len(), 10_000);
    assert_eq!(tap.interrupt().code(), Some(0));
}

/// The head of a capture file.
const HEAD: usize = 24;

/// The capture in three parts, each a capture file, by streams, in the order of their first packets.
fn parts() -> [(BTreeSet<String>, Vec<u8>); 3] {
    let demo = capture("demo");
    let link_type = Capture::read(&fs::read(&demo).expect("a capture")).link_type;
    let streams: Vec<_> = recorded::streams(&demo).into_iter().collect();
    let mut ends = [9, 19, streams.len()].into_iter();
    let mut start = 0;
    std::array::from_fn(|_| {
        let end = ends.next().expect("three ends");
        let some = &streams[start..end];
        start = end;
        let mut frames: Vec<Frame> = some.iter().flat_map(|(_, frames)| frames.clone()).collect();
        frames.sort_by_key(|frame| frame.at);
        let bytes = Capture { link_type, frames }.pcap(Endian::Little, true);
        (some.iter().map(|(name, _)| name.clone()).collect(), bytes)
    })
}

/// Sends the packets of a capture file.
fn feed(input: &mut ChildStdin, file: &[u8]) {
    input.write_all(&file[HEAD..]).and_then(|()| input.flush()).expect("a reader");
}

/// Removing `RECORDING_KFL` from the file stops the recording; what was copied by then is still uploaded.
#[test]
fn a_recording_ends_with_its_variable() {
    if !tools() {
        return;
    }
    let Some(server) = Gcs::start(&[BUCKET]) else { return };
    let mut env = gcs_env(&server);
    let without = env.clone();
    env.push(("RECORDING_KFL", "http or dns".to_owned()));
    let place = Place::new("record-gcs.js", env);
    // After the first by name, so that it has the number 1.
    let teller = "var told; setInterval(function () {
        var now = '' + env.RECORDING_KFL;
        if (now !== told) console.log('recording ' + (told = now));
    }, 50);";
    place.0.file("scripts/teller.js", teller.as_bytes());
    let [(first, one), (second, two), (third, three)] = parts();
    let (tap, mut input) = Tap::start_fed(&mut place.tap(Path::new("-")), &one[..HEAD]);
    // The schedule would run the job whenever five minutes are over; here the test does.
    eventually("the job", || asked(&tap, "/api/jobs")[0]["tag"] == "dfir_fcs");
    assert_eq!(ask(&tap.hub, "POST", "/api/jobs/stop", "{}").0, 200);
    let entries = entries("demo");
    let of = |streams: &BTreeSet<String>| {
        let stream = |entry: &Value| entry["stream"].as_str().expect("a stream").to_owned();
        entries.iter().filter(|entry| streams.contains(&stream(entry))).count() as u64
    };
    let pcaps = || {
        let names = server.names(BUCKET).into_iter().filter(|name| is(name, "pcap"));
        names.collect::<Vec<_>>()
    };
    let uploaded = |name: &str| {
        let object = server.object(BUCKET, &name.replace('/', "%2F")).expect("an object");
        recorded::names(&object, &capture("demo"))
    };
    let run = |runs: u64| {
        assert_eq!(ask(&tap.hub, "POST", "/api/jobs/run", r#"{"tag":"dfir_fcs"}"#).0, 200);
        eventually("a run of the job", || {
            let job = &asked(&tap, "/api/jobs")[0];
            job["runs"] == runs && job["status"] != "running"
        });
    };

    feed(&mut input, &one);
    eventually("the first part", || calls(&tap) == 1 + of(&first));
    run(1);
    let names = pcaps();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(uploaded(&names[0]), first);

    feed(&mut input, &two);
    eventually("the second part", || calls(&tap) == 2 + of(&first) + of(&second));
    place.set_env(without);
    eventually("the change", || {
        get(&tap.hub, "/api/status", &[]);
        let mut console = support::watch::Watcher::connect(&tap.hub, "/api/scripts/logs?tail=1000");
        let mut lines = Vec::new();
        while let support::watch::Got::Text(line) = console.next(std::time::Duration::from_millis(200)) {
            lines.push(line);
        }
        lines.iter().any(|line| line.ends_with("recording undefined"))
    });
    feed(&mut input, &three);
    // Were it loaded anew, its calls would be counted anew.
    eventually("the third part", || calls(&tap) == 2 + entries.len() as u64);
    run(2);
    let mut names = pcaps();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(uploaded(&names[1]), second);
    run(3);
    assert_eq!(pcaps().len(), 2, "nothing of {third:?} was recorded");
    assert!(server.names(BUCKET).iter().any(|name| name.ends_with("/name_resolution_history.json")));
    drop(input);
    assert_eq!(tap.interrupt().code(), Some(0));
}

/// A script that lacked a variable is loaded once that is there.
#[test]
fn a_script_that_lacked_a_variable_has_another_try() {
    let place = Place::new("error-webhook.js", Vec::new());
    let tap = Tap::start_as(&mut place.tap(&capture("demo")));
    let phase = || asked(&tap, "/api/scripts")[0]["workers"][0].clone();
    eventually("a refusal", || phase()["phase"] == "failed");
    let why = phase()["error"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains("needs WEBHOOK_URL in env")), "{why}");
    place.set_env(vec![("WEBHOOK_URL", "http://127.0.0.1:1/".to_owned())]);
    eventually("another try", || phase()["phase"] == "loaded");
    assert_eq!(phase()["error"], json!(null));
    assert_eq!(tap.interrupt().code(), Some(0));
}
