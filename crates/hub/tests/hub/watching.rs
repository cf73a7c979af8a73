//! What watchers see: order, pace, losses.

use std::time::{Duration, Instant};

use api::messages::{FromWorker, Shape, ToWorker};
use hub::Limits;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use crate::{
    client::{Client, connected, get, hub_of, json, quick, status_when},
    fake::Fake,
};

fn numbered(n: usize, bytes: usize) -> impl Iterator<Item = (i64, String)> {
    (0..n).map(move |n| (n as i64, format!("{n} {}", "x".repeat(bytes))))
}

fn stored(texts: &[(i64, &str)]) -> Vec<(i64, String)> {
    texts.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
}

#[tokio::test]
async fn stored_entries_come_oldest_first_and_then_what_is_captured() {
    let left = Fake::start(stored(&[(1, "a"), (4, "d"), (5, "e")])).await;
    let right = Fake::start(stored(&[(2, "b"), (3, "c"), (6, "f")])).await;
    let hub = hub_of(&[&left, &right], quick()).await;
    let mut client = Client::connect(hub.address, "/api/wsFull?events=1").await;
    client.send("").await;
    let seam = r#"{"event":"historyEnd"}"#;
    assert_eq!(client.texts(7).await, ["a", "b", "c", "d", "e", "f", seam]);
    // Arrival counts now, not time.
    left.capture(9, "y");
    assert_eq!(client.text().await, "y");
    right.capture(8, "z");
    assert_eq!(client.text().await, "z");
}

#[tokio::test]
async fn all_workers_are_asked_the_same_at_the_same_now() {
    let workers = [Fake::start([]).await, Fake::start([]).await];
    let hub = hub_of(&[&workers[0], &workers[1]], quick()).await;
    let mut client = Client::connect(hub.address, "/ws?lang=v2").await;
    client.send("timestamp >= now()").await;
    status_when(hub.address, |status| status["watchers"][0]["historyEnded"] == true).await;
    let asked: Vec<_> = workers.iter().map(Fake::heard).collect();
    assert_eq!(asked[0], asked[1]);
    // Before it come the scripts, of which there are none.
    let ToWorker::Subscribe { kfl, language, now, shape, after, .. } = &asked[0][1] else {
        panic!("{asked:?}")
    };
    // Which the first spelling would have been too, had it not been fixed.
    assert_eq!(
        (&**kfl, *language, *shape, *after),
        ("timestamp >= now()", kfl::Language::V2, Shape::Base, None)
    );
    assert!(*now > 1_700_000_000_000);
}

#[tokio::test]
async fn stored_entries_are_paced_and_none_is_lost() {
    let limits = Limits { credit_bytes: 16 * 1024, queue_bytes: 1024, queue_entries: 1, ..quick() };
    let worker = Fake::start(numbered(5000, 2000)).await;
    let hub = hub_of(&[&worker], limits).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=&events=1").await;
    for n in 0..5000 {
        assert!(client.text().await.starts_with(&format!("{n} ")));
        if n == 1000 {
            // A client that pauses holds up its own history, within its credit.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let status = json(hub.address, "/status").await;
            let waiting = status["watchers"][0]["queue"]["bytes"].as_u64().unwrap();
            assert!(waiting <= 2 * 16 * 1024, "{status}");
        }
    }
    assert_eq!(client.text().await, r#"{"event":"historyEnd"}"#);
    assert_eq!(json(hub.address, "/status").await["watchers"][0]["lost"], serde_json::json!({}));
}

#[tokio::test]
async fn a_slow_watcher_loses_entries_and_is_told_and_nobody_else_notices() {
    const ALL: u64 = 20_000;
    let limits = Limits { queue_bytes: 1024 * 1024, queue_entries: 500, ..quick() };
    let worker = Fake::start([]).await;
    let hub = hub_of(&[&worker], limits).await;
    let mut slow = Client::connect(hub.address, "/wsFull?q=&events=1").await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Client::connect(hub.address, "/wsFull?q=&events=1").await);
    }
    status_when(hub.address, |status| {
        let watchers = status["watchers"].as_array().unwrap();
        watchers.len() == 5 && watchers.iter().all(|watcher| watcher["historyEnded"] == true)
    })
    .await;

    let readers: Vec<_> = others
        .into_iter()
        .map(|mut client| tokio::spawn(async move { client.got_and_lost(ALL).await }))
        .collect();
    for n in 0..ALL {
        worker.capture(n as i64, "x".repeat(2000));
        if n % 50 == 0 {
            // As fast as others read, which is far more than the sockets of one that does not can hold.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let status = json(hub.address, "/status").await;
            let queue = &status["watchers"][0]["queue"];
            assert!(queue["bytes"].as_u64().unwrap() <= 1024 * 1024, "{queue}");
            assert!(queue["entries"].as_u64().unwrap() <= 500, "{queue}");
        }
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap(), (ALL, 0));
    }
    let (got, lost) = slow.got_and_lost(ALL).await;
    assert!(lost > 0 && got + lost == ALL, "{got} + {lost}");
    let status = json(hub.address, "/status").await;
    assert_eq!(status["hub"]["lost"], lost);
    assert_eq!(status["hub"]["delivered"], 4 * ALL + got);
}

