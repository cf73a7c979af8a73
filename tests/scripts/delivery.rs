//! What is delivered runs, on every worker, as it is now.

use std::fs;

use hub::source::SourceConfig;
use serde_json::json;
use support::Scratch;

use crate::{Cluster, eventually};

/// Says every second how often it has said so since it was loaded, and a variable.
const TICKER: &str = r#"// Ticker
var ticks = 0;
jobs.schedule("tick", "* * * * * *", function () {
    ticks++;
    console.log("tick " + ticks + " of " + env.KEY);
});
"#;

#[test]
fn a_folder_reaches_both_workers_and_is_followed() {
    let scratch = Scratch::new();
    scratch.file("hello.js", b"// Hello\nconsole.log('hello from ' + utils.nodeName());");
    scratch.file("ticker.js", TICKER.as_bytes());
    let scripts = SourceConfig {
        folders: vec![scratch.path().to_owned()],
        env: vec![("KEY".into(), "a".into())],
        env_file: None,
    };
    let mut cluster = Cluster::start(scripts);
    let mut console = cluster.console();
    // Both may come in either order.
    for node in ["node-0", "node-1"] {
        cluster.console().line(&format!("[{node}-0] hello from {node}"));
    }
    let tags = |count| {
        let jobs = cluster.get("/api/jobs");
        jobs.as_array().expect("a list").iter().filter(|job| job["tag"] == "tick").count() == count
    };
    eventually("a job on each worker", || tags(2));
    console.until("a tick", |line| line.starts_with("[node-1-1] tick ") && line.ends_with(" of a"));

    // A change of one script leaves the others alone.
    scratch.file("hello.js", b"// Hello\nconsole.log('changed');");
    console.line("[node-0-0] changed");
    console.until("a tick of the same run", |line| {
        let count = line.strip_prefix("[node-0-1] tick ").and_then(|rest| rest.split(' ').next());
        count.and_then(|count| count.parse().ok()).is_some_and(|count: u32| count > 1)
    });

    // What is removed is unloaded, and its jobs with it.
    fs::remove_file(scratch.path().join("ticker.js")).expect("a file");
    eventually("no job", || tags(0));

    // A worker that comes back is given what is there now.
    cluster.stop_worker(1);
    scratch.file("new.js", b"console.log('new one');");
    console.line("[node-0-2] new one");
    cluster.restart_worker(1);
    console.line("[node-1-2] new one");
}

#[test]
fn a_change_of_variables_reaches_running_scripts() {
    let cluster = Cluster::start(SourceConfig::default());
    let mut console = cluster.console();
    cluster.ask("POST", "/api/scripts/env", &json!({"KEY": "first"}));
    cluster.ask("POST", "/api/scripts", &json!({"title": "t", "code": TICKER}));
    console.until("a tick", |line| line == "[node-0-0] tick 1 of first");
    cluster.ask("POST", "/api/scripts/env", &json!({"KEY": "second"}));
    let line = console.until("a tick with the new value", |line| {
        line.starts_with("[node-0-0] tick ") && line.ends_with(" of second")
    });
    assert!(!line.contains("tick 1 "), "loaded anew: {line}");
    cluster.ask("POST", "/api/scripts/env", &json!({}));
    console.until("a tick without a value", |line| {
        line.starts_with("[node-0-0] tick ") && line.ends_with(" of undefined")
    });
}

#[test]
fn jobs_are_listed_run_and_removed() {
    let cluster = Cluster::start(SourceConfig::default());
    let mut console = cluster.console();
    let code = r#"jobs.schedule("yearly", "0 0 0 1 1 *", function (what) { console.log("ran " + what); }, 5, "it");
        function onJobPassed(tag, cron, limit) { console.log(tag, cron, limit); }"#;
    cluster.ask("POST", "/api/scripts", &json!({"code": code}));
    let listed = || cluster.get("/jobs");
    eventually("two jobs", || listed().as_array().is_some_and(|jobs| jobs.len() == 2));
    let job = &listed()[0];
    assert_eq!((&job["tag"], &job["limit"], &job["runs"]), (&json!("yearly"), &json!(5), &json!(0)));
    assert_eq!(
        (&job["node"], &job["cron"], &job["script"]),
        (&json!("node-0"), &json!("0 0 0 1 1 *"), &json!(0))
    );
    assert!(job["nextRun"].as_i64().is_some_and(|at| at > 0), "{job}");

    let worker = cluster.addresses[1].to_string();
    let answer = cluster.ask("POST", "/api/jobs/run", &json!({"tag": "yearly", "worker": worker}));
    assert_eq!(answer, json!({"workers": [worker]}));
    console.line("[node-1-0] ran it");
    console.line("[node-1-0] yearly 0 0 0 1 1 * 5");
    eventually("a run that is counted", || {
        listed()
            .as_array()
            .is_some_and(|jobs| jobs.iter().any(|job| job["node"] == "node-1" && job["runs"] == 1))
    });
    cluster.ask("POST", "/api/jobs/remove", &json!({"tag": "yearly"}));
    eventually("no jobs", || listed() == json!([]));
}

#[test]
fn how_a_script_fares_is_told() {
    let cluster = Cluster::start(SourceConfig::default());
    let mut console = cluster.console();
    cluster.ask("POST", "/api/scripts", &json!({"title": "good", "code": "var a = 1;"}));
    cluster.ask("POST", "/api/scripts", &json!({"title": "bad", "code": "throw new Error('not here');"}));
    let line = console.until("an error", |line| line.starts_with("[node-1-1:ERROR]"));
    assert!(line.contains("not here"), "{line}");
    let phase =
        |index: usize, worker: usize| cluster.get("/api/scripts")[index]["workers"][worker]["phase"].clone();
    eventually("phases", || phase(0, 0) == "loaded" && phase(0, 1) == "loaded" && phase(1, 0) == "failed");
    let bad = cluster.get("/api/scripts/1");
    assert!(bad["workers"][0]["error"].as_str().is_some_and(|why| why.contains("not here")), "{bad}");
}
