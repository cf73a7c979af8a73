//! A fake worker: it speaks the real messages, but has no capture, and to it every query selects everything.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use api::{
    UnixNanos,
    messages::{Frame, FromWorker, MAX_DELIVERIES, Shape, SubscriptionId, ToWorker, VERSION},
};
use axum::{
    Json, Router,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
    routing::get,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// What a fake worker is, over all its connections.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    /// Counts up with each change of the store; the second number, with each order to drop all connections.
    changed: watch::Sender<(u64, u64)>,
    serving: Arc<Mutex<JoinSet<()>>>,
}

#[derive(Default)]
struct Shared {
    boot: Mutex<u64>,
    version: Mutex<u32>,
    node: Mutex<String>,
    /// An entry's sequence number is its place here, from 1.
    store: Mutex<Vec<(i64, String)>>,
    /// Messages for whichever connection is open.
    say: Mutex<Vec<Message>>,
    /// Answers subscriptions with nothing at all.
    mute: Mutex<bool>,
    heard: Mutex<Vec<ToWorker>>,
}

/// One subscription in one connection.
struct Subscribed {
    next: usize,
    credit: i64,
    live: bool,
    shape: Shape,
}

impl Fake {
    /// A worker with these stored entries: time and text.
    pub(crate) async fn start(store: impl IntoIterator<Item = (i64, String)>) -> Self {
        let shared = Shared { store: Mutex::new(store.into_iter().collect()), ..Shared::default() };
        *shared.boot.lock().unwrap() = 1;
        *shared.version.lock().unwrap() = VERSION;
        *shared.node.lock().unwrap() = "reef".into();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(shared),
            changed: watch::Sender::new((0, 0)),
            serving: Arc::default(),
        };
        fake.serve(listener);
        fake
    }

    /// Listens again where it did.
    pub(crate) async fn restart(&self) {
        // The port is free as soon as the last listener's task has ended.
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        };
        self.serve(listener);
    }

    fn serve(&self, listener: TcpListener) {
        let router =
            Router::new().route("/hub", get(hub)).route("/item/{id}", get(item)).with_state(self.clone());
        self.serving.lock().unwrap().spawn(async move { axum::serve(listener, router).await.unwrap() });
    }

    /// Stops listening and drops all connections.
    pub(crate) fn stop(&self) {
        self.serving.lock().unwrap().abort_all();
        self.disconnect();
    }

    /// Drops all connections, and takes new ones.
    pub(crate) fn disconnect(&self) {
        self.changed.send_modify(|(_, drops)| *drops += 1);
    }

    /// Captures an entry.
    pub(crate) fn capture(&self, at: i64, text: impl Into<String>) {
        self.shared.store.lock().unwrap().push((at, text.into()));
        self.changed.send_modify(|(changes, _)| *changes += 1);
    }

    /// Forgets everything, as a restart does.
    pub(crate) fn reboot(&self) {
        *self.shared.boot.lock().unwrap() += 1;
        self.shared.store.lock().unwrap().clear();
    }

    pub(crate) fn say(&self, message: &FromWorker) {
        self.say_raw(text(message));
    }

    pub(crate) fn say_raw(&self, message: Message) {
        self.shared.say.lock().unwrap().push(message);
        self.changed.send_modify(|(changes, _)| *changes += 1);
    }

    pub(crate) fn set_mute(&self, mute: bool) {
        *self.shared.mute.lock().unwrap() = mute;
    }

    /// Where it says that it is when it is next dialled.
    pub(crate) fn set_node(&self, node: &str) {
        *self.shared.node.lock().unwrap() = node.into();
    }

    pub(crate) fn set_version(&self, version: u32) {
        *self.shared.version.lock().unwrap() = version;
    }

    /// All that a hub has said.
    pub(crate) fn heard(&self) -> Vec<ToWorker> {
        self.shared.heard.lock().unwrap().clone()
    }

    fn hello(&self) -> FromWorker {
        FromWorker::Hello {
            version: *self.shared.version.lock().unwrap(),
            boot: *self.shared.boot.lock().unwrap(),
            node: self.shared.node.lock().unwrap().clone(),
            worker: "10.9.8.7:30001".into(),
        }
    }
}

async fn hub(State(fake): State<Fake>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        // An error says that the hub is gone, which ends a connection in any case.
        drop(converse(fake, socket).await);
    })
}

