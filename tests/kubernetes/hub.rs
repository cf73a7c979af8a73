//! A hub that finds its workers, tells them of the cluster, and hears from them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{
    kubernetes::Cluster,
    program,
    watch::{Got, Watcher},
};

use crate::{
    release::{READY, Release, cluster},
    traffic::Town,
};

const NODES: &[&str] = &["node1", "node2"];

fn status(hub: &str) -> Value {
    let (code, body) = program::get(hub, "/status", &[]);
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Waits until `/status` is as `wanted`.
fn status_when(hub: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let ask = || Some(status(hub)).filter(|status| wanted(status));
    Cluster::wait(READY, ask, || status(hub).to_string())
}

/// The nodes whose workers are connected.
fn connected(status: &Value) -> BTreeSet<String> {
    let workers = status["workers"].as_array().expect("a list").iter();
    workers
        .filter(|worker| worker["connected"] == true)
        .map(|worker| worker["node"].as_str().expect("a name").into())
        .collect()
}

fn are(nodes: &[&str]) -> BTreeSet<String> {
    nodes.iter().map(|node| (*node).to_owned()).collect()
}

/// The entries that come until `enough` says so of all so far.
fn entries(watcher: &mut Watcher, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + READY;
    let mut entries = Vec::new();
    while !enough(&entries) {
        assert!(Instant::now() < deadline, "after {} entries: {:?}", entries.len(), entries.last());
        match watcher.next(Duration::from_secs(1)) {
            Got::Text(text) => entries.push(serde_json::from_str(&text).expect("JSON")),
            Got::Nothing => {}
            Got::Closed(code, reason) => panic!("closed with {code}: {reason}"),
        }
    }
    entries
}

fn nodes(entries: &[Value]) -> BTreeSet<String> {
    entries.iter().map(|entry| entry["node"]["name"].as_str().expect("a name").to_owned()).collect()
}

/// What `helm install` brings up finds itself, and shows what pods of both nodes say to each other.
#[test]
fn traffic_of_both_nodes_arrives() {
    let Some(cluster) = cluster() else { return };
    cluster.enter();
    let release = Release::install(&cluster, "sees", &["tap.proxy.worker.srvPort=30102"]);
    let town = Town::new(&cluster, "seen", NODES);
    town.settle("node1");
    release.workers();
    let hub = release.hub();
    let status = status_when(&hub.address, |status| connected(status) == are(NODES));
    assert_eq!(status["kubernetes"]["targets"]["rule"], "everything", "{status}");
    let workers = status["workers"].as_array().expect("a list");
    assert!(
        workers.iter().all(|worker| worker["pod"]["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("kubeshark-worker"))),
        "{status}"
    );

    let space = &town.namespace.name;
    let query = format!(r#"response.status > 300 and request.headers["Host"] == "web.{space}""#);
    let mut watcher = Watcher::connect(&hub.address, "/api/wsFull");
    watcher.send(&query);
    let url = format!("http://web.{space}/missing/here");
    // A service chooses whom it asks, so that after some requests each node has asked and each was asked.
    for node in NODES {
        town.ask(node, &url, 20);
    }
    let seen = entries(&mut watcher, |entries| nodes(entries) == are(NODES));
    assert!(seen.iter().all(|entry| entry["response"]["status"] == 404), "{seen:?}");
    // The filter on a node leaves that node's alone.
    let mut watcher = Watcher::connect(&hub.address, "/api/wsFull");
    watcher.send(&format!(r#"{query} and node.name == "node2""#));
    let seen = entries(&mut watcher, |entries| entries.len() >= 3);
    assert_eq!(nodes(&seen), are(&["node2"]));

    // The rights that the chart gives were enough, on a read-only root, under seccomp, and after all of them were given up.
    let pods = release.get(&["pods", "-l", "app.kubeshark.co/app=worker"]);
    for pod in pods["items"].as_array().expect("a list") {
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0, "{pod}");
        let mounts = pod["spec"]["containers"][0]["volumeMounts"].to_string();
        assert!(!mounts.contains("serviceaccount"), "a worker has an API token: {mounts}");
    }
}

/// Which pods are captured is asked of the hub and changed there, while all runs.
#[test]
fn targets_are_told_and_changed_live() {
    let Some(cluster) = cluster() else { return };
    cluster.enter();
    let town = Town::new(&cluster, "aimed", NODES);
    let space = town.namespace.name.clone();
    let settings =
        ["tap.proxy.worker.srvPort=30103", "tap.regex=^web-", &format!("tap.namespaces={{{space}}}")];
    let release = Release::install(&cluster, "aims", &settings);
    release.workers();
    let hub = release.hub();
    status_when(&hub.address, |status| connected(status) == are(NODES));
    let targeted = || {
        let (code, body) = program::get(&hub.address, "/api/pods/targeted", &[]);
        assert_eq!(code, 200, "{body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let targets = body["targets"].as_array().expect("a list").clone();
        targets
            .iter()
            .map(|pod| format!("{}/{}", pod["namespace"].as_str().unwrap(), pod["name"].as_str().unwrap()))
            .collect::<BTreeSet<_>>()
    };
    let names = |names: &[&str]| names.iter().map(|name| format!("{space}/{name}")).collect::<BTreeSet<_>>();
    assert_eq!(targeted(), names(&["web-node1", "web-node2"]));

    let (code, body) = program::ask(&hub.address, "PUT", "/api/pods/regex", r#"{"regex": "node1$"}"#);
    assert_eq!(code, 200, "{body}");
    assert_eq!(targeted(), names(&["client-node1", "web-node1"]));
    // It is kept where another hub of the release would find it.
    let map = release.get(&["configmap", "kubeshark-config-map"]);
    assert_eq!(map["data"]["POD_REGEX"], "node1$");
    // And what somebody else writes there counts as well.
    release
        .patch("configmap/kubeshark-config-map", r#"{"data": {"POD_REGEX": "^client-", "NAMESPACES": ""}}"#);
    let expected = names(&["client-node1", "client-node2"]);
    Cluster::wait(READY, || (targeted() == expected).then_some(()), || format!("{:?}", targeted()));
    let (code, body) = program::ask(&hub.address, "PUT", "/api/pods/regex", r#"{"regex": "(web"}"#);
    assert!(code == 400 && body.contains("unclosed group"), "{code} {body}");
    // A pod that comes is one at once, and one that goes is none.
    town.apply(&Town::web("client-late", "node2"));
    let expected = names(&["client-late", "client-node1", "client-node2"]);
    Cluster::wait(READY, || (targeted() == expected).then_some(()), || format!("{:?}", targeted()));
    town.kubectl(&["delete", "pod", "client-late"]);
    let expected = names(&["client-node1", "client-node2"]);
    Cluster::wait(READY, || (targeted() == expected).then_some(()), || format!("{:?}", targeted()));
}

/// Two hubs behind one Service say the same, and what they were told outlives both.
#[test]
fn replicas_agree_and_scripts_outlive_hubs() {
    let Some(cluster) = cluster() else { return };
    cluster.enter();
    let settings = ["tap.proxy.worker.srvPort=30105", "tap.hub.replicas=2", "scripting.env.KEY=value"];
    let release = Release::install(&cluster, "agree", &settings);
    release.rolled_out("deployment/kubeshark-hub");
    let hubs: Vec<_> =
        release.hubs().iter().map(|pod| cluster.forward(&release.namespace.name, pod, 8899)).collect();
    assert_eq!(hubs.len(), 2);
    let json = |hub: &str, path: &str| -> Value {
        let (code, body) = program::get(hub, path, &[]);
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    };
    let both = |path: &str, wanted: &dyn Fn(&Value) -> bool| {
        for hub in &hubs {
            let ask = || wanted(&json(&hub.address, path)).then_some(());
            Cluster::wait(READY, ask, || json(&hub.address, path).to_string());
        }
    };
    // Told to both at the same time, nothing of either is lost.
    std::thread::scope(|scope| {
        for (hub, name) in hubs.iter().zip(["one", "two"]) {
            let address = &hub.address;
            let cluster = &cluster;
            scope.spawn(move || {
                cluster.enter();
                for n in 0..5 {
                    let body = format!(r#"{{"code": "// {name} {n}"}}"#);
                    let (code, answer) = program::ask(address, "POST", "/api/scripts", &body);
                    assert_eq!(code, 200, "{answer}");
                }
            });
        }
    });
    let titles = |scripts: &Value| -> BTreeSet<String> {
        let scripts = scripts.as_array().expect("a list").iter();
        scripts.map(|script| script["title"].as_str().expect("a title").to_owned()).collect()
    };
    let expected: BTreeSet<_> =
        ["one", "two"].iter().flat_map(|name| (0..5).map(move |n| format!("{name} {n}"))).collect();
    both("/scripts", &|scripts| titles(scripts) == expected);
    let (code, answer) = program::ask(&hubs[0].address, "PUT", "/pods/regex", r#"{"regex": "^web"}"#);
    assert_eq!(code, 200, "{answer}");
    both("/pods/regex", &|rule| rule["regex"] == "^web");
    both("/scripts/env", &|env| env["names"] == serde_json::json!(["KEY"]));
    let (code, answer) = program::ask(&hubs[1].address, "POST", "/scripts/env", r#"{"OTHER": 1}"#);
    assert_eq!(code, 200, "{answer}");
    both("/scripts/env", &|env| env["names"] == serde_json::json!(["OTHER"]));

    drop(hubs);
    release.restart_hub();
    let hub = release.hub();
    assert_eq!(titles(&json(&hub.address, "/scripts")), expected);
    assert_eq!(json(&hub.address, "/pods/regex")["regex"], "^web");
    assert_eq!(json(&hub.address, "/scripts/env")["names"], serde_json::json!(["OTHER"]));
}

/// A node comes and goes, and a hub is another one: nobody has to help.
#[test]
fn nodes_come_and_go_and_a_hub_begins_anew() {
    let Some(cluster) = cluster() else { return };
    cluster.enter();
    let release = Release::install_alone(&cluster, "moves", &["tap.proxy.worker.srvPort=30104"]);
    release.workers();
    let hub = release.hub();
    status_when(&hub.address, |status| connected(status) == are(NODES));
    let mut watcher = Watcher::connect(&hub.address, "/api/wsFull");
    watcher.send("");
    // A watcher that was there before is shown what the new node's worker sees: probes, if nothing else.
    cluster.alter(&["node-up", "3"]);
    let gone = || {
        cluster.alter(&["node-down", "3"]);
        cluster.must(&["kubectl", "delete", "node", "node3", "--ignore-not-found"], "");
    };
    let came = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        status_when(&hub.address, |status| connected(status) == are(&["node1", "node2", "node3"]));
        let town = Town::new(&cluster, "moved", &["node3"]);
        town.settle("node3");
        entries(&mut watcher, |entries| nodes(entries).contains("node3"));
    }));
    gone();
    if let Err(panic) = came {
        std::panic::resume_unwind(panic);
    }
    let words = [
        "kubectl",
        "-n",
        &release.namespace.name,
        "delete",
        "pod",
        "--field-selector=spec.nodeName=node3",
        "--force",
        "--grace-period=0",
    ];
    cluster.must(&words, "");
    let status = status_when(&hub.address, |status| {
        let workers = status["workers"].as_array().expect("a list");
        workers.iter().any(|worker| worker["node"] == "node3" && worker["gone"] == true)
    });
    assert_eq!(connected(&status), are(NODES), "{status}");
    drop(hub);

    release.restart_hub();
    let hub = release.hub();
    let since = Instant::now();
    let status = status_when(&hub.address, |status| connected(status) == are(NODES));
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    // The new one does not know of the node that was.
    assert_eq!(status["workers"].as_array().map(Vec::len), Some(2), "{status}");
}
