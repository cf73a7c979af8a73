//! An entry key by key, names, nesting and types: as the users' documents show it, where they show it.

use serde_json::{Value, json};
use support::watch::Watcher;

use crate::{Cluster, capture};

/// The sample of the users' document as far as it goes; `"string"` and its like stand for any value of that type.
fn shown() -> Value {
    json!({
        "dst": {"endpointSlice": null, "ip": "string", "name": "string", "namespace": "string", "pod": null, "port": "string", "service": null},
        "elapsedTime": "number",
        "entryFile": "string",
        "error": null,
        "failed": false,
        "id": "string",
        "index": "number",
        "node": {"ip": "string", "name": "string"},
        "outgoing": false,
        "passed": false,
        "protocol": {
            "abbr": "=HTTP",
            "backgroundColor": "=#416CDE",
            "fontSize": 12,
            "foregroundColor": "=#ffffff",
            "layer3": "=ip",
            "layer4": "=tcp",
            "longName": "=Hypertext Transfer Protocol -- HTTP/1.1",
            "macro": "=http",
            "name": "=http",
            "ports": ["=80", "=443", "=8080"],
            "priority": 0,
            "referenceLink": "=https://datatracker.ietf.org/doc/html/rfc2616",
            "version": "=1.1",
        },
        "record": "=",
        "request": {
            "bodySize": "number",
            "cookies": {},
            "headers": {"Accept": "string", "Content-Length": "string", "Content-Type": "string", "Host": "string", "User-Agent": "string"},
            "headersSize": -1,
            "httpVersion": "=HTTP/1.1",
            "method": "=POST",
            "path": "=/orders",
            "pathSegments": ["=orders"],
            "postData": {"mimeType": "=application/json", "params": [], "text": "string"},
            "queryString": {},
            "targetUri": "=/orders",
            "url": "=/orders",
        },
        "requestSize": "number",
        "response": {
            "bodySize": "number",
            "content": {"encoding": "=base64", "mimeType": "=application/json", "size": "number", "text": "string"},
            "cookies": {},
            "headers": {"Connection": "string", "Content-Length": "string", "Content-Type": "string", "Date": "string", "Server": "string"},
            "headersSize": -1,
            "httpVersion": "=HTTP/1.1",
            "redirectURL": "=",
            "status": 201,
            "statusText": "=Created",
        },
        "responseSize": "number",
        "src": {"endpointSlice": null, "ip": "string", "name": "string", "namespace": "string", "pod": null, "port": "string", "service": null},
        "startTime": "string",
        "stream": "string",
        "timestamp": "number",
        "tls": false,
        "worker": "string",
    })
}

fn shown_dns() -> Value {
    json!({
        "request": {"opCode": "=Query", "questions": [{"class": "=IN", "name": "=a.example.test", "type": "=A"}]},
        "response": {
            "answers": [{
                "class": "=IN", "cname": "=", "ip": "=10.20.0.7", "mx": "=", "name": "=a.example.test", "ns": "=", "opt": "=",
                "ptr": "=", "soa": "=", "srv": "=", "ttl": "number", "txts": "=", "type": "=A", "uri": "=",
            }],
            "code": "=No Error",
        },
    })
}

/// Every place where `given` is not what `shown` shows. Keys that `shown` does not have are listed too, unless `open`.
fn differences(at: &str, shown: &Value, given: &Value, open: bool, found: &mut Vec<String>) {
    let as_shown = match (shown, given) {
        (Value::String(kind), Value::String(text)) => {
            kind == "string" || kind.strip_prefix('=').is_some_and(|exact| exact == text)
        }
        (Value::String(kind), Value::Number(_)) => kind == "number",
        (Value::Object(shown), Value::Object(given)) => {
            for (key, value) in shown {
                match given.get(key) {
                    Some(given) => differences(&format!("{at}.{key}"), value, given, open, found),
                    None => found.push(format!("{at}.{key} is missing")),
                }
            }
            let more = given.keys().filter(|key| !open && !shown.contains_key(*key));
            found.extend(more.map(|key| format!("{at}.{key} is more than was shown")));
            true
        }
        (Value::Array(shown), Value::Array(given)) if shown.len() == given.len() => {
            for (index, (shown, given)) in shown.iter().zip(given).enumerate() {
                differences(&format!("{at}[{index}]"), shown, given, open, found);
            }
            true
        }
        (shown, given) => shown == given,
    };
    if !as_shown {
        found.push(format!("{at} is {given}, shown as {shown}"));
    }
}

#[test]
fn an_http_entry_is_as_shown() {
    let cluster = Cluster::of(&[capture("http-bodies")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull?q=request.path%20%3D%3D%20%22/orders%22");
    let text = watcher.texts(1).remove(0);
    let entry: Value = serde_json::from_str(&text).expect("an entry");
    let mut found = Vec::new();
    differences("entry", &shown(), &entry, false, &mut found);
    // What tells how far an entry can be trusted is ours.
    assert_eq!(found, ["entry.flags is more than was shown"]);

    let worker = cluster.addresses[0].to_string();
    assert_eq!(entry["worker"], worker);
    assert_eq!(entry["node"], json!({ "ip": "127.0.0.1", "name": "node-0" }));
    assert_eq!(entry["id"], format!("{worker}/000000000001.pcap-0"));
    assert_eq!(entry["stream"], "000000000001.pcap");
    assert_eq!(entry["entryFile"], "000000000001_pcap-0_entry.json");
    assert_eq!(entry["index"], 0);
    let start = entry["startTime"].as_str().expect("a time");
    assert!(
        start.ends_with('Z') && start.contains('.') && start.len() > "2026-01-01T00:00:00.123Z".len(),
        "{start}"
    );
    // Printed in the order of the keys, at every level: a map that sorts prints the same.
    assert_eq!(text, entry.to_string());
}

#[test]
fn a_dns_entry_is_as_shown() {
    let cluster = Cluster::of(&[capture("any-sll2")]);
    let entry = Watcher::connect(&cluster.hub(), "/api/wsFull?q=dns").entries(1).remove(0);
    let mut found = Vec::new();
    differences("entry", &shown_dns(), &entry, true, &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(entry["stream"].as_str().map(|stream| stream.ends_with("_udp.pcap")), Some(true));
    assert_eq!(entry["protocol"]["layer4"], "udp");
    assert_eq!(entry["dst"]["port"], "53");
}

#[test]
fn a_missing_half_is_null() {
    let cluster = Cluster::of(&[capture("http-unanswered")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull?q=request.path%20%3D%3D%20%22/silent%22");
    let entry = watcher.entries(1).remove(0);
    assert_eq!(entry["response"], Value::Null);
    assert_eq!((&entry["flags"]["responseMissing"], &entry["responseSize"]), (&json!(true), &json!(0)));
}

#[test]
fn a_base_entry_has_the_keys_of_a_traffic_list() {
    let cluster = Cluster::of(&[capture("http-bodies")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/ws?q=request.path%20%3D%3D%20%22/orders%22");
    let entry = watcher.entries(1).remove(0);
    for (key, value) in [
        ("method", json!("POST")),
        ("methodQuery", json!("request.method == \"POST\"")),
        ("summary", json!("/orders")),
        ("summaryQuery", json!("request.path == \"/orders\"")),
        ("status", json!(201)),
        ("statusQuery", json!("response.status == 201")),
        ("stream", json!("000000000001.pcap")),
    ] {
        assert_eq!(entry[key], value, "{key}");
    }
    assert_eq!(entry["proto"]["name"], "http");
    assert_eq!(entry.get("request"), None);
}