async fn item(Path(id): Path<String>, uri: axum::http::Uri) -> Json<Value> {
    Json(json!({ "base": { "id": id }, "data": 1, "protocol": uri.query(), "representation": "{}" }))
}

async fn converse(fake: Fake, mut socket: WebSocket) -> Result<(), axum::Error> {
    let mut changed = fake.changed.subscribe();
    let drops = changed.borrow_and_update().1;
    socket.send(text(&fake.hello())).await?;
    let mut subscriptions: BTreeMap<SubscriptionId, Subscribed> = BTreeMap::new();
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(message))) => fake.take(&serde_json::from_str(&message).unwrap(), &mut subscriptions),
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
            _ = changed.changed() => {}
        }
        if changed.borrow_and_update().1 != drops {
            return Ok(());
        }
        if !*fake.shared.mute.lock().unwrap() {
            for message in fake.due(&mut subscriptions) {
                socket.send(message).await?;
            }
        }
    }
}

impl Fake {
    fn take(&self, message: &ToWorker, subscriptions: &mut BTreeMap<SubscriptionId, Subscribed>) {
        self.shared.heard.lock().unwrap().push(message.clone());
        match *message {
            ToWorker::Subscribe { id, after, shape, .. } => {
                let boot = *self.shared.boot.lock().unwrap();
                let after = after.filter(|after| after.boot == boot);
                let next = after.map_or(0, |after| after.sequence as usize);
                subscriptions.insert(id, Subscribed { next, credit: 0, live: false, shape });
            }
            ToWorker::Credit { id, bytes } => {
                subscriptions.get_mut(&id).unwrap().credit += bytes as i64;
            }
            ToWorker::Unsubscribe { id } => drop(subscriptions.remove(&id)),
            ToWorker::Scripts { .. }
            | ToWorker::Jobs { .. }
            | ToWorker::Names { .. }
            | ToWorker::Targets { .. }
            | ToWorker::SelfTest { .. } => {}
        }
    }

    /// All messages that may be sent now.
    fn due(&self, subscriptions: &mut BTreeMap<SubscriptionId, Subscribed>) -> Vec<Message> {
        let store = self.shared.store.lock().unwrap();
        let mut messages: Vec<_> = self.shared.say.lock().unwrap().drain(..).collect();
        for (&id, subscription) in subscriptions.iter_mut().filter(|(_, subscription)| !subscription.live) {
            let mut frames = Frames::default();
            while subscription.credit > 0 && subscription.next < store.len() {
                let (at, text) = &store[subscription.next];
                frames.push(subscription.next + 1, *at, subscription.shape, &[id], text);
                subscription.credit -= text.len() as i64;
                subscription.next += 1;
            }
            messages.extend(frames.finish());
            if subscription.next == store.len() {
                subscription.live = true;
                messages.push(text(&FromWorker::HistoryEnd { id, sequence: subscription.next as u64 }));
            }
        }
        let first = subscriptions.values().filter(|each| each.live).map(|each| each.next).min();
        let mut frames = Frames::default();
        for sequence in first.unwrap_or(store.len())..store.len() {
            let (at, text) = &store[sequence];
            let mut ids = Vec::new();
            for (&id, subscription) in
                subscriptions.iter_mut().filter(|(_, each)| each.live && each.next == sequence)
            {
                subscription.next += 1;
                ids.push(id);
            }
            frames.push(sequence + 1, *at, Shape::Full, &ids, text);
        }
        messages.extend(frames.finish());
        messages
    }
}

fn text(message: &FromWorker) -> Message {
    Message::text(serde_json::to_string(message).unwrap())
}

#[derive(Default)]
struct Frames {
    open: Frame,
    done: Vec<Message>,
}

impl Frames {
    fn push(&mut self, sequence: usize, at: i64, shape: Shape, ids: &[SubscriptionId], text: &str) {
        self.open
            .push(sequence as u64, UnixNanos(at), shape, ids, |out| out.extend_from_slice(text.as_bytes()));
        if self.open.count() == MAX_DELIVERIES {
            self.done.push(Message::binary(self.open.take()));
        }
    }

    fn finish(mut self) -> Vec<Message> {
        if self.open.count() > 0 {
            self.done.push(Message::binary(self.open.take()));
        }
        self.done
    }
}
