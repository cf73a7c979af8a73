//! The workers: where they are, how they are, and a link to each for as long as it is wanted.

mod dialer;
mod link;
pub(crate) mod request;
mod wire;

use std::{
    collections::{BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use api::messages::{Job, ScriptState, SubscriptionId, TestedSource, ToWorker};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tracing::{debug, info, warn};
use web::tls::Keys;

pub(crate) use self::dialer::Dialer;
use self::link::{Link, LinkError};
use crate::{
    Limits, WorkerAddressError,
    fanout::Fanout,
    kubernetes::{Kubernetes, Place},
    lock,
    scripts::Scripts,
};

/// Most commands that wait for a worker; they are few, and a person waits for each.
const MAX_COMMANDS: usize = 64;

/// What a link is between, on the hub's side.
pub(crate) struct Near {
    pub(crate) fanout: Arc<Fanout>,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) limits: Limits,
    /// Where there is a cluster.
    pub(crate) kubernetes: Option<Arc<Kubernetes>>,
}

/// A worker, connected or not.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Its number: no other worker ever has it.
    pub(crate) index: usize,
    /// As it is dialled: `host:port`.
    pub(crate) address: String,
    /// By which it knows us, and we it.
    keys: Option<Keys>,
    state: Mutex<State>,
    /// Watchers of which the worker may have to be told something; `None` while it is away.
    due: Mutex<Option<BTreeSet<SubscriptionId>>>,
    /// What it must be told once, while it is connected.
    commands: Mutex<VecDeque<ToWorker>>,
    /// `due` or `commands` has grown.
    news: Notify,
    /// Whether it is to be connected.
    wanted: watch::Sender<Wanted>,
    /// It may be there now: dial at once.
    nudge: Notify,
    /// Deliveries that came from it.
    pub(crate) received: AtomicU64,
    /// Deliveries that had come before.
    pub(crate) repeated: AtomicU64,
}

/// Whether a worker is to be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Yes, now.
    Yes,
    /// It is not there any more, since then; it may come back.
    Gone(Instant),
    /// Never again.
    Forgotten,
}

/// Who says that there is a worker.
#[derive(Clone, Debug, Default)]
struct Sponsors {
    /// The command line.
    named: bool,
    /// A request.
    posted: bool,
    /// Its pod.
    pod: Option<Place>,
}

/// How a worker is.
#[derive(Clone, Debug)]
pub(crate) struct State {
    sponsors: Sponsors,
    pub(crate) connected: bool,
    /// Since when it is connected, or is not.
    pub(crate) since: SystemTime,
    /// Who it said that it was when it was last connected.
    pub(crate) identity: Option<Identity>,
    /// Why it was last not reached, or lost.
    pub(crate) error: Option<String>,
    /// What it last said of itself.
    pub(crate) status: serde_json::Value,
    /// How its scripts fare, as it last said.
    pub(crate) scripts: Vec<ScriptState>,
    /// Its jobs; none while it is away.
    pub(crate) jobs: Vec<Job>,
    /// When it said that.
    pub(crate) said: Option<Instant>,
    /// Whether it captures, as it last found out.
    pub(crate) tested: Option<SelfTest>,
}

/// What a worker found out when it was asked to capture packets of its own.
#[derive(Clone, Debug)]
pub(crate) struct SelfTest {
    /// The number of the question.
    pub(crate) id: u32,
    pub(crate) sources: Vec<TestedSource>,
}

/// Who a worker says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Differs from start to start.
    pub(crate) boot: u64,
    /// Its node's name.
    pub(crate) node: String,
    /// Its address as its entries have it.
    pub(crate) worker: String,
}

/// These addresses of workers, each once.
pub(crate) fn parse(addresses: &[String]) -> Result<Vec<String>, WorkerAddressError> {
    let mut parsed: Vec<String> = Vec::new();
    for address in addresses {
        let error = || WorkerAddressError(address.clone());
        let (host, port) = address.rsplit_once(':').ok_or_else(error)?;
        let strange = |c: char| c.is_whitespace() || "/?#@".contains(c);
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty()
            || host.contains(strange)
            || bare_v6
            || !port.parse().is_ok_and(|port: u16| port > 0)
        {
            return Err(error());
        }
        if !parsed.contains(address) {
            parsed.push(address.clone());
        }
    }
    Ok(parsed)
}

