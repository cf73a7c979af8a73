//! Scripts that keep traffic: in S3, GCS and Azure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;
use support::{
    Scratch,
    pcap::Capture,
    receiver::{Answer, Receiver},
    recorded::{self, entries, matching, unpacked},
    servers::{Gcs, S3, service_account},
};

use crate::{capture, is, run, status, tried};

pub(crate) const BUCKET: &str = "traces";

/// What a script finds S3 with.
pub(crate) fn s3_env(server: &S3) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_REGION", S3::REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", S3::KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", S3::KEY.to_owned()),
        ("S3_BUCKET", BUCKET.to_owned()),
        ("AWS_ENDPOINT_URL_S3", format!("http://{}", server.address)),
    ]
}

/// And GCS, with a key that was made for this test.
pub(crate) fn gcs_env(server: &Gcs) -> Vec<(&'static str, String)> {
    vec![
        ("GCS_BUCKET", BUCKET.to_owned()),
        ("GCS_SA_KEY_JSON", service_account().to_string()),
        ("STORAGE_EMULATOR_HOST", server.address.clone()),
    ]
}

fn pairs<'a>(env: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    env.iter().map(|(name, value)| (*name, &**value)).collect()
}

/// Looks at everything that `wrapper.kflPcapS3` put into the bucket, of one period for each of its two queries.
pub(crate) fn check_recorded(server: &S3, folder: &str) {
    let demo = capture("demo");
    let keys = server.keys(BUCKET);
    let mut listed = Vec::new();
    let failed = matching("demo", |entry| status(entry) == 500);
    let dns = matching("demo", |entry| entry["protocol"]["name"] == "dns");
    for (index, query, streams) in [(0, "http and response.status == 500", failed), (1, "dns", dns)] {
        let of_query: Vec<_> =
            keys.iter().filter(|key| key.starts_with(&format!("{folder}/kfl_{index}_kubeshark_"))).collect();
        assert_eq!(of_query.len(), 1, "{keys:?}");
        let members = unpacked(&server.object(BUCKET, of_query[0]).expect("an object"));
        let content: Value = serde_json::from_slice(&members["content.json"]).expect("JSON");
        let names: Vec<_> = content.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["kfl_index", "kfl_query", "l4_streams", "pcap_file_name", "time"]);
        assert_eq!((&content["kfl_index"], &content["kfl_query"]), (&index.into(), &query.into()));
        let found: BTreeSet<String> = serde_json::from_value(content["l4_streams"].clone()).expect("streams");
        assert_eq!(found, streams, "{query}");
        let pcap = content["pcap_file_name"].as_str().expect("a name");
        assert_eq!(recorded::names(&members[pcap], &demo), streams);
        let history: Value = serde_json::from_slice(&members["name_resolution_history.json"]).expect("JSON");
        assert!(history.is_object(), "{history}");
        assert_eq!(members.len(), 3, "{:?}", members.keys());
        listed.push((index, query, of_query[0].rsplit('/').next().expect("a name").to_owned()));
    }
    let log = keys.iter().find(|key| key.starts_with(&format!("{folder}/kflPcapS3_log_"))).expect("a log");
    let log: Vec<Value> =
        serde_json::from_slice(&server.object(BUCKET, log).expect("an object")).expect("JSON");
    assert_eq!(log.len(), 2, "{log:?}");
    for line in &log {
        let names: Vec<_> = line.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["file", "kfl_index", "kfl_query", "s3_url", "time"]);
        let (_, query, file) =
            listed.iter().find(|(index, ..)| line["kfl_index"] == *index).expect("a query of the script");
        assert_eq!((&line["file"], &line["kfl_query"]), (&file.as_str().into(), &(*query).into()));
        let url = line["s3_url"].as_str().expect("a URL");
        assert!(url.ends_with(&format!("/{folder}/{file}")), "{url}");
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with(" GMT")), "{line}");
    }
}

pub(crate) fn record_s3(name: &str) {
    let Some(server) = S3::start(&[BUCKET]) else { return };
    run(name, &capture("demo"), &pairs(&s3_env(&server)), &["--after", "3700"]);
    check_recorded(&server, "localhost_127.0.0.1");
}

pub(crate) fn record_s3_slack(name: &str) {
    let Some(server) = S3::start(&[BUCKET]) else { return };
    let slack = Receiver::ok();
    let mut env = s3_env(&server);
    env.push(("SLACK_WEBHOOK", slack.url("/hook")));
    run(name, &capture("demo"), &pairs(&env), &["--after", "3700"]);
    check_recorded(&server, "localhost_127.0.0.1");
    let received = slack.received();
    assert_eq!(received.len(), 2);
    for request in received {
        let message = request.json();
        let attachment = &message["attachments"][0];
        assert_eq!(
            (&attachment["pretext"], &attachment["color"]),
            (&"Notification".into(), &"#ff0000".into())
        );
        let text = attachment["text"].as_str().expect("a text");
        let parts: Vec<_> = text.split("; ").filter_map(|part| part.split(": ").next()).collect();
        assert_eq!(parts, ["New PCAP", "L4 streams", "KFL", "Snapshot time", "S3 upload time"], "{text}");
    }
}

pub(crate) fn record_gcs(name: &str) {
    let Some(server) = Gcs::start(&[BUCKET]) else { return };
    let mut env = gcs_env(&server);
    env.push(("RECORDING_KFL", "http or dns".to_owned()));
    let ran = tried(name, &capture("demo"), &pairs(&env), &["--after", "600"]);
    // It catches what is thrown, and tells it.
    assert!(ran.code == Some(0) && !ran.stderr.contains(":ERROR]"), "{}", ran.stderr);
    let names = server.names(BUCKET);
    let (history, pcaps): (Vec<_>, Vec<_>) = names.iter().partition(|name| is(name, "json"));
    assert_eq!((history.len(), pcaps.len()), (1, 1), "{names:?}");
    assert_eq!(history, ["localhost_127.0.0.1_0/name_resolution_history.json"]);
    let object = server.object(BUCKET, &pcaps[0].replace('/', "%2F")).expect("an object");
    assert_eq!(recorded::names(&object, &capture("demo")), matching("demo", |_| true));
}

