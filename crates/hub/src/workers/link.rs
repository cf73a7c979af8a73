//! One connection to one worker: reads frames, writes what is due. Neither waits for the other.

use std::{borrow::Cow, collections::BTreeSet, convert::Infallible, time::Duration};

use api::messages::{Cursor, FrameError, FrameReader, FromWorker, SubscriptionId, ToWorker, VERSION};
use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};
use tracing::warn;

use super::{
    Identity, Near, SelfTest, Worker,
    wire::{Wire, WireError},
};
use crate::{
    Limits,
    fanout::Fanout,
    kubernetes::{RESTATE, Told},
    queue::Fate,
    scripts::Scripts,
};

type Socket = WebSocketStream<Wire>;

/// Pings in the time that a worker may be silent.
const PINGS: u32 = 3;

/// Why a worker is not connected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("does not speak as a worker does: {0}")]
    Dial(tungstenite::Error),
    #[error("refuses the connection: {status} {body}")]
    Refused { status: u16, body: String },
    #[error("does not answer within {0:?}")]
    TimedOut(Duration),
    #[error(
        "speaks version {theirs} of the protocol and the hub {VERSION}; install the same release of both"
    )]
    Version { theirs: u32 },
    #[error("does not begin as a worker does: {0:.100}")]
    NoHello(String),
    #[error("closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(tungstenite::Error),
    #[error("was silent for {0:?}")]
    Silent(Duration),
    #[error("sent a message that the hub does not know: {0}")]
    Message(#[from] serde_json::Error),
    #[error("sent a broken frame: {0}")]
    Frame(#[from] FrameError),
    #[error("sent an entry that is not text")]
    NotText,
    #[error("it is not there any more")]
    Gone,
}

/// A connection over which the worker has introduced itself.
pub(crate) struct Link {
    socket: Socket,
    identity: Identity,
}

impl Link {
    /// Dials, and hears who answers.
    pub(crate) async fn dial(worker: &Worker, limits: &Limits) -> Result<Self, LinkError> {
        let late = |_| LinkError::TimedOut(limits.worker_timeout);
        timeout(limits.worker_timeout, Self::greet(worker, limits)).await.map_err(late)?
    }

    async fn greet(worker: &Worker, limits: &Limits) -> Result<Self, LinkError> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits.message_bytes))
            .max_frame_size(Some(limits.message_bytes));
        let stream = worker.dial(limits.connect_timeout).await?;
        let url = format!("ws://{}/hub", worker.address);
        let (mut socket, _) = client_async_with_config(url, stream, Some(config)).await.map_err(refusal)?;
        let hello = match socket.next().await.ok_or(LinkError::Closed)?.map_err(LinkError::Broken)? {
            Message::Text(text) => text,
            other => return Err(LinkError::NoHello(format!("{other:?}"))),
        };
        match serde_json::from_str(&hello) {
            Ok(FromWorker::Hello { version: VERSION, boot, node, worker }) => {
                Ok(Self { socket, identity: Identity { boot, node, worker } })
            }
            Ok(FromWorker::Hello { version: theirs, .. }) => Err(LinkError::Version { theirs }),
            Ok(_) | Err(_) => Err(LinkError::NoHello(hello.to_string())),
        }
    }

    /// Who answered.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Serves the connection until it ends.
    pub(crate) async fn run(self, worker: &Worker, near: &Near) -> LinkError {
        let identity = &self.identity;
        let (boot, node) = (identity.boot, identity.node.clone());
        let (sink, stream) = self.socket.split();
        let reader = Reader { worker, fanout: &near.fanout, scripts: &near.scripts, boot, node };
        match tokio::try_join!(
            reader.read(stream, near.limits.worker_silence),
            write(sink, worker, &identity.node, near)
        ) {
            Err(error) => error,
            Ok((never, _)) => match never {},
        }
    }
}

/// What a worker that answers, but not with a WebSocket, has said.
fn refusal(error: tungstenite::Error) -> LinkError {
    match error {
        tungstenite::Error::Http(answer) => LinkError::Refused {
            status: answer.status().as_u16(),
            body: String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default())
                .chars()
                .take(300)
                .collect(),
        },
        other => LinkError::Dial(other),
    }
}