impl Worker {
    pub(crate) fn new(index: usize, address: String, keys: Option<Keys>) -> Self {
        Self {
            index,
            address,
            keys,
            state: Mutex::new(State {
                sponsors: Sponsors::default(),
                connected: false,
                since: SystemTime::now(),
                identity: None,
                error: None,
                status: serde_json::Value::Null,
                scripts: Vec::new(),
                jobs: Vec::new(),
                said: None,
                tested: None,
            }),
            due: Mutex::new(None),
            commands: Mutex::default(),
            news: Notify::new(),
            wanted: watch::Sender::new(Wanted::Yes),
            nudge: Notify::new(),
            received: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
        }
    }

    /// How it is now.
    pub(crate) fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// Whether it is there, or should be; one that is not is remembered for a while.
    pub(crate) fn is_wanted(&self) -> bool {
        *self.wanted.borrow() == Wanted::Yes
    }

    /// Its pod, where it was found by one.
    pub(crate) fn place(&self) -> Option<Place> {
        lock(&self.state).sponsors.pod.clone()
    }

    /// The name of its node, as soon as it or its pod has told it.
    pub(crate) fn node(&self) -> Option<String> {
        let state = lock(&self.state);
        let told = state.identity.as_ref().map(|identity| &identity.node);
        told.or(state.sponsors.pod.as_ref().map(|pod| &pod.node)).cloned()
    }

    /// Whether it is the worker of this node.
    pub(crate) fn is_on(&self, node: &str) -> bool {
        self.node().is_some_and(|name| name == node)
    }

    /// Whether it is connected.
    pub(crate) fn is_connected(&self) -> bool {
        lock(&self.state).connected
    }

    /// Whether `name` means it: its address as it is dialled, or as its entries have it.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.address == name
            || lock(&self.state).identity.as_ref().is_some_and(|identity| identity.worker == name)
    }

    /// Marks a watcher of which the worker may have to be told something. One that is away is told all when it comes.
    pub(crate) fn due(&self, id: SubscriptionId) {
        if let Some(due) = &mut *lock(&self.due) {
            due.insert(id);
            self.news.notify_one();
        }
    }

    /// Has it told something; false if it is away, or has not heard many before.
    pub(crate) fn command(&self, command: ToWorker) -> bool {
        if !self.is_connected() {
            return false;
        }
        let mut commands = lock(&self.commands);
        let room = commands.len() < MAX_COMMANDS;
        if room {
            commands.push_back(command);
            self.news.notify_one();
        }
        room
    }

    fn take_commands(&self) -> VecDeque<ToWorker> {
        std::mem::take(&mut *lock(&self.commands))
    }

    /// Takes the marks.
    fn take_due(&self) -> BTreeSet<SubscriptionId> {
        lock(&self.due).as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn arrived(&self, identity: Identity, fanout: &Fanout) {
        // Marks are taken from now on, so that no watcher slips between them and those that are here already.
        *lock(&self.due) = Some(BTreeSet::new());
        let ids = fanout.ids();
        if let Some(due) = &mut *lock(&self.due) {
            due.extend(ids);
        }
        let mut state = lock(&self.state);
        (state.connected, state.since, state.identity) = (true, SystemTime::now(), Some(identity));
    }

    fn left(&self, error: &LinkError, fanout: &Fanout) {
        *lock(&self.due) = None;
        lock(&self.commands).clear();
        let wanted = *self.wanted.borrow();
        fanout.watchers(|watchers| {
            for watcher in watchers.values() {
                watcher.update(|queue| match wanted {
                    Wanted::Yes => queue.away(self.index),
                    Wanted::Gone(_) => queue.gone(self.index),
                    Wanted::Forgotten => queue.forget(self.index),
                });
            }
        });
        let mut state = lock(&self.state);
        state.jobs.clear();
        state.error = Some(error.to_string());
        if std::mem::take(&mut state.connected) {
            state.since = SystemTime::now();
        }
    }

    /// Notes what it says of itself.
    fn said(&self, note: impl FnOnce(&mut State)) {
        note(&mut lock(&self.state));
    }

    fn count(&self, received: u64, repeated: u64) {
        self.received.fetch_add(received, Relaxed);
        self.repeated.fetch_add(repeated, Relaxed);
    }
}

