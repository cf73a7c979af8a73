use std::{collections::VecDeque, sync::Mutex};

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use super::*;
use crate::{Hosts, Metrics, Readiness, Report, Trigger, protect, serve};

/// A source of prepared feeds: each `open` takes the next and notes what was asked for.
#[derive(Clone, Default)]
struct Prepared(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    feeds: VecDeque<Vec<Item>>,
    opened: Vec<(String, Shape)>,
}

/// Gives its items; without an [`Item::End`] it then waits for ever.
struct Items(VecDeque<Item>);

impl Feed for Items {
    async fn next(&mut self) -> Item {
        match self.0.pop_front() {
            Some(item) => item,
            None => std::future::pending().await,
        }
    }
}

impl Source for Prepared {
    type Feed = Items;

    fn open(&self, _: Arc<kfl::Filter>, query: &Query, shape: Shape, _: &Access) -> Items {
        let mut state = self.0.lock().unwrap();
        state.opened.push((query.text.to_string(), shape));
        Items(state.feeds.pop_front().unwrap_or_default().into())
    }
}

#[derive(Clone)]
struct Fine;

impl Report for Fine {
    fn readiness(&self) -> Readiness {
        Readiness::NotReady("the sea is rough".into())
    }

    fn metrics(&self, out: &mut Metrics) {
        out.gauge("waves", "Waves.").is(3);
    }
}

struct Server {
    at: String,
    source: Prepared,
    trigger: Trigger,
    running: JoinHandle<std::io::Result<()>>,
}

