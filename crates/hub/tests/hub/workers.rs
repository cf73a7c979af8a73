//! Workers come, go, and come back.

use std::time::Duration;

use api::messages::{Cursor, FromWorker, ToWorker, VERSION};
use axum::extract::ws::Message as Nonsense;
use futures_util::SinkExt;
use hub::Limits;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::{Client, connected, get, hub_of, json, quick, send, status_when},
    fake::Fake,
};

#[tokio::test]
async fn a_connection_that_breaks_leaves_no_gap_and_repeats_nothing() {
    let worker = Fake::start((0..500).map(|n| (n, n.to_string()))).await;
    // So little credit that the stored entries take many messages, with breaks between them.
    let hub = hub_of(&[&worker], Limits { credit_bytes: 100, ..quick() }).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=").await;
    for n in 0..1000 {
        assert_eq!(client.text().await, n.to_string());
        if n % 97 == 0 {
            worker.disconnect();
        }
        if (250..750).contains(&n) {
            // From here on some are stored and some are live; some are captured while no hub is there.
            worker.capture(n, (n + 250).to_string());
        }
    }
    assert!(client.is_quiet().await);
    let status = json(hub.address, "/status").await;
    assert_eq!((&status["hub"]["delivered"], &status["hub"]["lost"]), (&1000.into(), &0.into()), "{status}");
}

#[tokio::test]
async fn a_worker_that_dies_ends_no_session_and_may_come_back() {
    let (dies, stays) = (Fake::start([]).await, Fake::start([]).await);
    let hub = hub_of(&[&dies, &stays], quick()).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=&events=1").await;
    assert_eq!(client.text().await, r#"{"event":"historyEnd"}"#);
    dies.capture(1, "a");
    assert_eq!(client.text().await, "a");

    dies.stop();
    let status = connected(hub.address, 0, false).await;
    assert_eq!(status["note"], "Only 1 of 2 workers are connected.");
    assert_eq!(status["workers"][0]["node"], "reef");
    let since = &status["workers"][0]["since"];
    let status =
        status_when(hub.address, |status| status["workers"][0]["lastError"].to_string().contains("refused"))
            .await;
    assert_eq!(&status["workers"][0]["since"], since, "a failed dial changes nothing");
    stays.capture(2, "b");
    assert_eq!(client.text().await, "b");

    dies.capture(3, "c");
    dies.restart().await;
    assert_eq!(client.text().await, "c");
    // Another start of the same worker numbers anew.
    dies.reboot();
    dies.disconnect();
    dies.capture(4, "d");
    assert_eq!(client.text().await, "d");
    connected(hub.address, 0, true).await;
}

#[tokio::test]
async fn a_worker_is_asked_again_from_where_it_has_looked() {
    let worker = Fake::start([]).await;
    let hub = hub_of(&[&worker], quick()).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=&events=1").await;
    assert_eq!(client.text().await, r#"{"event":"historyEnd"}"#);
    worker.say(&FromWorker::Seen { sequence: 1000 });
    worker.capture(1, "a");
    // Numbered 1, and so a repetition: the hub has heard the message before.
    status_when(hub.address, |status| status["workers"][0]["repeated"] == 1).await;
    worker.disconnect();
    let asked = || {
        let heard = worker.heard();
        let mut asked = heard.into_iter().filter_map(|heard| match heard {
            ToWorker::Subscribe { after, .. } => Some(after),
            _ => None,
        });
        asked.nth(1)
    };
    while asked().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(asked(), Some(Some(Cursor { boot: 1, sequence: 1000 })));
}

#[tokio::test]
async fn a_worker_of_another_release_is_refused_with_a_reason() {
    let worker = Fake::start([]).await;
    worker.set_version(99);
    let hub = hub_of(&[&worker], quick()).await;
    let status = status_when(hub.address, |status| !status["workers"][0]["lastError"].is_null()).await;
    let error = status["workers"][0]["lastError"].as_str().unwrap();
    assert!(error.contains("version 99") && error.contains("same release"), "{error}");
    assert_eq!(status["note"], "No worker is connected; each says why.");
}

#[tokio::test]
async fn a_silent_connection_is_given_up() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let workers = vec![listener.local_addr().unwrap().to_string()];
    let limits = Limits {
        worker_timeout: Duration::from_millis(200),
        worker_silence: Duration::from_millis(100),
        ..quick()
    };
    let config =
        hub::Config { listen: ([127, 0, 0, 1], 0).into(), workers, limits, ..hub::Config::default() };
    let hub = hub::start(config).await.unwrap();
    let error_is = |text: &'static str| {
        status_when(hub.address, move |status| status["workers"][0]["lastError"].to_string().contains(text))
    };
    // It accepts, and never says a word.
    error_is("does not answer within 200ms").await;
    // It says hello, and nothing else ever, not even a pong. (Some of the dials of before were given up.)
    let hello = FromWorker::Hello { version: VERSION, boot: 1, node: "reef".into(), worker: "r:1".into() };
    let greeting = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
                drop(socket.send(Message::text(serde_json::to_string(&hello).unwrap())).await);
                open.push(socket);
            }
        }
    });
    error_is("was silent for 100ms").await;
    greeting.abort();
}

