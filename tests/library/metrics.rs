//! Scripts that count, and scripts that hand entries on.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use support::{
    Scratch,
    pcap::Capture,
    program::{Tap, ask, get},
    receiver::{Answer, Receiver},
    recorded::entries,
    servers::Influx,
    watch::{Got, Watcher},
};

use crate::{capture, eventually, kubeshark, run, script, status, text, tried};

pub(crate) fn packet_count(name: &str) {
    let lines = run(name, &capture("demo"), &[], &[]);
    let told = |what: &str| {
        let prefix = format!("[localhost-0] {what} captured per minute: ");
        let prefix =
            if what == "packet" { "[localhost-0] Captured packet count per minute: " } else { &prefix };
        let line = lines.iter().find_map(|line| line.strip_prefix(prefix));
        line.and_then(|number| number.parse::<f64>().ok()).unwrap_or_else(|| panic!("{lines:#?}"))
    };
    let frames = Capture::read(&fs::read(capture("demo")).expect("a capture")).frames;
    let bytes: u64 = frames.iter().map(|frame| u64::from(frame.wire_len())).sum();
    assert!((told("packet") - frames.len() as f64).abs() < 0.5, "{lines:#?}");
    assert!((told("Total KB") - bytes as f64 / 1000.0).abs() < 1e-6, "{bytes}: {lines:#?}");
}

pub(crate) fn prometheus(name: &str) {
    let lines = run(name, &capture("demo"), &[], &[]);
    let metrics =
        lines.iter().find_map(|line| serde_json::from_str::<Value>(line).ok()?.get("metrics").cloned());
    let metrics = metrics.expect("metrics");
    let metrics = metrics.as_str().expect("a text");
    let mut expected: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for entry in entries("demo").iter().filter(|entry| entry["protocol"]["name"] == "http") {
        let service = entry["dst"]["ip"].as_str().expect("an address").to_owned();
        *expected.entry((service, status(entry) / 100)).or_default() += 1;
    }
    assert!(expected.len() > 4, "{expected:?}");
    for ((service, class), count) in expected {
        let line = format!("http_responses_total{{service=\"{service}\",status=\"{class}xx\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
        for quantile in ["0.5", "0.9", "0.99"] {
            let line = format!("http_latency_ms{{quantile=\"{quantile}\",service=\"{service}\"}} ");
            assert!(metrics.contains(&line), "{line} is not in {metrics}");
        }
    }
}

pub(crate) fn influxdb(name: &str) {
    let Some(server) = Influx::start() else { return };
    let url = format!("http://{}", server.address);
    let env = [("INFLUXDB_URL", &*url), ("INFLUXDB_TOKEN", Influx::TOKEN), ("INFLUXDB_BUCKET", "kubeshark")];
    run(name, &capture("demo"), &env, &[]);
    let mut expected: BTreeMap<(String, String), [f64; 3]> = BTreeMap::new();
    for entry in entries("demo") {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let row = expected.entry((text(&entry["protocol"]["name"]), text(&entry["dst"]["ip"]))).or_default();
        let size = |key: &str| entry[key].as_f64().expect("a number");
        row[0] += 1.0;
        row[1] += f64::from(u8::from(status(&entry) >= 500));
        row[2] += size("requestSize") + size("responseSize");
    }
    let answer =
        server.query("SELECT requests, errors, bytes FROM kubeshark GROUP BY protocol, service, node");
    let mut found = BTreeMap::new();
    for series in answer["results"][0]["series"].as_array().expect("points") {
        let tag = |name: &str| series["tags"][name].as_str().expect("a tag").to_owned();
        assert_eq!((tag("node").as_str(), series["values"].as_array().map(Vec::len)), ("localhost", Some(1)));
        let row = [1, 2, 3].map(|at| series["values"][0][at].as_f64().expect("a number"));
        found.insert((tag("protocol"), tag("service")), row);
    }
    assert_eq!(found, expected);
}

/// The documents of a bulk request.
fn documents(body: &str) -> Vec<Value> {
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    lines
        .chunks(2)
        .map(|pair| {
            assert_eq!(pair[0], json!({"create": {}}));
            pair[1].clone()
        })
        .collect()
}

/// A stub: Elasticsearch, as far as its bulk endpoint goes. The first request is refused.
pub(crate) fn elastic(name: &str) {
    let asked = AtomicUsize::new(0);
    let stub = Receiver::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::new(400, r#"{"error":{"type":"illegal_argument_exception"}}"#),
        _ => Answer::new(200, r#"{"errors":false,"items":[]}"#),
    });
    let env = [("ELASTIC_URL", &*stub.url("")), ("ELASTIC_API_KEY", "a2V5"), ("ELASTIC_INDEX", "traffic")];
    let ran = tried(name, &capture("demo"), &env, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let refused = ran.stderr.lines().find(|line| line.contains("Not indexed yet")).expect("a line");
    assert!(refused.contains(":ERROR]") && refused.contains("illegal_argument_exception"), "{refused}");
    let received = stub.received();
    assert_eq!(received.len(), 2, "what is indexed is not sent again");
    for request in &received {
        assert!(request.path.starts_with("/traffic/_bulk"), "{}", request.path);
        assert_eq!(request.header("authorization"), Some("ApiKey a2V5"));
    }
    let found = documents(&received[1].text());
    let entries = entries("demo");
    assert_eq!(found.len(), entries.len());
    for (document, entry) in found.iter().zip(&entries) {
        assert_eq!((&document["id"], &document["@timestamp"]), (&entry["id"], &entry["startTime"]));
        assert_eq!((&document["request"], &document["response"]), (&entry["request"], &entry["response"]));
    }
}

/// RFC 4648 section 4.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits =
            four.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    });
    bytes.collect()
}

