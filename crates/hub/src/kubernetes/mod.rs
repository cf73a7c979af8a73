//! The cluster around a hub: who has which address, who is captured, where the workers are.
//!
//! ```text
//!   API server ══▶ watch ─▶ objects ─▶ cluster ─┬▶ book ────▶ Names   ══▶ every worker
//!                    │                          └▶ rule ────▶ Targets ══▶ the worker of each node
//!                    ├──▶ find: pods of workers ─▶ roster: dial, let go
//!                    └──▶ settings: ConfigMap ◀═══ PUT /pods/regex, compared and swapped
//! ```
//! The hub alone watches Kubernetes: a worker has no token. What is pure (`objects`, `book`, `cluster`, `find`,
//! `selector`, `settings`) knows neither sockets nor clocks; `watch` and `map` do what is left.

mod book;
mod cluster;
mod find;
mod map;
mod objects;
mod selector;
mod settings;
mod tell;
mod watch;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::SystemTime,
};

use api::{UnixNanos, messages::TargetPod};
use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, watch as channel};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::{info, warn};

pub use self::settings::{TargetConfig, TargetError};
use self::{book::Change, cluster::Cluster, settings::Rule};
pub(crate) use self::{
    find::{Place, PostedWorker},
    map::MapError,
    settings::Wish,
    tell::{RESTATE, Told},
    watch::run,
};
use crate::{lock, printed};

/// What a hub in a cluster is told.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// Its own namespace.
    pub namespace: String,
    /// Where its workers' pods are.
    pub worker_namespace: String,
    /// By which labels they are found.
    pub worker_selector: String,
    /// Where they serve.
    pub worker_port: u16,
    /// The namespaces that may be watched; empty is the whole cluster.
    pub watch: Vec<String>,
    /// The `ConfigMap` that says what is captured and which scripts run, in the hub's namespace; what it does not say of
    /// targets, `targets` does.
    pub config_map: Option<String>,
    /// The `Secret` that holds the variables of scripts, likewise.
    pub secret: Option<String>,
    /// What is captured where nobody says otherwise.
    pub targets: TargetConfig,
}

/// Changes of names that are kept for workers that lag; one more and such a worker is told all anew.
const LOG: usize = 16_384;

/// The number of the first change: there is room before it for all names, which are numbered as if they came last.
const FIRST: u64 = 1 << 32;

/// A hub's view of its cluster.
pub(crate) struct Kubernetes {
    config: KubernetesConfig,
    client: kube::Client,
    /// Differs from start to start.
    epoch: u64,
    state: Mutex<State>,
    /// Counts the changes of what workers are told.
    changed: channel::Sender<u64>,
    /// One at a time changes the `ConfigMap`.
    writing: AsyncMutex<()>,
}

struct State {
    cluster: Cluster,
    /// The newest changes of names, in the order in which they were learnt.
    log: VecDeque<Change>,
    /// The number of the next change.
    next: u64,
    /// All names as a message, and the number of the change that follows.
    complete: Option<(u64, Utf8Bytes)>,
    watches: BTreeMap<String, Watch>,
    /// Why the rule that was last read is not followed.
    rule_error: Option<String>,
    /// Pods of workers that have no address yet.
    waiting: Vec<Place>,
}