#[tokio::test]
async fn a_worker_that_talks_nonsense_is_left_and_dialled_again() {
    let worker = Fake::start([]).await;
    let hub = hub_of(&[&worker], quick()).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=").await;
    for (nonsense, reason) in [
        (Nonsense::text("{}"), "does not know"),
        (Nonsense::binary("no frame"), "not a frame"),
        (Nonsense::binary(vec![0xE1, 1, 0]), "ends too early"),
    ] {
        connected(hub.address, 0, true).await;
        worker.say_raw(nonsense);
        status_when(hub.address, |status| status["workers"][0]["lastError"].to_string().contains(reason))
            .await;
    }
    worker.capture(1, "a");
    assert_eq!(client.text().await, "a");
}

#[tokio::test]
async fn without_workers_a_hub_waits_and_says_so() {
    let hub = hub_of(&[], quick()).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=").await;
    assert!(client.is_quiet().await);
    let status = json(hub.address, "/status").await;
    assert!(status["note"].as_str().unwrap().contains("--workers"), "{status}");
    assert_eq!(status["watchers"].as_array().unwrap().len(), 1);
    let (code, ready) = get(hub.address, "/readyz").await;
    assert!(code == 200 && ready.contains("--workers"), "{code} {ready}");
}

/// Entries of the times 1, 2, 3 …
fn stored(texts: &[&str]) -> Vec<(i64, String)> {
    (1..).zip(texts.iter().map(|text| (*text).to_owned())).collect()
}

/// Tells the hub of a worker's pod.
async fn post(hub: std::net::SocketAddr, worker: &Fake, phase: &str) -> serde_json::Value {
    let status =
        serde_json::json!({"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 0});
    let pod = serde_json::json!({
        "metadata": {"name": "worker"},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": worker.address.port()}]}]},
        "status": {"phase": phase, "podIP": worker.address.ip().to_string(), "containerStatuses": [status]},
    });
    let (code, body) = send(hub, "POST", "/pods/worker", &pod.to_string()).await;
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn workers_come_and_go_and_watchers_of_before_see_them() {
    let (first, second) = (Fake::start(stored(&["a"])).await, Fake::start(stored(&["b", "c"])).await);
    let hub = hub_of(&[&first], quick()).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=&events=1").await;
    assert_eq!(client.texts(2).await, ["a", r#"{"event":"historyEnd"}"#]);

    let answer = post(hub.address, &second, "Running").await;
    assert_eq!(answer["msg"], "Added a new worker host.");
    assert_eq!(client.texts(2).await, ["b", "c"], "what it held");
    second.capture(3, "d");
    assert_eq!(client.text().await, "d");
    assert_eq!(json(hub.address, "/pods/worker").await.as_array().unwrap().len(), 2);

    let answer = post(hub.address, &second, "Succeeded").await;
    assert_eq!(
        (&answer["msg"], &answer["host"]),
        (&"Removed a worker host.".into(), &second.address.to_string().into())
    );
    let status = connected(hub.address, 1, false).await;
    assert_eq!((&status["workers"][1]["gone"], &status["note"]), (&true.into(), &"".into()), "{status}");
    second.capture(4, "e");
    first.capture(5, "f");
    assert_eq!(client.text().await, "f");
    // A watcher that comes now need not wait for it.
    let mut late = Client::connect(hub.address, "/wsFull?q=&events=1").await;
    assert_eq!(late.texts(3).await, ["a", "f", r#"{"event":"historyEnd"}"#]);

    post(hub.address, &second, "Running").await;
    assert_eq!(client.text().await, "e", "nothing of before is repeated");
    assert_eq!(late.texts(4).await, ["b", "c", "d", "e"]);
    assert!(client.is_quiet().await && late.is_quiet().await);
}

#[tokio::test]
async fn who_is_gone_for_long_is_forgotten() {
    let (first, second) = (Fake::start([]).await, Fake::start(stored(&["a"])).await);
    let limits = Limits { gone_kept: Duration::from_millis(200), ..quick() };
    let hub = hub_of(&[&first], limits).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=").await;
    post(hub.address, &second, "Running").await;
    assert_eq!(client.text().await, "a");
    post(hub.address, &second, "Failed").await;
    status_when(hub.address, |status| status["workers"].as_array().unwrap().len() == 1).await;
    // As another worker it is shown from its beginning.
    post(hub.address, &second, "Running").await;
    assert_eq!(client.text().await, "a");
}

#[tokio::test]
async fn a_hub_without_a_cluster_says_so() {
    let hub = hub_of(&[], quick()).await;
    for (method, body) in [("GET", ""), ("PUT", r#"{"regex": "a"}"#)] {
        let (code, answer) = send(hub.address, method, "/api/pods/regex", body).await;
        assert!(code == 409 && answer.contains("does not watch a cluster"), "{code} {answer}");
    }
    assert_eq!(json(hub.address, "/api/pods/targeted").await, serde_json::json!({"targets": []}));
    let (code, answer) = send(hub.address, "POST", "/pods/worker", r#"{"metadata": {}}"#).await;
    assert!(code == 200 && answer.contains("Did nothing"), "{code} {answer}");
}