async fn start(feeds: impl IntoIterator<Item = Vec<Item>>, settings: Settings) -> Server {
    let source = Prepared::default();
    source.0.lock().unwrap().feeds.extend(feeds);
    let listener = crate::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let (trigger, shutdown) = crate::shutdown();
    let traffic = routes(source.clone(), settings, shutdown.clone());
    let router = protect(traffic, crate::health::routes(Fine), Hosts::default(), crate::Door::Loopback);
    Server { at, source, trigger, running: tokio::spawn(serve(listener, None, router, shutdown)) }
}

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Server {
    async fn connect(&self, path: &str) -> Client {
        connect_async(format!("ws://{}{path}", self.at)).await.unwrap().0
    }

    /// The status and body that a plain request (or one with these headers) gets.
    async fn refused(&self, path: &str, headers: &[(&'static str, &str)]) -> (u16, String) {
        let mut request = format!("ws://{}{path}", self.at).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Err(tungstenite::Error::Http(answer)) => {
                (answer.status().as_u16(), String::from_utf8(answer.into_body().unwrap_or_default()).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn receive(client: &mut Client) -> Message {
    timeout(Duration::from_secs(10), client.next()).await.unwrap().unwrap().unwrap()
}

async fn texts(client: &mut Client, n: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < n {
        match receive(client).await {
            Message::Text(text) => texts.push(text.to_string()),
            other => panic!("{other:?} after {texts:?}"),
        }
    }
    texts
}

async fn closed(client: &mut Client) -> (u16, String) {
    match receive(client).await {
        Message::Close(Some(CloseFrame { code, reason })) => (code.into(), reason.to_string()),
        other => panic!("{other:?}"),
    }
}

fn entry(text: &str) -> Item {
    Item::Entry(text.into())
}

fn lost(n: u64) -> Item {
    Item::Lost { n, why: "slow".into() }
}

#[tokio::test]
async fn the_first_message_is_the_filter_and_the_next_replaces_it() {
    let server = start([vec![entry("1"), entry("2")], vec![entry("3")]], Settings::default()).await;
    let mut client = server.connect("/wsFull").await;
    client.send(Message::text("dns")).await.unwrap();
    assert_eq!(texts(&mut client, 2).await, ["1", "2"]);
    client.send(Message::text("http")).await.unwrap();
    assert_eq!(texts(&mut client, 1).await, ["3"]);
    let opened = server.source.0.lock().unwrap().opened.clone();
    assert_eq!(opened, [("dns".to_owned(), Shape::Full), ("http".to_owned(), Shape::Full)]);
}

#[tokio::test]
async fn the_filter_may_stand_in_the_address() {
    let server = start([vec![entry("1")]], Settings::default()).await;
    let mut client = server.connect("/ws?q=http%20and%20dns").await;
    assert_eq!(texts(&mut client, 1).await, ["1"]);
    assert_eq!(server.source.0.lock().unwrap().opened, [("http and dns".to_owned(), Shape::Base)]);
}

#[tokio::test]
async fn a_bad_filter_closes_with_the_error() {
    let server = start([], Settings::default()).await;
    let mut client = server.connect("/wsFull").await;
    client.send(Message::text("http and (")).await.unwrap();
    let (code, reason) = closed(&mut client).await;
    assert_eq!(code, 1008);
    assert!(reason.starts_with("bad KFL: 1:"), "{reason}");

    let mut client = server.connect("/wsFull").await;
    client.send(Message::text(format!("\"{}", "é".repeat(200)))).await.unwrap();
    let (code, reason) = closed(&mut client).await;
    assert!(code == 1008 && reason.len() <= REASON_BYTES, "{code} {reason}");

    let mut client = server.connect("/wsFull").await;
    client.send(Message::binary("http")).await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1003);
}

const REASON_BYTES: usize = 123;

#[tokio::test]
async fn a_limit_closes_normally_after_as_many_entries() {
    let server = start([(0..100).map(|n| entry(&n.to_string())).collect()], Settings::default()).await;
    let mut client = server.connect("/wsFull?q=limit(3)").await;
    assert_eq!(texts(&mut client, 3).await, ["0", "1", "2"]);
    assert_eq!(closed(&mut client).await.0, 1000);
}

#[tokio::test]
async fn losses_are_told_to_who_asks_and_add_up_before_the_close() {
    let feed = vec![lost(1), entry("1"), Item::HistoryEnd, lost(2), lost(3), entry("2"), Item::End];
    let server = start([feed.clone(), feed], Settings::default()).await;

    let mut client = server.connect("/wsFull?q=&events=1").await;
    let told = texts(&mut client, 4).await;
    assert_eq!(told, ["1", r#"{"event":"historyEnd"}"#, "2", r#"{"event":"lost","n":6,"why":"slow"}"#]);
    assert_eq!(closed(&mut client).await.0, 1000);

    let mut client = server.connect("/wsFull?q=").await;
    assert_eq!(texts(&mut client, 2).await, ["1", "2"]);
    assert_eq!(closed(&mut client).await.0, 1000);
}

#[tokio::test]
async fn who_answers_no_ping_is_dropped() {
    let settings =
        Settings { ping_interval: Duration::from_millis(50), unanswered_pings: 2, ..Settings::default() };
    let server = start([], settings).await;
    // Tungstenite answers pings when it is read: this client is, and stays.
    let mut lively = server.connect("/wsFull?q=").await;
    for _ in 0..6 {
        assert!(matches!(receive(&mut lively).await, Message::Ping(_)));
    }
    // This one is not read for a while, and finds itself dropped.
    let mut silent = server.connect("/wsFull?q=").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut pings = 0;
    while let Some(Ok(Message::Ping(_))) = timeout(Duration::from_secs(5), silent.next()).await.unwrap() {
        pings += 1;
    }
    assert_eq!(pings, 2);
}

#[tokio::test]
async fn who_stops_reading_is_dropped_after_the_time_out() {
    let settings = Settings { write_timeout: Duration::from_millis(200), sessions: 1, ..Settings::default() };
    let flood = (0..2000).map(|_| entry(&"x".repeat(32 * 1024))).collect();
    let server = start([flood], settings).await;
    let _silent = server.connect("/wsFull?q=").await;
    assert_eq!(server.refused("/wsFull", &[]).await.0, 503);
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.connect("/wsFull?q=").await;
}

#[tokio::test]
async fn a_filter_over_the_limit_closes_with_1009() {
    let settings = Settings { query_bytes: 100, ..Settings::default() };
    let server = start([vec![]], settings).await;
    for (bytes, code) in [(100, 1008), (101, 1009), (401, 1009), (300_000, 1009)] {
        let mut client = server.connect("/wsFull").await;
        client.send(Message::text("(".repeat(bytes))).await.unwrap();
        let (given, reason) = closed(&mut client).await;
        assert_eq!(given, code, "{bytes} bytes: {reason}");
        assert_eq!(reason.contains("100 bytes"), code == 1009, "{reason}");
    }
    // In the address it is no better.
    let mut client = server.connect(&format!("/wsFull?q={}", "x".repeat(101))).await;
    assert_eq!(closed(&mut client).await.0, 1009);
}

#[tokio::test]
async fn a_shutdown_closes_with_1001_and_waits_for_it() {
    let server = start([], Settings::default()).await;
    let (mut waiting, mut watching) = (server.connect("/wsFull").await, server.connect("/wsFull?q=").await);
    let finished = tokio::spawn(server.trigger.finish());
    assert_eq!(closed(&mut waiting).await.0, 1001);
    assert_eq!(closed(&mut watching).await.0, 1001);
    drop((waiting, watching));
    assert!(finished.await.unwrap());
    server.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn foreign_pages_and_unknown_names_are_refused() {
    let server = start([], Settings::default()).await;
    for (header, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example:8899"),
    ] {
        let (status, body) = server.refused("/wsFull", &[(header, value)]).await;
        assert_eq!(status, 403, "{header}: {value}");
        let named = format!("The {}{} header names", &header[..1].to_uppercase(), &header[1..]);
        assert!(body.contains(&named) && body.contains("--allowed-hosts"), "{body}");
    }
    for origin in ["http://localhost:8899", "http://127.0.0.1", "https://[::1]:1"] {
        let mut request = format!("ws://{}/wsFull", server.at).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        connect_async(request).await.unwrap();
    }
}

#[tokio::test]
async fn health_is_open_to_all() {
    let server = start([], Settings::default()).await;
    let foreign = ("origin", "http://evil.example");
    assert_eq!(server.refused("/healthz", &[foreign]).await, (200, "ok\n".into()));
    assert_eq!(server.refused("/readyz", &[foreign]).await, (503, "the sea is rough\n".into()));
    assert!(server.refused("/metrics", &[foreign]).await.1.ends_with("waves 3\n"));
    // The kubelet and Prometheus call a process by the address of its pod.
    for host in ["10.42.0.7:8899", "hub.kubeshark.svc", "evil.example"] {
        assert_eq!(server.refused("/healthz", &[("host", host)]).await.0, 200, "{host}");
        assert_eq!(server.refused("/readyz", &[("host", host)]).await.0, 503, "{host}");
        assert_eq!(server.refused("/metrics", &[("host", host)]).await.0, 200, "{host}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_named() {
    let server = start([], Settings::default()).await;
    let (status, body) = server.refused("/nowhere?x=1", &[]).await;
    assert_eq!((status, &*body), (404, r#"{"msg":"There is no /nowhere here."}"#));
    // Without the upgrade, a watcher's route says what it is.
    let (status, body) = server.refused("/wsFull", &[("upgrade", "nothing")]).await;
    assert!(status == 426 && body.contains("wscat"), "{status} {body}");
}