/// Brings what the worker says to the watchers.
struct Reader<'a> {
    worker: &'a Worker,
    fanout: &'a Fanout,
    scripts: &'a Scripts,
    boot: u64,
    node: String,
}

impl Reader<'_> {
    async fn read(
        &self,
        mut stream: SplitStream<Socket>,
        silence: Duration,
    ) -> Result<Infallible, LinkError> {
        loop {
            let message = timeout(silence, stream.next()).await.map_err(|_| LinkError::Silent(silence))?;
            match message.ok_or(LinkError::Closed)?.map_err(LinkError::Broken)? {
                Message::Binary(frame) => self.frame(&frame)?,
                Message::Text(text) => self.message(serde_json::from_str(&text)?)?,
                Message::Close(_) => return Err(LinkError::Closed),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Hands out the entries of a frame. Watchers are woken once, when all is there, so that they send it at once.
    fn frame(&self, frame: &Bytes) -> Result<(), LinkError> {
        let mut touched = BTreeSet::new();
        let result = FrameReader::new(frame).map_err(LinkError::from).and_then(|mut deliveries| {
            deliveries.try_for_each(|delivery| {
                let delivery = delivery?;
                let text = frame.get(delivery.entry).unwrap_or_default();
                let text = std::str::from_utf8(text).map_err(|_| LinkError::NotText)?;
                let cursor = self.cursor(delivery.sequence);
                self.entry(cursor, delivery.at, text, &delivery.subscriptions);
                touched.extend(delivery.subscriptions);
                Ok(())
            })
        });
        self.fanout.watchers(|watchers| {
            for watcher in touched.iter().filter_map(|id| watchers.get(id)) {
                watcher.wake();
            }
        });
        result
    }

    fn cursor(&self, sequence: u64) -> Cursor {
        Cursor { boot: self.boot, sequence }
    }

    fn entry(&self, cursor: Cursor, at: api::UnixNanos, text: &str, subscriptions: &[SubscriptionId]) {
        // A copy, and not a part of the frame: an entry that waits for long must not keep a whole frame alive.
        let entry = Utf8Bytes::from(text);
        let repeated = self.fanout.watchers(|watchers| {
            let watchers = subscriptions.iter().filter_map(|id| watchers.get(id));
            let deliver =
                |queue: &mut crate::queue::Queue| queue.deliver(self.worker.index, cursor, at, entry.clone());
            watchers.filter(|watcher| watcher.change(deliver) == Fate::Repeated).count()
        });
        self.worker.count(1, repeated as u64);
    }

    fn message(&self, message: FromWorker) -> Result<(), LinkError> {
        let index = self.worker.index;
        match message {
            FromWorker::Lost { id, n, why } => self.watcher(id, |queue| queue.lost(n, Cow::Owned(why))),
            FromWorker::HistoryEnd { id, sequence } => {
                self.watcher(id, |queue| queue.history_end(index, Some(self.cursor(sequence))));
            }
            FromWorker::Seen { sequence } => self.fanout.watchers(|watchers| {
                for watcher in watchers.values() {
                    watcher.change(|queue| queue.seen(index, self.cursor(sequence)));
                }
            }),
            FromWorker::Refused { id, why } => {
                // The hub has compiled the same text: it is a bug, or another release.
                warn!(worker = self.worker.address, why, "A worker refuses a query");
                let why = format!("worker {} refuses the query: {why}", self.worker.address);
                self.watcher(id, |queue| {
                    queue.lost(0, Cow::Owned(why));
                    queue.history_end(index, None);
                });
            }
            FromWorker::Status { status } => self.worker.said(|state| {
                (state.status, state.said) = (status, Some(std::time::Instant::now()));
            }),
            FromWorker::ScriptStates { states } => self.worker.said(|state| state.scripts = states),
            FromWorker::Jobs { jobs } => self.worker.said(|state| state.jobs = jobs),
            FromWorker::Console { lines, lost } => {
                if lost > 0 {
                    self.scripts.console.lose(&self.node, lost);
                }
                for line in lines {
                    self.scripts.console.write(&self.node, &line);
                }
            }
            FromWorker::SelfTested { id, sources } => self.worker.said(|state| {
                state.tested = Some(SelfTest { id, sources });
            }),
            FromWorker::HubAction { action, object, .. } => self.scripts.action(&action, object),
            FromWorker::Hello { .. } => return Err(LinkError::NoHello("it said hello twice".into())),
        }
        Ok(())
    }

    fn watcher(&self, id: SubscriptionId, change: impl FnOnce(&mut crate::queue::Queue)) {
        if let Some(watcher) = self.fanout.watcher(id) {
            watcher.update(change);
        }
    }
}

/// Tells the worker what is due, and pings it.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    worker: &Worker,
    node: &str,
    near: &Near,
) -> Result<Infallible, LinkError> {
    let Near { fanout, scripts, limits, kubernetes } = near;
    let mut told = Told::default();
    let mut cluster = kubernetes.as_ref().map(|kubernetes| kubernetes.changes());
    let mut restate = interval(RESTATE);
    let mut subscribed = BTreeSet::new();
    // A new connection is told all.
    let mut changes = scripts.changes();
    changes.mark_changed();
    let mut ping = interval(limits.worker_silence / PINGS);
    loop {
        let mut messages = Vec::new();
        if changes.has_changed().unwrap_or(false) {
            changes.mark_unchanged();
            messages.push(scripts.delivery());
        }
        let mut texts = Vec::new();
        if let (Some(kubernetes), Some(cluster)) = (kubernetes, &mut cluster) {
            cluster.mark_unchanged();
            texts = kubernetes.tell(&mut told, node)?;
        }
        messages.extend(worker.take_commands());
        for id in worker.take_due() {
            due(worker, fanout, &mut subscribed, id, &mut messages);
        }
        let writing = async {
            for message in &messages {
                texts.push(serde_json::to_string(message)?.into());
            }
            for text in texts {
                sink.feed(Message::Text(text)).await.map_err(LinkError::Broken)?;
            }
            sink.flush().await.map_err(LinkError::Broken)
        };
        timeout(limits.worker_timeout, writing)
            .await
            .map_err(|_| LinkError::TimedOut(limits.worker_timeout))??;
        tokio::select! {
            () = worker.news.notified() => {}
            // The sender lives as long as the hub. What changed is looked at above.
            _ = changes.changed() => changes.mark_changed(),
            () = changed(&mut cluster) => {}
            _ = restate.tick() => told.restate(),
            _ = ping.tick() => sink.feed(Message::Ping(Bytes::new())).await.map_err(LinkError::Broken)?,
        }
    }
}

/// Waits for a change of the cluster; for ever where there is none.
async fn changed(cluster: &mut Option<Receiver<u64>>) {
    if let Some(cluster) = cluster
        && cluster.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// What the worker must be told of one watcher.
fn due(
    worker: &Worker,
    fanout: &Fanout,
    subscribed: &mut BTreeSet<SubscriptionId>,
    id: SubscriptionId,
    messages: &mut Vec<ToWorker>,
) {
    match fanout.watcher(id) {
        None if subscribed.remove(&id) => messages.push(ToWorker::Unsubscribe { id }),
        None => {}
        Some(watcher) if !watcher.wants(worker) => {}
        Some(watcher) if subscribed.insert(id) => {
            let (after, bytes) = watcher.change(|queue| queue.subscribe(worker.index, Instant::now()));
            messages.push(ToWorker::Subscribe {
                id,
                kfl: watcher.query.text.to_string(),
                language: watcher.query.language,
                now: watcher.query.now,
                shape: watcher.shape,
                after,
            });
            messages.push(ToWorker::Credit { id, bytes });
        }
        Some(watcher) => {
            if let Some(bytes) = watcher.change(|queue| queue.credit(worker.index)) {
                messages.push(ToWorker::Credit { id, bytes });
            }
        }
    }
}
