//! Hooks whose results are seen elsewhere: what a watcher is shown, and what the hub hears.

use std::fs;

use hub::source::SourceConfig;
use serde_json::{Value, json};
use support::{captures::Case, program::get, watch::Watcher};

use crate::{Cluster, eventually};

/// Entries of the workers' capture.
fn entries() -> usize {
    let golden = fs::read_to_string(Case::named("ipv6").entries()).expect("entries");
    golden.lines().count()
}

#[test]
fn what_a_watcher_is_shown_is_what_scripts_make_of_it() {
    let cluster = Cluster::start(SourceConfig::default());
    let code = "function onItemQueried(data) {
        data.request.path = data.request.path + '!';
        return data.response.status === 200 ? test.pass(data) : test.fail(data);
    }";
    cluster.ask("POST", "/api/scripts", &json!({"code": code}));
    let phase = |worker: usize| cluster.get("/api/scripts")[0]["workers"][worker]["phase"].clone();
    eventually("a script on each worker", || phase(0) == "loaded" && phase(1) == "loaded");
    let mut full = Watcher::connect(&cluster.hub(), "/api/wsFull?q=http");
    let shown = full.entries(2 * http());
    let mut base = Watcher::connect(&cluster.hub(), "/api/ws?q=http");
    let listed = base.entries(2 * http());
    for entry in &shown {
        assert!(entry["request"]["path"].as_str().is_some_and(|path| path.ends_with('!')), "{entry}");
        assert_eq!(entry["passed"] == true, entry["response"]["status"] == 200, "{entry}");
        assert_eq!(entry["passed"] == true, entry["failed"] == false, "{entry}");
    }
    for entry in &listed {
        assert_eq!(entry["passed"] == true, entry["status"] == 200, "{entry}");
    }
    let (worker, id) = shown[0]["id"].as_str().and_then(|id| id.split_once('/')).expect("an id");
    let item = cluster.get(&format!("/api/item/{worker}/{id}"));
    assert_eq!(item["data"]["passed"], shown[0]["passed"]);
    // What is hidden stays hidden, whatever a script makes of it.
    let mut hidden = Watcher::connect(&cluster.hub(), "/api/wsFull");
    hidden.send("http and redact(\"request.path\")");
    for entry in hidden.entries(2 * http()) {
        assert_eq!(entry["request"]["path"], "[REDACTED]", "{entry}");
    }
    cluster.ask("DELETE", "/api/scripts/0", &Value::Null);
    eventually("no hook", || {
        let mut plain = Watcher::connect(&cluster.hub(), "/api/wsFull?q=http");
        plain.entries(2 * http()).iter().all(|entry| entry["passed"] == false)
    });
}

/// Those of them that are HTTP.
fn http() -> usize {
    let golden = fs::read_to_string(Case::named("ipv6").entries()).expect("entries");
    let count = golden.lines().filter(|line| line.contains("\"macro\":\"http\"")).count();
    assert!(count > 0 && count < entries());
    count
}

#[test]
fn what_a_script_is_late_with_is_shown_as_it_was_and_counted() {
    let cluster = Cluster::start(SourceConfig::default());
    let code = "function onItemQueried(data) {
        data.request.path = 'late';
        for (var begun = Date.now(); Date.now() < begun + 120;) {}
        return test.fail(data);
    }";
    cluster.ask("POST", "/api/scripts", &json!({"code": code}));
    let phase = |worker: usize| cluster.get("/api/scripts")[0]["workers"][worker]["phase"].clone();
    eventually("a script on each worker", || phase(0) == "loaded" && phase(1) == "loaded");
    let shown = Watcher::connect(&cluster.hub(), "/api/wsFull?q=http").entries(2 * http());
    for entry in &shown {
        assert!(entry["failed"] == false && entry["request"]["path"] != "late", "{entry}");
    }
    let mut late = 0;
    for worker in &cluster.addresses {
        let (_, status) = get(&worker.to_string(), "/status", &[]);
        let status: Value = serde_json::from_str(&status).expect("JSON");
        late += status["scripts"]["queriesLate"].as_u64().expect("a number");
    }
    assert!(late >= shown.len() as u64, "{late} of {}", shown.len());
}

#[test]
fn the_hub_hears_what_workers_call() {
    let cluster = Cluster::start(SourceConfig::default());
    let mut console = cluster.console();
    let hears = "function onHubAction(action, object) { console.log(action, object.from); }";
    let calls = "jobs.schedule('call', '* * * * * *', function () { hub.action('greet', {from: utils.nodeName()}); });";
    cluster.ask("POST", "/api/scripts", &json!({"code": hears}));
    cluster.ask("POST", "/api/scripts", &json!({"code": calls}));
    console.line("[hub-0] greet node-0");
    cluster.console().line("[hub-0] greet node-1");
}
