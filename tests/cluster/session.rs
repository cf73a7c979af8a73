//! The session that users were promised: connect, send a filter, receive what matches.

use std::time::Duration;

use support::watch::{Got, Watcher};

use crate::{Cluster, capture};

#[test]
fn nothing_comes_before_the_filter() {
    let cluster = Cluster::of(&[capture("demo")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull");
    watcher.expect_silence();
    watcher.send("response.status > 300");
    let entries = watcher.entries(10);
    assert!(entries.iter().all(|entry| entry["response"]["status"].as_i64() > Some(300)));
    let times: Vec<_> = entries.iter().map(|entry| entry["timestamp"].as_i64()).collect();
    assert!(times.is_sorted(), "oldest first: {times:?}");
    watcher.expect_silence();
}

#[test]
fn filters_of_the_seeds() {
    let cluster = Cluster::of(&[capture("demo"), capture("http-methods")]);
    for (query, count) in [
        ("", 50),
        ("dns", 6),
        ("http and response.status == 500", 3),
        ("response.status > 300 and node.name == \"node-1\"", 5),
        ("request.headers[\"X-Request-Id\"] == \"12\"", 3),
        ("http and request.path.startsWith(\"/hello\")", 20),
    ] {
        for path in ["/api/wsFull", "/wsFull", "/api/ws"] {
            let mut watcher = Watcher::connect(&cluster.hub(), path);
            watcher.send(query);
            watcher.texts(count);
            watcher.expect_silence();
        }
    }
}

#[test]
fn the_filter_may_stand_in_the_address() {
    let cluster = Cluster::of(&[capture("demo")]);
    Watcher::connect(&cluster.hub(), "/api/wsFull?q=dns").entries(6);
    // Workers are asked the same way.
    Watcher::connect(&cluster.addresses[0].to_string(), "/wsFull?q=dns").entries(6);
}

#[test]
fn a_filter_replaces_another() {
    let cluster = Cluster::of(&[capture("demo")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull?q=dns");
    assert!(watcher.entries(6).iter().all(|entry| entry["protocol"]["name"] == "dns"));
    watcher.send("http and response.status == 500");
    assert!(watcher.entries(2).iter().all(|entry| entry["response"]["status"] == 500));
    watcher.expect_silence();
}

#[test]
fn a_bad_filter_closes_with_its_error() {
    let cluster = Cluster::of(&[capture("demo")]);
    for path in ["/api/wsFull?q=http%20and", "/api/wsFull"] {
        let mut watcher = Watcher::connect(&cluster.hub(), path);
        if path == "/api/wsFull" {
            watcher.send("http and");
        }
        let Got::Closed(code, reason) = watcher.next(Duration::from_secs(5)) else {
            panic!("{path}: it stays open")
        };
        assert_eq!(code, 1008);
        assert!(reason.starts_with("bad KFL: 1:9"), "{reason}");
    }
}

#[test]
fn a_limit_ends_the_session() {
    let cluster = Cluster::of(&[capture("demo")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull?q=http%20and%20limit(3)");
    watcher.entries(3);
    assert!(matches!(watcher.next(Duration::from_secs(5)), Got::Closed(1000, _)));
}

#[test]
fn a_hub_that_ends_says_so() {
    let cluster = Cluster::of(&[capture("demo")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull?q=dns");
    watcher.entries(6);
    let Cluster { runtime, hub, workers, .. } = cluster;
    let closing = std::thread::spawn(move || watcher.next(Duration::from_secs(5)));
    runtime.block_on(hub.shutdown());
    assert!(matches!(closing.join().expect("no panic"), Got::Closed(1001, _)));
    for worker in workers.into_iter().flatten() {
        runtime.block_on(worker.shutdown());
    }
}