/// A stub: Kinesis, which takes everything.
pub(crate) fn kinesis(name: &str) {
    let stub = Receiver::start(|_| Answer::new(200, r#"{"ShardId":"shard-0","SequenceNumber":"1"}"#));
    let env = [
        ("AWS_ENDPOINT_URL_KINESIS", &*stub.url("")),
        ("KINESIS_STREAM", "traffic"),
        ("AWS_REGION", "us-east-2"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("KINESIS_KFL", "http"),
    ];
    run(name, &capture("demo"), &env, &[]);
    let entries = entries("demo").into_iter().filter(|entry| entry["protocol"]["name"] == "http");
    let entries: Vec<_> = entries.collect();
    let received = stub.received();
    assert_eq!(received.len(), entries.len());
    for (request, entry) in received.iter().zip(&entries) {
        assert_eq!(request.header("x-amz-target"), Some("Kinesis_20131202.PutRecord"));
        let sent = request.json();
        assert_eq!(sent["StreamName"], "traffic");
        let data = decoded(sent["Data"].as_str().expect("base64"));
        let record: Value = serde_json::from_slice(&data).expect("JSON");
        assert_eq!((&record["id"], &record["status"]), (&entry["id"], &entry["response"]["status"]));
        assert!(record.get("response").is_none(), "bodies stay here");
    }
}

/// Worker and hub: what the one reports, the other prints.
pub(crate) fn top_talkers(name: &str) {
    let scratch = Scratch::new();
    scratch.file(name, &fs::read(script(name)).expect("a script"));
    let demo = capture("demo");
    let tap = Tap::start(&kubeshark(), &["--pcap", text(&demo), "--scripts", text(scratch.path())]);
    let entries = entries("demo");
    let fed = || {
        let listed: Value = serde_json::from_str(&get(&tap.hub, "/api/scripts", &[]).1).expect("JSON");
        listed[0]["workers"][0]["calls"].as_u64().is_some_and(|calls| calls > entries.len() as u64)
    };
    eventually("a call for each entry", fed);
    let mut console = Watcher::connect(&tap.hub, "/api/scripts/logs?tail=1000");
    let (code, answer) = ask(&tap.hub, "POST", "/api/jobs/run", r#"{"tag":"top-talkers"}"#);
    assert_eq!(code, 200, "{answer}");
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for entry in &entries {
        let pair = format!(
            "{} -> {}",
            entry["src"]["ip"].as_str().expect("an ip"),
            entry["dst"]["ip"].as_str().expect("an ip")
        );
        let size = |key: &str| entry[key].as_u64().expect("a number");
        *expected.entry(pair).or_default() += size("requestSize") + size("responseSize");
    }
    let mut found = BTreeMap::new();
    while found.len() < expected.len() {
        match console.next(Duration::from_secs(30)) {
            Got::Text(line) => {
                let told = line
                    .strip_prefix("[hub-0] ")
                    .and_then(|line| line.strip_suffix(" bytes")?.rsplit_once(": "));
                if let Some((pair, bytes)) = told {
                    found.insert(pair.to_owned(), bytes.parse::<u64>().expect("a number"));
                }
            }
            other => panic!("{other:?} after {found:?}"),
        }
    }
    assert_eq!(found, expected);
    assert_eq!(tap.interrupt().code(), Some(0));
}