pub(crate) fn snapshot_s3(name: &str) {
    let Some(server) = S3::start(&[BUCKET]) else { return };
    let mut env = s3_env(&server);
    env.push(("SNAPSHOT_KFL", "response.status == 500".to_owned()));
    run(name, &capture("demo"), &pairs(&env), &["--after", "3600"]);
    let keys = server.keys(BUCKET);
    assert_eq!(keys.len(), 1, "{keys:?}");
    let failed = matching("demo", |entry| status(entry) == 500);
    assert_eq!(
        recorded::names(&server.object(BUCKET, &keys[0]).expect("an object"), &capture("demo")),
        failed
    );

    // Where it can't be uploaded it stays, and somebody is told.
    let slack = Receiver::ok();
    let kept = Scratch::new();
    env.retain(|(name, _)| *name != "S3_BUCKET");
    env.extend([("S3_BUCKET", "absent".to_owned()), ("SLACK_WEBHOOK", slack.url("/hook"))]);
    let directory = kept.path().join("data");
    let more = ["--after", "3600", "--data-dir", crate::text(&directory)];
    let ran = tried(name, &capture("demo"), &pairs(&env), &more);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let text = slack.received()[0].text();
    assert!(text.contains("snapshot-s3: ") && text.contains("NoSuchBucket"), "{text}");
    let pcaps = support::captures::files(&directory).into_iter();
    let pcaps: Vec<_> = pcaps.filter(|path| path.extension().is_some_and(|kind| kind == "pcap")).collect();
    assert_eq!(pcaps.len(), 1, "{pcaps:?}");
    assert_eq!(recorded::names(&fs::read(&pcaps[0]).expect("a file"), &capture("demo")), failed);
}

/// A stub: Azure, which takes everything.
pub(crate) fn snapshot_azure(name: &str) {
    let stub = Receiver::start(|_| Answer::new(201, ""));
    let env = [
        ("AZURE_STORAGE_ENDPOINT", &*stub.url("")),
        ("AZURE_CONTAINER", BUCKET),
        ("AZURE_ACCOUNT", "acc"),
        ("AZURE_KEY", "a2V5"),
    ];
    // Its capture is of noon: midnight is half a day away.
    let lines = run(name, &capture("demo"), &env, &["--after", "43200"]);
    let received = stub.received();
    assert_eq!(received.len(), 1, "{lines:#?}");
    assert!(
        received[0].path.starts_with("/acc/traces/localhost_127.0.0.1/kubeshark_"),
        "{}",
        received[0].path
    );
    let members = unpacked(&received[0].body);
    let names: Vec<_> = members.keys().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(members["name_resolution_history.json"], b"{}");
    let pcap = members.iter().find(|(name, _)| is(name, "pcap")).expect("packets").1;
    let all = Capture::read(&fs::read(capture("demo")).expect("a capture"));
    assert_eq!(Capture::read(pcap).frames.len(), all.frames.len());
}

pub(crate) fn har(name: &str) {
    let Some(server) = S3::start(&[BUCKET]) else { return };
    run(name, &capture("demo"), &pairs(&s3_env(&server)), &[]);
    let keys = server.keys(BUCKET);
    assert_eq!(keys.len(), 1, "one each minute: {keys:?}");
    let archive: Value =
        serde_json::from_slice(&server.object(BUCKET, &keys[0]).expect("an object")).expect("JSON");
    let http: Vec<_> =
        entries("demo").into_iter().filter(|entry| entry["protocol"]["name"] == "http").collect();
    let until = http.iter().position(|entry| status(entry) >= 500).expect("an error") + 1;
    let found = archive["log"]["entries"].as_array().expect("entries");
    assert_eq!((&archive["log"]["version"], found.len()), (&"1.2".into(), until));
    for (one, entry) in found.iter().zip(&http) {
        assert_eq!(
            (&one["request"]["method"], &one["request"]["url"]),
            (&entry["request"]["method"], &entry["request"]["url"])
        );
        assert_eq!(one["response"]["status"], entry["response"]["status"]);
    }
}

pub(crate) fn inventory(name: &str) {
    let Some(server) = Gcs::start(&[BUCKET]) else { return };
    run(name, &capture("demo"), &pairs(&gcs_env(&server)), &["--after", "3600"]);
    let names = server.names(BUCKET);
    assert_eq!(names.len(), 1, "{names:?}");
    let object = server.object(BUCKET, &names[0].replace('/', "%2F")).expect("an object");
    let found: BTreeMap<String, Value> = serde_json::from_slice(&object).expect("JSON");
    let http = entries("demo").iter().filter(|entry| entry["protocol"]["name"] == "http").count() as u64;
    let sum = |key: &str| found.values().filter_map(|endpoint| endpoint[key].as_u64()).sum::<u64>();
    assert_eq!(sum("calls"), http);
    let known = |entry: &&Value| {
        let headers = &entry["request"]["headers"];
        headers.is_object() && (headers["Authorization"].is_string() || headers["Cookie"].is_string())
    };
    assert_eq!(sum("anonymous"), http - entries("demo").iter().filter(known).count() as u64);
    let order = &found["DELETE 10.20.0.2:8080/orders/{id}"];
    assert_eq!((&order["calls"], &order["statuses"]["201"]), (&2.into(), &2.into()));
}