/// How a watch fares.
#[derive(Debug)]
struct Watch {
    /// Whether names depend on it.
    names: bool,
    /// Whether the hub is of no use before it.
    needed: bool,
    /// Everything was listed at least once.
    listed: bool,
    since: SystemTime,
    error: Option<String>,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes")
            .field("config", &self.config)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// A view that has seen nothing yet. The targets are those of the configuration.
    pub(crate) fn new(config: KubernetesConfig, client: kube::Client) -> Result<Self, TargetError> {
        let mut cluster = Cluster::default();
        cluster.set_rule(Rule::new(config.targets.clone())?);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let state = State {
            cluster,
            log: VecDeque::new(),
            next: FIRST,
            complete: None,
            watches: BTreeMap::new(),
            rule_error: None,
            waiting: Vec::new(),
        };
        Ok(Self {
            config,
            client,
            epoch: since.as_nanos() as u64,
            state: Mutex::new(state),
            changed: channel::Sender::new(0),
            writing: AsyncMutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Changes what is known, and tells workers what follows from it.
    fn change<T>(&self, change: impl FnOnce(&mut State, UnixNanos) -> T) -> T {
        let mut state = self.state();
        let done = change(&mut state, now());
        let changes = state.cluster.take_changes();
        state.next += changes.len() as u64;
        state.log.extend(changes);
        let surplus = state.log.len().saturating_sub(LOG);
        state.log.drain(..surplus);
        drop(state);
        self.changed.send_modify(|changes| *changes += 1);
        done
    }

    /// Tells whenever workers may have to be told something.
    pub(crate) fn changes(&self) -> channel::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Which pods are captured, as it was set.
    pub(crate) fn targets(&self) -> TargetConfig {
        self.state().cluster.rule().config().clone()
    }

    /// The pods that are captured.
    pub(crate) fn targeted(&self) -> Vec<TargetPod> {
        self.state().cluster.targeted()
    }

    /// Follows another rule; one that makes no sense is told of, and the last one stays.
    fn follow(&self, targets: TargetConfig) {
        match Rule::new(targets) {
            Ok(rule) => {
                let words = rule.words();
                let changed = self.change(|state, _| {
                    state.rule_error = None;
                    state.cluster.set_rule(rule)
                });
                if changed {
                    info!(targets = words, "What is captured was changed");
                }
            }
            Err(error) => {
                warn!(%error, "What is captured stays as it was");
                self.state().rule_error = Some(error.to_string());
            }
        }
    }

    /// Why the hub is of no use yet: `None` once it knows its settings and its workers.
    pub(crate) fn not_ready(&self) -> Option<String> {
        let state = self.state();
        let missing = state.watches.iter().find(|(_, watch)| watch.needed && !watch.listed);
        missing.map(|(what, watch)| match &watch.error {
            Some(error) => format!("cannot watch {what}: {error}"),
            None => format!("still lists {what}"),
        })
    }

    /// Why there may be nothing to see, if it is the cluster's fault.
    pub(crate) fn note(&self) -> Option<String> {
        let state = self.state();
        if let Some((what, error)) =
            state.watches.iter().find_map(|(what, watch)| Some((what, watch.error.as_ref()?)))
        {
            return Some(format!("Cannot watch {what}: {error}"));
        }
        if let Some(error) = &state.rule_error {
            return Some(format!("What is captured stays as it was: {error}"));
        }
        let sizes = state.cluster.sizes();
        let all = state.cluster.rule().is_all() || state.cluster.rule().bpf().is_some();
        (sizes.targeted == 0 && !all).then(|| {
            format!("None of {} pods is captured; wanted are {}", sizes.pods, state.cluster.rule().words())
        })
    }

    /// Pods of workers that have no address yet.
    pub(crate) fn waiting(&self) -> Vec<Place> {
        self.state().waiting.clone()
    }

    /// All of it, for `/status`.
    pub(crate) fn status(&self) -> Value {
        let state = self.state();
        let sizes = state.cluster.sizes();
        let watches = state.watches.iter().map(|(what, watch)| {
            json!({
                "error": watch.error, "listed": watch.listed, "since": printed(watch.since), "what": what,
            })
        });
        json!({
            "endpointSlices": sizes.slices,
            "names": sizes.names,
            "nodes": sizes.nodes,
            "objectsRefused": sizes.refused,
            "pods": sizes.pods,
            "services": sizes.services,
            "targets": {
                "error": state.rule_error,
                "pods": sizes.targeted,
                "rule": state.cluster.rule().words(),
            },
            "watches": watches.collect::<Vec<_>>(),
        })
    }
}

fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixNanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// A client for the cluster that the hub is in, or that `KUBECONFIG` names.
pub(crate) async fn client() -> Result<kube::Client, ClientError> {
    let config = kube::Config::infer().await.map_err(|error| ClientError(chain(&error)))?;
    kube::Client::try_from(config).map_err(|error| ClientError(chain(&error)))
}

/// Why there is no API server to ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Kubernetes API server is known: {0}; run the hub in a pod, or name a cluster with KUBECONFIG")]
pub struct ClientError(String);

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors repeat their cause in their own text.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
