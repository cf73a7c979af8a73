//! A worker that goes away does not end the session, and is heard again when it is back.

use serde_json::Value;
use support::watch::Watcher;

use crate::{Cluster, capture, eventually};

/// Waits until the worker has read its capture again.
fn wait_for_stored(cluster: &Cluster, worker: usize, entries: u64) -> Value {
    let status = || cluster.status()["workers"][worker].clone();
    eventually(&format!("{entries} entries"), || status()["status"]["store"]["stored"] == entries);
    status()
}

#[test]
fn a_worker_dies_and_comes_back() {
    let mut cluster = Cluster::of(&[capture("http-methods"), capture("dns-udp")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull");
    watcher.send("");
    let first = watcher.entries(12 + 13);
    let times: Vec<_> = first.iter().map(|entry| entry["timestamp"].as_i64()).collect();
    assert!(times.is_sorted(), "merged over the workers by time: {times:?}");

    cluster.stop_worker(1);
    cluster.wait_for_workers(1);
    watcher.expect_silence();
    // Whoever comes now sees what there is.
    let mut late = Watcher::connect(&cluster.hub(), "/api/wsFull?q=");
    assert!(late.entries(12).iter().all(|entry| entry["node"]["name"] == "node-0"));
    late.expect_silence();

    // Back with the same capture, it brings each what it has not seen.
    cluster.restart_worker(1, capture("dns-udp"));
    cluster.wait_for_workers(2);
    let mut from_one: Vec<_> =
        first.iter().filter(|entry| entry["node"]["name"] == "node-1").map(|entry| &entry["id"]).collect();
    from_one.sort_by_key(ToString::to_string);
    let mut entries = late.entries(13);
    entries.sort_by_key(|entry| entry["id"].to_string());
    assert_eq!(entries.iter().map(|entry| &entry["id"]).collect::<Vec<_>>(), from_one);
    for watcher in [&mut watcher, &mut late] {
        watcher.expect_silence();
    }

    // With another capture it has something new for both.
    cluster.stop_worker(1);
    cluster.wait_for_workers(1);
    cluster.restart_worker(1, capture("ipv6"));
    for watcher in [&mut watcher, &mut late] {
        let entries = watcher.entries(3);
        assert!(
            entries.iter().all(|entry| entry["node"]["name"] == "node-1" && entry["src"]["ip"] == "fd20::1")
        );
        watcher.expect_silence();
    }
}

#[test]
fn a_worker_that_is_restarted_repeats_nothing() {
    let mut cluster = Cluster::of(&[capture("http-methods"), capture("dns-udp")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull?q=dns&events=1");
    // One that matches nothing is not asked to look at everything again either.
    let mut rare = Watcher::connect(&cluster.hub(), "/api/wsFull?q=src.port==%221%22&events=1");
    assert_eq!(watcher.texts(13 + 1).last().map(String::as_str), Some(r#"{"event":"historyEnd"}"#));
    rare.texts(1);
    let before = wait_for_stored(&cluster, 1, 13);
    assert_eq!(before["received"], 13);

    for _ in 0..2 {
        cluster.stop_worker(1);
        cluster.wait_for_workers(1);
        cluster.restart_worker(1, capture("dns-udp"));
        cluster.wait_for_workers(2);
        watcher.expect_silence();
        rare.expect_silence();
        let after = wait_for_stored(&cluster, 1, 13);
        assert_eq!(after["boot"], before["boot"], "the same capture, numbered the same");
        // Not even to the hub, which would have left them out.
        assert_eq!((&after["received"], &after["repeated"]), (&13.into(), &0.into()));
    }
    Watcher::connect(&cluster.hub(), "/api/wsFull?q=dns").entries(13);
}
