//! A worker that goes away does not end the session, and is heard again when it is back.

use support::watch::Watcher;

use crate::{Cluster, capture};

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

    cluster.restart_worker(1, capture("ipv6"));
    cluster.wait_for_workers(2);
    for watcher in [&mut watcher, &mut late] {
        let entries = watcher.entries(3);
        assert!(
            entries.iter().all(|entry| entry["node"]["name"] == "node-1" && entry["src"]["ip"] == "fd20::1")
        );
        watcher.expect_silence();
    }
}

#[test]
fn a_connection_that_breaks_repeats_nothing() {
    let mut cluster = Cluster::of(&[capture("http-methods"), capture("dns-udp")]);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull?q=http");
    watcher.entries(12);
    cluster.stop_worker(1);
    cluster.wait_for_workers(1);
    cluster.restart_worker(1, capture("dns-udp"));
    cluster.wait_for_workers(2);
    // The other worker's entries are not sent again.
    watcher.expect_silence();
}
