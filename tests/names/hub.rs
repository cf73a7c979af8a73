//! A hub that says what the test wants, over the real connection.

use std::{
    net::TcpStream,
    sync::mpsc::{self, RecvTimeoutError, SyncSender},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use api::{
    UnixNanos,
    messages::{
        FromWorker, Identity, IdentityKind, NameChange, NameKey, PodRef, ScriptPhase, TargetPod, Targets,
        TestedSource, ToWorker,
    },
};
use tokio_tungstenite::tungstenite::{Message, WebSocket, client::client};

/// The number of this hub's start.
const EPOCH: u64 = 1;

/// The time by the clock that stamps packets.
pub(crate) fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    UnixNanos(i64::try_from(since.as_nanos()).expect("a time"))
}

/// A node, or with a namespace a pod of `node-1`.
pub(crate) fn identity(name: &str, namespace: &str) -> Identity {
    let pod = PodRef {
        name: name.into(),
        uid: format!("uid-of-{name}"),
        labels: [("app".to_owned(), name.to_owned())].into(),
        owner: None,
        node: "node-1".into(),
        host_network: false,
    };
    let is_pod = !namespace.is_empty();
    Identity {
        kind: if is_pod { IdentityKind::Pod } else { IdentityKind::Node },
        name: name.into(),
        namespace: namespace.into(),
        pod: is_pod.then_some(pod),
        service: None,
        endpoint_slice: None,
    }
}

/// A change of an address.
pub(crate) type News = (UnixNanos, &'static str, Option<Identity>);

/// Targets that are these addresses.
pub(crate) fn only(rule: &str, ips: impl IntoIterator<Item = String>) -> Targets {
    let pod = |ip: String| TargetPod {
        ips: vec![ip.parse().expect("an address")],
        name: format!("pod-at-{ip}"),
        namespace: "shop".into(),
        node: "node-1".into(),
        host_network: false,
        ports: Vec::new(),
    };
    Targets { pods: ips.into_iter().map(pod).collect(), rule: rule.into(), ..Targets::default() }
}

/// A connection to a worker.
pub(crate) struct Hub(WebSocket<TcpStream>);

impl Hub {
    /// Dials, and hears whom.
    pub(crate) fn dial(worker: &str) -> Self {
        let stream = TcpStream::connect(worker).expect("a worker");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let (socket, _) = client(format!("ws://{worker}/hub"), stream).expect("a worker");
        let mut hub = Self(socket);
        hub.until(|message| matches!(message, FromWorker::Hello { .. }).then_some(()));
        hub
    }

    pub(crate) fn say(&mut self, message: &ToWorker) {
        let text = serde_json::to_string(message).expect("JSON");
        self.0.send(Message::text(text)).expect("a worker that listens");
    }

    pub(crate) fn target(&mut self, targets: Targets) {
        self.say(&ToWorker::Targets { targets });
    }

    /// Says all that it knows.
    pub(crate) fn know(&mut self, news: Vec<News>) {
        self.say(&names(0, news, true));
    }

    /// What the worker finds out about itself.
    pub(crate) fn self_test(&mut self) -> Vec<TestedSource> {
        self.say(&ToWorker::SelfTest { id: 7 });
        self.until(|message| match message {
            FromWorker::SelfTested { id: 7, sources } => Some(sources),
            _ => None,
        })
    }

    /// Waits until the one script runs.
    pub(crate) fn wait_for_script(&mut self) {
        self.until(|message| match message {
            FromWorker::ScriptStates { states } => {
                states.iter().any(|state| state.phase == ScriptPhase::Loaded).then_some(())
            }
            _ => None,
        });
    }

    fn until<T>(&mut self, mut is_wanted: impl FnMut(FromWorker) -> Option<T>) -> T {
        loop {
            if let Message::Text(text) = self.0.read().expect("a worker that speaks")
                && let Some(found) = serde_json::from_str(text.as_str()).ok().and_then(&mut is_wanted)
            {
                return found;
            }
        }
    }

    /// From now on it brings news late.
    pub(crate) fn slowly(mut self, known: u64) -> Slow {
        let (news, come) = mpsc::sync_channel::<(Instant, News)>(16);
        let thread = thread::spawn(move || {
            let mut waiting: Vec<(Instant, News)> = Vec::new();
            let mut next = known;
            loop {
                waiting.sort_by_key(|(due, _)| *due);
                let patience = waiting
                    .first()
                    .map_or(Duration::from_secs(1), |(due, _)| due.saturating_duration_since(Instant::now()));
                if patience.is_zero() {
                    self.say(&names(next, vec![waiting.remove(0).1], false));
                    next += 1;
                    continue;
                }
                match come.recv_timeout(patience) {
                    Ok(more) => waiting.push(more),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) if waiting.is_empty() => return self,
                    // The rest goes out at once.
                    Err(RecvTimeoutError::Disconnected) => {
                        for (due, _) in &mut waiting {
                            *due = Instant::now();
                        }
                    }
                }
            }
        });
        Slow { news, thread }
    }
}

fn names(from: u64, news: Vec<News>, complete: bool) -> ToWorker {
    let mut identities = Vec::new();
    let changes = news.into_iter().map(|(at, ip, identity)| {
        let key = NameKey { ip: ip.parse().expect("an address"), port: None };
        let identity = identity.map(|identity| {
            identities.push(identity);
            u32::try_from(identities.len() - 1).expect("a few")
        });
        NameChange { at, key, identity }
    });
    let changes = changes.collect();
    ToWorker::Names { epoch: EPOCH, from, identities, changes, complete }
}

/// A hub whose news comes after a while.
pub(crate) struct Slow {
    news: SyncSender<(Instant, News)>,
    thread: JoinHandle<Hub>,
}

impl Slow {
    /// Says it after so long.
    pub(crate) fn say_in(&self, delay: Duration, news: News) {
        self.news.send((Instant::now() + delay, news)).expect("a hub");
    }

    /// Waits until all is said.
    pub(crate) fn finish(self) -> Hub {
        drop(self.news);
        self.thread.join().expect("a hub")
    }
}
