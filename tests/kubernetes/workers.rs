//! Workers on real nodes.

use support::kubernetes::Cluster;

use crate::release::{READY, Release, cluster};

/// The count in one line of metrics.
fn count(metrics: &str, row: &str) -> Option<u64> {
    let line = metrics
        .lines()
        .find(|line| line.starts_with("kubeshark_worker_ledger_total{") && line.contains(row))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// The rights that the chart gives are enough to capture, on a read-only root, under seccomp, and after all of them were
/// given up.
#[test]
fn a_worker_captures_on_every_node() {
    let Some(cluster) = cluster() else { return };
    let settings = ["tap.hub.replicas=0", "tap.proxy.worker.srvPort=30101"];
    let release = Release::install(&cluster, "captures", &settings);
    let workers = release.workers();
    assert_eq!(workers.len(), 2);
    for worker in &workers {
        // The kubelet's probes and the API server's questions are traffic of the node.
        let captured = || {
            let metrics = release.ask(worker, 30101, "/metrics");
            count(&metrics, r#"stage="capture",row="packets""#).filter(|packets| *packets > 0)
        };
        Cluster::wait(READY, captured, || release.ask(worker, 30101, "/metrics"));
    }
    let pods = release.get(&["pods", "-l", "app.kubeshark.co/app=worker"]);
    for pod in pods["items"].as_array().expect("a list") {
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0, "{pod}");
        let mounts = pod["spec"]["containers"][0]["volumeMounts"].to_string();
        assert!(!mounts.contains("serviceaccount"), "a worker has an API token: {mounts}");
    }
}