#[tokio::test]
async fn long_history_of_one_worker_costs_nothing_of_another() {
    const STORED: u64 = 20_000;
    const LIVE: u64 = 5_000;
    let old = Fake::start(numbered(STORED as usize, 4000)).await;
    let lively = Fake::start([]).await;
    // Room for what is captured while the sockets between hub and client run empty and full again.
    let limits = Limits { queue_entries: 1000, ..quick() };
    let hub = hub_of(&[&old, &lively], limits).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=&events=1").await;
    let (mut got, mut lost) = (0, 0);
    for n in 0..LIVE {
        lively.capture(n as i64, "x".repeat(4000));
        // As the client reads, history lasts longer than this, and the client is the faster of the two.
        let (some_got, some_lost) = client.got_and_lost(3).await;
        (got, lost) = (got + some_got, lost + some_lost);
    }
    let (rest, rest_lost) = client.got_and_lost(STORED + LIVE - got - lost).await;
    assert_eq!((got + rest, lost + rest_lost), (STORED + LIVE, 0));
}

#[tokio::test]
async fn a_silent_worker_holds_up_nobody_for_long() {
    let (lively, silent) = (Fake::start(stored(&[(1, "a")])).await, Fake::start(stored(&[(0, "b")])).await);
    silent.set_mute(true);
    let hub = hub_of(&[&lively, &silent], quick()).await;
    let mut client = Client::connect(hub.address, "/wsFull?q=").await;
    let asked = Instant::now();
    assert_eq!(client.text().await, "a");
    let waited = asked.elapsed();
    assert!(waited > Duration::from_millis(200) && waited < Duration::from_secs(3), "{waited:?}");
    lively.capture(2, "c");
    assert_eq!(client.text().await, "c");
    silent.set_mute(false);
    silent.capture(3, "d");
    assert_eq!(client.texts(2).await, ["b", "d"]);
}

#[tokio::test]
async fn what_a_worker_lost_is_told_to_the_watcher_that_lost_it() {
    let worker = Fake::start([]).await;
    let hub = hub_of(&[&worker], quick()).await;
    let mut first = Client::connect(hub.address, "/wsFull?q=&events=1").await;
    assert_eq!(first.text().await, r#"{"event":"historyEnd"}"#);
    let mut second = Client::connect(hub.address, "/wsFull?q=&events=1").await;
    assert_eq!(second.text().await, r#"{"event":"historyEnd"}"#);
    let status = json(hub.address, "/status").await;
    let id = status["watchers"][0]["id"].as_u64().unwrap() as u32;
    worker.say(&FromWorker::Lost { id, n: 3, why: "evicted".into() });
    worker.say(&FromWorker::Refused { id, why: "no".into() });
    assert_eq!(first.text().await, r#"{"event":"lost","n":3,"why":"evicted"}"#);
    assert!(first.text().await.contains("refuses the query: no"));
    assert!(second.is_quiet().await);
}

#[tokio::test]
async fn another_filter_begins_anew_and_the_old_one_ends() {
    let worker = Fake::start(stored(&[(1, "a")])).await;
    let hub = hub_of(&[&worker], quick()).await;
    let mut client = Client::connect(hub.address, "/wsFull").await;
    client.send("dns").await;
    assert_eq!(client.text().await, "a");
    client.send("http").await;
    assert_eq!(client.text().await, "a");
    let status = json(hub.address, "/status").await;
    assert_eq!(status["watchers"].as_array().unwrap().len(), 1);
    assert_eq!(status["watchers"][0]["kfl"], "http");
    drop(client);
    status_when(hub.address, |status| status["watchers"].as_array().unwrap().is_empty()).await;
    let unsubscribed =
        || worker.heard().iter().filter(|heard| matches!(heard, ToWorker::Unsubscribe { .. })).count();
    while unsubscribed() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_bad_filter_closes_with_the_error() {
    let hub = hub_of(&[], quick()).await;
    for path in ["/ws", "/wsFull", "/api/ws", "/api/wsFull"] {
        let mut client = Client::connect(hub.address, path).await;
        client.send("http and").await;
        match client.message().await {
            Message::Close(Some(CloseFrame { code, reason })) => {
                assert_eq!(u16::from(code), 1008);
                assert!(reason.starts_with("bad KFL: 1:"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn one_node_is_watched_alone() {
    let near = Fake::start([(1, "a".to_owned())]).await;
    let far = Fake::start([(2, "b".to_owned())]).await;
    far.set_node("deep");
    let hub = hub_of(&[&near, &far], quick()).await;
    connected(hub.address, 0, true).await;
    connected(hub.address, 1, true).await;
    let mut client = Client::connect(hub.address, "/workers/deep/wsFull?q=&events=1").await;
    assert_eq!(client.texts(2).await, ["b", r#"{"event":"historyEnd"}"#]);
    near.capture(3, "c");
    far.capture(4, "d");
    assert_eq!(client.text().await, "d");
    // What it held back is shown, and nothing twice, when its worker comes back.
    far.disconnect();
    far.capture(5, "e");
    assert_eq!(client.text().await, "e");
    let mut base = Client::connect(hub.address, "/api/workers/reef/ws?q=").await;
    assert_eq!(base.texts(2).await, ["a", "c"]);
    let status = json(hub.address, "/status").await;
    assert_eq!(
        (&status["watchers"][0]["node"], &status["watchers"][1]["node"]),
        (&"deep".into(), &"reef".into())
    );
    assert_eq!(status["watchers"][0]["who"], "this machine");
    let (code, body) = get(hub.address, "/workers/shore/wsFull").await;
    assert!(code == 404 && body.contains("known are [deep, reef]"), "{code} {body}");
    assert!(client.is_quiet().await && base.is_quiet().await);
}