/// Keeps a link to the worker, whenever it is wanted; returns when it is forgotten.
async fn run(worker: Arc<Worker>, near: Arc<Near>) {
    let (fanout, limits) = (&near.fanout, &near.limits);
    let mut wanted = worker.wanted.subscribe();
    let mut attempt = 0;
    loop {
        if !worker.is_wanted() {
            worker.left(&LinkError::Gone, fanout);
        }
        // The sender is the worker's own.
        let Ok(now) = wanted.wait_for(|wanted| !matches!(wanted, Wanted::Gone(_))).await.map(|now| *now)
        else {
            return;
        };
        if now == Wanted::Forgotten {
            return;
        }
        let work = async {
            match Link::dial(&worker, limits).await {
                Ok(link) => {
                    let identity = link.identity().clone();
                    let (name, node, boot) = (&worker.address, &identity.node, identity.boot);
                    // Whoever was told that it is away is told that it is back.
                    if attempt > 0 {
                        warn!(worker = name, node, boot, "A worker is back");
                    } else {
                        info!(worker = name, node, boot, "A worker is connected");
                    }
                    attempt = 0;
                    worker.arrived(identity, fanout);
                    link.run(&worker, &near).await
                }
                Err(error) => error,
            }
        };
        let error = tokio::select! {
            error = work => error,
            _ = wanted.wait_for(|wanted| *wanted != Wanted::Yes) => LinkError::Gone,
        };
        if !worker.is_wanted() {
            info!(worker = worker.address, "A worker is gone");
            attempt = 0;
            continue;
        }
        worker.left(&error, fanout);
        let pause = pause(limits, &worker.address, attempt);
        // Once is enough: `/status` says it as long as it is true.
        if attempt == 0 {
            warn!(worker = worker.address, %error, "A worker is away; dialling until it is back");
        } else {
            debug!(worker = worker.address, %error, ?pause, "A worker is still away");
        }
        attempt = attempt.saturating_add(1);
        tokio::select! {
            () = sleep(pause) => {}
            () = worker.nudge.notified() => {}
            _ = wanted.changed() => {}
        }
    }
}

/// The pause after `attempt` failures (from 0): doubled each time, and of that between a half and the whole, so that
/// hubs that lost their workers together do not come back together.
fn pause(limits: &Limits, address: &str, attempt: u32) -> Duration {
    let (first, longest) = limits.redial;
    let whole = first.saturating_mul(1 << attempt.min(16)).min(longest);
    let mut hasher = DefaultHasher::new();
    (address, attempt, std::process::id()).hash(&mut hasher);
    whole / 2 + whole.mul_f64((hasher.finish() % 1000) as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_hosts_with_ports() {
        let parsed = |address: &str| parse(&[address.to_owned()]).is_ok();
        for address in ["127.0.0.1:30001", "node-1:1", "node.example:30001", "[::1]:30001"] {
            assert!(parsed(address), "{address}");
        }
        for address in
            ["", "node", ":1", "node:", "node:0", "node:65536", "::1:30001", "a b:1", "http://a:1", "a/b:1"]
        {
            assert!(!parsed(address), "{address}");
        }
        let twice = ["a:1", "b:1", "a:1"].map(str::to_owned);
        assert_eq!(parse(&twice).unwrap(), ["a:1", "b:1"]);
    }

    #[test]
    fn pauses_grow_to_the_longest() {
        let limits = Limits::default();
        let pauses: Vec<_> = (0..100).map(|attempt| pause(&limits, "a:1", attempt)).collect();
        assert!(pauses[0] >= limits.redial.0 / 2 && pauses[0] <= limits.redial.0);
        assert!(pauses[8..].iter().all(|&pause| pause >= limits.redial.1 / 2 && pause <= limits.redial.1));
    }
}
