//! A hundred clients with a hundred queries on one hub, before and while a capture is read: each gets what `dissect`
//! prints for its query.

use std::{net::SocketAddr, path::Path, time::Duration};

use futures_util::{FutureExt, SinkExt, StreamExt, future::join_all};
use serde_json::Value;
use support::{Scratch, engine, traffic::Mix};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};
use worker::{Input, SourceConfig};

const CLIENTS: usize = 100;
const PATIENCE: Duration = Duration::from_mins(1);

/// A hundred queries, in both spellings, no two the same.
fn queries() -> Vec<String> {
    let mut queries: Vec<String> = [
        "",
        "http",
        "dns",
        "nothing.at.all",
        "http and response.status >= 500",
        "response.status == 404 or dns and request.questions[0].name == r\"^shop-1[0-9]\"",
        "redact(\"request.headers['X-Request-Id']\", \"response.content.text.json()..article\") and response.status == 404",
        "redact(\"..name\", \"src.ip\") and dns",
        "response.content.text.json().lines[3].cents == 139 and response.status != 200",
        "!(response.status) and src.port != \"0\"",
        "status_code == 503 && method in [\"GET\", \"PUT\"]",
        "dns_questions.exists(q, q.endsWith('.ns3.svc.cluster.local'))",
        "dst.port == 53 || status_code / 100 == 4",
        "elapsedTime >= 0 and request.headers[\"Host\"].startsWith(\"shop-7.\")",
    ]
    .map(str::to_owned)
    .to_vec();
    let more = (0..).flat_map(|n| {
        [
            format!("request.path.contains(\"/carts/{n}/\")"),
            format!("request.headers[\"Host\"] == \"shop-{n}.prod.svc.cluster.local\""),
            format!(
                "dns and request.questions.*.name == r\"shop-{n}[.]\" or request.path == r\"lines/{n}$\""
            ),
        ]
    });
    queries.extend(more.take(CLIENTS - queries.len()));
    queries
}

/// What `kubeshark dissect --kfl` prints.
fn printed(file: &Path, query: &str) -> Vec<Value> {
    let (text, _, result) = engine::print(file, query, 1);
    result.unwrap();
    text.lines().map(placeless).collect()
}

/// An entry without what says where it was captured.
fn placeless(text: &str) -> Value {
    let mut entry: Value = serde_json::from_str(text).unwrap();
    for key in ["id", "node", "worker"] {
        entry.as_object_mut().unwrap().remove(key);
    }
    entry
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(hub: SocketAddr, query: &str) -> Socket {
    let (mut socket, _) = connect_async(format!("ws://{hub}/api/wsFull")).await.unwrap();
    socket.send(Message::text(query)).await.unwrap();
    socket
}

/// Takes as many entries as are expected, and waits until nobody waits any more, in case there are more.
async fn receive(mut socket: Socket, expected: usize, mut all_done: watch::Receiver<bool>) -> Vec<Value> {
    let mut entries = Vec::new();
    loop {
        let more = entries.len() < expected;
        tokio::select! {
            message = timeout(PATIENCE, socket.next()) => match message {
                Ok(Some(Ok(Message::Text(text)))) => entries.push(placeless(&text)),
                Ok(Some(Ok(Message::Ping(_)))) => {}
                other => panic!("{} of {expected} entries, then {other:?}", entries.len()),
            },
            _ = all_done.wait_for(|done| *done), if !more => {
                while let Some(Some(Ok(message))) = socket.next().now_or_never() {
                    assert!(!message.is_text(), "one more than {expected}: {message}");
                }
                return entries;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clients_get_what_dissect_prints() {
    let scratch = Scratch::new();
    let mix = Mix { connections: 150, requests: 10, questions: 400, seed: 7 };
    let file = scratch.mix(&mix);
    let queries = queries();
    let expected: Vec<Vec<Value>> = queries.iter().map(|query| printed(&file, query)).collect();
    assert_eq!(expected[0].len(), 1_900);
    let silent: Vec<_> = (0..14).filter(|at| expected[*at].is_empty()).map(|at| &queries[at]).collect();
    assert_eq!(silent, ["nothing.at.all"]);

    // A free port, so that the hub can be told of a worker that is not there yet.
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hub = hub::start(hub::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        workers: vec![listen.to_string()],
        ..hub::Config::default()
    })
    .await
    .unwrap();
    let (done, all_done) = watch::channel(false);
    let watch = |(query, expected): (&String, &Vec<Value>), socket| {
        let (query, expected, all_done) = (query.clone(), expected.clone(), all_done.clone());
        tokio::spawn(async move {
            let entries = receive(socket, expected.len(), all_done).await;
            assert!(entries == expected, "{query}");
        })
    };
    let mut clients = Vec::new();
    for pair in queries.iter().zip(&expected).step_by(2) {
        clients.push(watch(pair, connect(hub.address, pair.0).await));
    }
    let source = SourceConfig::new(Input::File(file));
    let worker = worker::start(worker::Config { listen, ..worker::Config::new(vec![source]) }).await.unwrap();
    for pair in queries.iter().zip(&expected).skip(1).step_by(2) {
        clients.push(watch(pair, connect(hub.address, pair.0).await));
    }
    assert_eq!(clients.len(), CLIENTS);
    // Everybody has everything some time after the client of the empty query has.
    let last = connect(hub.address, "").await;
    receive(last, 1_900, {
        let (yes, now) = watch::channel(true);
        drop(yes);
        now
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    done.send(true).unwrap();
    for client in join_all(clients).await {
        client.unwrap();
    }
    worker.shutdown().await;
    hub.shutdown().await;
}
