//! Clients of a hub, and a hub to be clients of.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use hub::{Config, Limits, Running};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::fake::Fake;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn hub_of(workers: &[&Fake], limits: Limits) -> Running {
    let workers = workers.iter().map(|worker| worker.address.to_string()).collect();
    hub::start(Config { listen: ([127, 0, 0, 1], 0).into(), workers, limits, ..Config::default() })
        .await
        .unwrap()
}

pub(crate) fn quick() -> Limits {
    Limits { redial: (Duration::from_millis(10), Duration::from_millis(50)), ..Limits::default() }
}

pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn connect(hub: SocketAddr, path: &str) -> Self {
        Self(connect_async(format!("ws://{hub}{path}")).await.unwrap().0)
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn message(&mut self) -> Message {
        timeout(PATIENCE, self.0.next()).await.expect("a message in time").unwrap().unwrap()
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.message().await {
            Message::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// The next `n` texts.
    pub(crate) async fn texts(&mut self, n: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < n {
            texts.push(self.text().await);
        }
        texts
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.0.next()).await.is_err()
    }

    /// Reads until there are `all` entries, got or told lost; gives both numbers.
    pub(crate) async fn got_and_lost(&mut self, all: u64) -> (u64, u64) {
        let (mut got, mut lost) = (0, 0);
        while got + lost < all {
            let text = self.text().await;
            match serde_json::from_str::<Value>(&text).ok().filter(|json| json["event"] == "lost") {
                Some(notice) => lost += notice["n"].as_u64().unwrap(),
                None if text.starts_with(r#"{"event""#) => {}
                None => got += 1,
            }
        }
        (got, lost)
    }
}

/// The status and body of a GET.
pub(crate) async fn get(hub: SocketAddr, path: &str) -> (u16, String) {
    send(hub, "GET", path, "").await
}

/// The status and body of any request.
pub(crate) async fn send(hub: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(hub).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {hub}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub(crate) async fn json(hub: SocketAddr, path: &str) -> Value {
    let (status, body) = get(hub, path).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Waits until `/status` is as `wanted`, and gives it.
pub(crate) async fn status_when(hub: SocketAddr, wanted: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let status = json(hub, "/status").await;
            if wanted(&status) {
                return status;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the status in time")
}

/// Waits until a worker, by its place, is connected or not.
pub(crate) async fn connected(hub: SocketAddr, worker: usize, wanted: bool) -> Value {
    status_when(hub, |status| status["workers"][worker]["connected"] == wanted).await
}
