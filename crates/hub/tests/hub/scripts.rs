//! Scripts reach every worker, and what they say comes back.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use api::messages::{
    ConsoleLine, FromWorker, Job, JobCommand, LineKind, Script, ScriptPhase, ScriptState, ToWorker,
};
use hub::{Config, source::SourceConfig};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    client::{Client, connected, hub_of, json, quick, send},
    fake::Fake,
};

/// A script's number, title and text.
type Told = (u32, String, String);

/// What the worker was last told to run: numbers, titles, texts; and the variables.
fn told(worker: &Fake) -> Option<(Vec<Told>, Value)> {
    let last = worker.heard().into_iter().rev().find_map(|message| match message {
        ToWorker::Scripts { scripts, env } => Some((scripts, env)),
        _ => None,
    });
    last.map(|(scripts, env)| {
        let one = |Script { index, title, code }| (index, title, code);
        (scripts.into_iter().map(one).collect(), Value::Object(env))
    })
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

async fn ok(hub: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = send(hub, method, path, &body.to_string()).await;
    assert_eq!(status, 200, "{method} {path}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

fn script(index: u32, title: &str, code: &str) -> Told {
    (index, title.into(), code.into())
}

#[tokio::test]
async fn every_worker_runs_what_was_sent_and_gets_it_again_when_it_is_back() {
    let (one, two) = (Fake::start([]).await, Fake::start([]).await);
    let hub = hub_of(&[&one, &two], quick()).await;
    let at = hub.address;
    assert_eq!(
        ok(at, "POST", "/api/scripts", &json!({"title": "A", "code": "1"})).await,
        json!({"index": 0})
    );
    assert_eq!(
        ok(at, "POST", "/scripts", &json!({"code": "// B\n2", "path": "x"})).await,
        json!({"index": 1})
    );
    ok(at, "POST", "/scripts/env", &json!({"KEY": "secret", "N": 5})).await;
    ok(at, "POST", "/scripts/done", &Value::Null).await;
    let expected =
        Some((vec![script(0, "A", "1"), script(1, "B", "// B\n2")], json!({"KEY": "secret", "N": 5})));
    until("both to be told", || told(&one) == expected && told(&two) == expected).await;
    assert_eq!(json(at, "/scripts/env").await, json!({"names": ["KEY", "N"]}), "values are not told");

    ok(at, "PUT", "/scripts/0", &json!({"title": "A", "code": "3"})).await;
    ok(at, "PUT", "/scripts/1", &json!({"active": false})).await;
    until("the change", || told(&one).is_some_and(|(scripts, _)| scripts == [script(0, "A", "3")])).await;
    let listed = json(at, "/api/scripts").await;
    assert_eq!(listed[1]["active"], false);
    assert_eq!(json(at, "/api/scripts/1").await["code"], "// B\n2");
    ok(at, "DELETE", "/scripts/1", &Value::Null).await;

    two.stop();
    connected(at, 1, false).await;
    ok(at, "POST", "/scripts/env", &json!({})).await;
    two.restart().await;
    connected(at, 1, true).await;
    until("the whole again", || told(&two) == Some((vec![script(0, "A", "3")], json!({})))).await;
    ok(at, "DELETE", "/scripts/0", &Value::Null).await;
    until("nothing to run", || told(&one).is_some_and(|(scripts, _)| scripts.is_empty())).await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_answered_with_the_way_out() {
    let hub = hub_of(&[], quick()).await;
    let at = hub.address;
    let long = json!({"code": format!("//{}", "x".repeat(1 << 20))}).to_string();
    for (method, path, body, status, words) in [
        ("POST", "/scripts", "{", 400, &["JSON", "code", "line 1"][..]),
        ("POST", "/scripts", "{\"title\": 1}", 400, &["title", "string"]),
        ("POST", "/scripts", "{}", 400, &["needs `code`"]),
        ("POST", "/scripts", &long, 413, &["1048578 bytes", "may have 1048576"]),
        ("PUT", "/scripts/7", "{\"code\": \"1\"}", 404, &["no script 7"]),
        ("PUT", "/scripts/x", "{}", 400, &["\\\"x\\\"", "number"]),
        ("DELETE", "/scripts/7", "", 404, &["no script 7"]),
        ("GET", "/scripts/7", "", 404, &["no script 7"]),
        ("POST", "/scripts/env", "[1]", 400, &["NAME"]),
        ("POST", "/jobs/jump", "", 404, &["jump", "remove"]),
        ("POST", "/jobs/run", "", 503, &["No worker"]),
        ("POST", "/jobs/run", "{\"tag\": \"t\"}", 404, &["\\\"t\\\""]),
        ("POST", "/jobs/run", "{\"worker\": \"w\"}", 404, &["\\\"w\\\""]),
        ("PATCH", "/scripts", "", 405, &["PATCH"]),
    ] {
        let (got, answer) = send(at, method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {answer}");
        for word in words {
            assert!(answer.contains(word), "{method} {path} does not say {word}: {answer}");
        }
    }
    assert_eq!(json(at, "/scripts").await, json!([]));
}

#[tokio::test]
async fn what_scripts_write_reaches_all_who_follow() {
    let worker = Fake::start([]).await;
    let hub = hub_of(&[&worker], quick()).await;
    connected(hub.address, 0, true).await;
    let mut first = Client::connect(hub.address, "/scripts/logs").await;
    let line = |kind, text: &str| ConsoleLine { script: 3, kind, text: text.into() };
    let lines = vec![line(LineKind::Log, "a 1"), line(LineKind::Error, "b")];
    worker.say(&FromWorker::Console { lines, lost: 0 });
    let expected = ["[reef-3] a 1", "[reef-3:ERROR] b"];
    assert_eq!(first.texts(2).await, expected);
    let mut second = Client::connect(hub.address, "/api/scripts/logs").await;
    assert_eq!(second.texts(2).await, expected, "the past comes first");
    let mut third = Client::connect(hub.address, "/scripts/logs?tail=0").await;
    worker.say(&FromWorker::Console { lines: vec![line(LineKind::Log, "c")], lost: 4 });
    for client in [&mut first, &mut second, &mut third] {
        let texts = client.texts(2).await;
        assert!(texts[0].starts_with("[hub:ERROR] 4 lines of node reef"), "{texts:?}");
        assert_eq!(texts[1], "[reef-3] c");
    }
}

#[tokio::test]
async fn jobs_are_listed_and_commanded() {
    let worker = Fake::start([]).await;
    let hub = hub_of(&[&worker], quick()).await;
    let at = hub.address;
    connected(at, 0, true).await;
    let job = Job {
        tag: "count".into(),
        script: 2,
        cron: "0 * * * * *".into(),
        limit: 0,
        runs: 5,
        failed: 1,
        status: "waiting".into(),
        last_run: Some(1),
        next_run: None,
    };
    worker.say(&FromWorker::Jobs { jobs: vec![job] });
    worker.say(&FromWorker::ScriptStates {
        states: vec![ScriptState {
            index: 0,
            phase: ScriptPhase::Disabled,
            strikes: 3,
            ..ScriptState::default()
        }],
    });
    ok(at, "POST", "/scripts", &json!({"code": "1"})).await;
    let waiting = async {
        loop {
            let (jobs, scripts) = (json(at, "/jobs").await, json(at, "/scripts").await);
            if jobs[0]["tag"] == "count" && scripts[0]["workers"][0]["phase"] == "disabled" {
                return (jobs, scripts);
            }
        }
    };
    let (jobs, scripts) = timeout(Duration::from_secs(20), waiting).await.expect("jobs in time");
    assert_eq!(
        (&jobs[0]["node"], &jobs[0]["runs"], &jobs[0]["nextRun"]),
        (&json!("reef"), &json!(5), &Value::Null)
    );
    assert_eq!(scripts[0]["workers"][0]["strikes"], 3);

    let answer = ok(at, "POST", "/jobs/run", &json!({"tag": "count"})).await;
    assert_eq!(answer, json!({"workers": [worker.address.to_string()]}));
    let (status, answer) = send(at, "POST", "/jobs/remove", "{\"tag\": \"other\"}").await;
    assert!(status == 404 && answer.contains("[count]"), "{answer}");
    assert_eq!(send(at, "POST", "/api/jobs/stop", "").await.0, 200);
    let commands = || {
        let jobs = |message| match message {
            ToWorker::Jobs { command, tag } => Some((command, tag)),
            _ => None,
        };
        worker.heard().into_iter().filter_map(jobs).collect::<Vec<_>>()
    };
    let expected = [(JobCommand::Run, Some("count".to_owned())), (JobCommand::Stop, None)];
    until("two commands", || commands() == expected).await;
    worker.stop();
    connected(at, 0, false).await;
    assert_eq!(json(at, "/jobs").await, json!([]), "what a worker that is away does is not known");
}

#[tokio::test]
async fn a_folder_is_delivered_and_followed() {
    let folder = std::env::temp_dir().join(format!("kubeshark-hub-folder-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| -> PathBuf { folder.join(name) };
    fs::write(file("a.js"), "// A\n1").unwrap();
    fs::write(file("env"), "KEY=1").unwrap();
    let worker = Fake::start([]).await;
    let scripts =
        SourceConfig { folders: vec![folder.clone()], env: Vec::new(), env_file: Some(file("env")) };
    let workers = vec![worker.address.to_string()];
    let hub =
        hub::start(Config { listen: ([127, 0, 0, 1], 0).into(), workers, scripts, ..Config::default() })
            .await
            .unwrap();
    until("the folder", || told(&worker) == Some((vec![script(0, "A", "// A\n1")], json!({"KEY": "1"}))))
        .await;
    fs::write(file("b.js"), "2").unwrap();
    fs::write(file("env"), "KEY=2").unwrap();
    let both = vec![script(0, "A", "// A\n1"), script(1, "b", "2")];
    until("a second script", || told(&worker) == Some((both.clone(), json!({"KEY": "2"})))).await;
    fs::remove_file(file("a.js")).unwrap();
    until("one script less", || told(&worker).is_some_and(|(scripts, _)| scripts == [script(1, "b", "2")]))
        .await;
    fs::write(file("b.js"), "x".repeat((1 << 20) + 1)).unwrap();
    let mut client = Client::connect(hub.address, "/scripts/logs").await;
    let line = client.text().await;
    assert!(
        line.starts_with("[hub:ERROR]") && line.contains("b.js") && line.contains("1048577 bytes"),
        "{line}"
    );
    assert_eq!(told(&worker).unwrap().0, [script(1, "b", "2")], "the last good text stays");
    fs::remove_dir_all(&folder).unwrap();

    let nowhere = SourceConfig { folders: vec![folder], ..SourceConfig::default() };
    let config = Config { listen: ([127, 0, 0, 1], 0).into(), scripts: nowhere, ..Config::default() };
    let error = hub::start(config).await.unwrap_err().to_string();
    assert!(error.contains("kubeshark-hub-folder"), "{error}");
}
