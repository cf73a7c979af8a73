//! What is not a WebSocket.

use serde_json::{Value, json};
use support::{program::get, watch::Watcher};

use crate::{Cluster, capture, eventually};

fn json_of(address: &str, path: &str) -> (u16, Value) {
    let (status, body) = get(address, path, &[]);
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body:?}")))
}

#[test]
fn both_prefixes_answer() {
    let cluster = Cluster::of(&[capture("demo")]);
    for prefix in ["", "/api"] {
        for path in [
            "/echo",
            "/metadata/version",
            "/status",
            "/ledger",
            "/healthz",
            "/readyz",
            "/metrics",
            "/query/validate?q=http",
        ] {
            let (status, body) = get(&cluster.hub(), &format!("{prefix}{path}"), &[]);
            assert_eq!(status, 200, "{prefix}{path}: {body}");
        }
        assert_eq!(get(&cluster.hub(), &format!("{prefix}/nothing"), &[]).0, 404);
    }
    for path in ["/healthz", "/readyz", "/metrics", "/status", "/ledger"] {
        assert_eq!(get(&cluster.addresses[0].to_string(), path, &[]).0, 200, "{path} of a worker");
    }
}

#[test]
fn queries_are_validated() {
    let cluster = Cluster::of(&[capture("demo")]);
    let (status, valid) =
        json_of(&cluster.hub(), "/api/query/validate?q=http%20and%20response.status%20%3D%3D%20500");
    // Editors are told more, which does not change these.
    assert_eq!((status, &valid["message"], &valid["valid"]), (200, &json!(""), &json!(true)));
    let (status, invalid) = json_of(&cluster.hub(), "/api/query/validate?q=http%20and");
    assert_eq!((status, &invalid["valid"]), (200, &json!(false)));
    assert!(invalid["message"].as_str().is_some_and(|message| message.starts_with("1:9")), "{invalid}");
}

#[test]
fn an_item_is_what_was_watched() {
    let cluster = Cluster::of(&[capture("demo"), capture("http-bodies")]);
    for entry in Watcher::connect(&cluster.hub(), "/api/wsFull?q=http").entries(40) {
        let id = entry["id"].as_str().expect("an id");
        let (status, item) = json_of(&cluster.hub(), &format!("/api/item/{id}"));
        assert_eq!(status, 200, "{id}");
        assert_eq!(item["data"], entry);
        assert_eq!(item["protocol"], entry["protocol"]);
        assert_eq!(item["base"]["id"], id);
        let representation = item["representation"].as_str().expect("JSON in a string");
        let representation: Value = serde_json::from_str(representation).expect("JSON");
        assert_eq!(representation["request"][0]["title"], "Details");
    }
    let worker = cluster.addresses[0].to_string();
    assert_eq!(get(&cluster.hub(), &format!("/api/item/{worker}/000000000999.pcap-0"), &[]).0, 404);
    assert_eq!(get(&cluster.hub(), "/api/item/127.0.0.1:1/000000000001.pcap-0", &[]).0, 404);
}

#[test]
fn status_and_metrics_tell_of_watchers_and_workers() {
    let cluster = Cluster::of(&[capture("demo")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull?q=dns");
    watcher.entries(6);
    let status = cluster.status();
    assert_eq!(status["watchers"][0]["kfl"], "dns");
    assert_eq!(status["watchers"][0]["delivered"], 6);
    assert_eq!(status["workers"][0]["node"], "node-0");
    let (_, metrics) = get(&cluster.hub(), "/metrics", &[]);
    assert!(metrics.contains("kubeshark_hub_watchers 1\n"), "{metrics}");
    // Each number is explained once.
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        assert_eq!(metrics.matches(&format!("# TYPE {name} ")).count(), 1, "{name}");
    }
    let (_, metrics) = get(&cluster.addresses[0].to_string(), "/metrics", &[]);
    assert!(metrics.lines().any(|line| line.contains("entries") && line.ends_with(" 32")), "{metrics}");
}

#[test]
fn the_hub_has_the_ledgers_of_its_workers() {
    let cluster = Cluster::of(&[capture("demo"), capture("dns-udp")]);
    let packets = |ledger: &Value| ledger["capture"]["packets"].as_u64().unwrap_or(0);
    eventually("the ledgers of both workers", || {
        let own: Vec<_> = cluster.addresses.iter().map(|it| json_of(&it.to_string(), "/ledger").1).collect();
        let said = json_of(&cluster.hub(), "/api/ledger").1;
        let sum = own.iter().map(packets).sum::<u64>();
        let ended = own.iter().all(|ledger| packets(ledger) > 0 && ledger["flow"]["open"] == 0);
        ended && packets(&said["sum"]) == sum && (0..2).all(|n| said["workers"][n]["ledger"] == own[n])
    });
}
