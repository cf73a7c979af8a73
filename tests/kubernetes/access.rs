//! Who may see traffic, from where, and with what.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
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

/// Where a pod finds the token that it was given.
const TOKEN: &str = "file:///var/run/secrets/kubernetes.io/serviceaccount/token";

const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// What curl prints in the client's pod.
fn curl(cluster: &Cluster, town: &Town, options: &[&str]) -> String {
    let curl = ["kubectl", "-n", &town.namespace.name, "exec", "client-node1", "--", "/usr/bin/curl", "-s"];
    // What is upgraded ends by its time.
    let ran = cluster.run(&[&curl[..], &["--max-time", "5"], options].concat(), "");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// The status of an answer to a request with these headers.
fn code(cluster: &Cluster, town: &Town, url: &str, headers: &[&str]) -> String {
    let headers = headers.iter().flat_map(|header| ["-H", header]);
    let options: Vec<_> =
        ["-k", "-o", "/dev/null", "-w", "%{http_code}", url].into_iter().chain(headers).collect();
    curl(cluster, town, &options)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {}", token.trim())
}

/// The token of somebody who may get `services/proxy` of the hub.
fn viewer(cluster: &Cluster, release: &Release) -> String {
    let kubectl =
        |words: &[&str]| cluster.must(&[&["kubectl", "-n", &release.namespace.name], words].concat(), "");
    kubectl(&["create", "serviceaccount", "viewer"]);
    kubectl(&[
        "create",
        "role",
        "viewer",
        "--verb=get",
        "--resource=services/proxy",
        "--resource-name=kubeshark-hub",
    ]);
    let account = format!("--serviceaccount={}:viewer", release.namespace.name);
    kubectl(&["create", "rolebinding", "viewer", "--role=viewer", &account]);
    kubectl(&["create", "token", "viewer"])
}

#[test]
fn from_outside_its_pod_the_hub_asks_for_a_token_that_may() {
    let Some(cluster) = cluster() else { return };
    cluster.enter();
    let release = Release::install(&cluster, "asks", &["tap.proxy.worker.srvPort=30105"]);
    let town = Town::new(&cluster, "callers", &["node1"]);
    town.settle("node1");
    release.workers();
    let forward = release.hub();
    let pods = release.get(&["pods", "-l", "app.kubeshark.co/app=hub"]);
    let ip = pods["items"][0]["status"]["podIP"].as_str().expect("an address").to_owned();
    let default = bearer(&curl(&cluster, &town, &[TOKEN]));
    assert!(default.len() > 100, "a pod has a token: {default}");
    let viewer = viewer(&cluster, &release);
    let good = bearer(&viewer);
    let service = format!("kubeshark-hub.{}", release.namespace.name);
    for host in [format!("{ip}:8899"), service] {
        for (path, headers, expected) in [
            ("/api/status", &[][..], "401"),
            ("/api/status", &["Authorization: Bearer nonsense"], "401"),
            ("/api/status", &[&default], "403"),
            ("/api/status", &[&good], "200"),
            ("/api/status", &[&good, "Origin: https://evil.example"], "403"),
            ("/healthz", &[], "200"),
            ("/readyz", &[], "200"),
            ("/metrics", &[], "200"),
        ] {
            let got = code(&cluster, &town, &format!("http://{host}{path}"), headers);
            assert_eq!(got, expected, "{host}{path} with {headers:?}");
        }
    }
    // A browser's way.
    let protocol = |token: &str| {
        let encoded = URL_SAFE_NO_PAD.encode(token.trim());
        format!("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.{encoded}, v1.kubeshark")
    };
    let url = format!("http://{ip}:8899/api/wsFull");
    let upgrade = |protocol: &str| code(&cluster, &town, &url, &[&UPGRADE[..], &[protocol]].concat());
    assert_eq!(upgrade("X-Nothing: 1"), "401");
    assert_eq!(upgrade(&protocol(default.trim_start_matches("Authorization: Bearer "))), "403");
    assert_eq!(upgrade(&protocol(&viewer)), "101");
    // Who comes through a port-forward was let in by Kubernetes.
    assert_eq!(program::get(&forward.address, "/api/status", &[]).0, 200);

    let words = ["kubectl", "-n", &release.namespace.name, "set", "env", "deployment/kubeshark-hub"];
    cluster.must(&[&words[..], &["KUBESHARK_AUTH=off"]].concat(), "");
    release.rolled_out("deployment/kubeshark-hub");
    let url = format!("http://kubeshark-hub.{}/api/status", release.namespace.name);
    let open = || Some(curl(&cluster, &town, &[&url])).filter(|body| body.contains("sees all traffic"));
    Cluster::wait(READY, open, || curl(&cluster, &town, &["-i", &url]));
}

#[test]
fn one_worker_is_reached_through_the_hub_or_with_its_keys() {
    let Some(cluster) = cluster() else { return };
    cluster.enter();
    let release = Release::install(&cluster, "direct", &["tap.proxy.worker.srvPort=30106"]);
    let town = Town::new(&cluster, "strangers", &["node1"]);
    town.settle("node1");
    release.workers();
    let pods = release.get(&["pods", "-l", "app.kubeshark.co/app=worker"]);
    for pod in pods["items"].as_array().expect("a list") {
        let ip = pod["status"]["hostIP"].as_str().expect("an address");
        for (path, expected) in [("/metrics", "200"), ("/status", "401"), ("/hub", "401"), ("/wsFull", "401")]
        {
            assert_eq!(code(&cluster, &town, &format!("https://{ip}:30106{path}"), &[]), expected, "{path}");
        }
    }
    let hub = release.hub();
    let (status, body) = program::get(&hub.address, "/api/workers/nowhere/wsFull", &[]);
    assert_eq!(status, 404, "{body}");
    let node = |text: &str| {
        let entry: Value = serde_json::from_str(text).expect("JSON");
        entry["node"]["name"].as_str().expect("a name").to_owned()
    };
    let first = |watcher: &mut Watcher| {
        Cluster::wait(
            READY,
            || match watcher.next(std::time::Duration::from_secs(1)) {
                Got::Text(text) => Some(node(&text)),
                Got::Nothing => None,
                Got::Closed(code, reason) => panic!("closed with {code}: {reason}"),
            },
            || "no entry".into(),
        )
    };
    town.ask("node1", &format!("http://web.{}/seen", town.namespace.name), 5);
    let mut watcher = Watcher::connect(&hub.address, "/api/workers/node1/wsFull?q=http");
    assert_eq!(first(&mut watcher), "node1");

    let program = env!("CARGO_BIN_EXE_kubeshark");
    let words = [program, "proxy", "-s", &release.namespace.name, "--worker", "node1", "--port", "0"];
    let mut proxy =
        cluster.command(&words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program");
    let mut lines = BufReader::new(proxy.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.split("http://").nth(1).map(str::to_owned));
    let seen = address.as_deref().map(|address| {
        let mut watcher = Watcher::connect(address, "/wsFull?q=http");
        (program::get(address, "/status", &[]).0, first(&mut watcher))
    });
    drop(proxy.kill());
    drop(proxy.wait());
    assert_eq!(seen, Some((200, "node1".to_owned())), "{address:?}");
}
