//! Watches, for as long as the hub runs: each lists its objects, follows their changes, and lists again after a gap, with
//! growing pauses while the API server does not answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use api::messages::Env;
use futures_util::StreamExt;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Node, Pod, Secret, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event},
};
use serde::de::DeserializeOwned;
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};
use tracing::{info, warn};

use super::{Kubernetes, Watch, chain, cluster::Kind, find, now, objects::Object, settings};
use crate::{
    scripts::{
        Scripts,
        release::{self, Released},
    },
    workers::Dialer,
};

/// The first and the longest pause before a watch that failed is begun anew.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// How often what is old is forgotten.
const SWEEP: Duration = Duration::from_secs(30);

/// Watches; returns only if it is dropped.
pub(crate) async fn run(kubernetes: Arc<Kubernetes>, dialer: Arc<Dialer>, scripts: Arc<Scripts>) {
    let mut watches = JoinSet::new();
    let config = &kubernetes.config;
    if let Some(name) = &config.config_map {
        watches.spawn(map(Arc::clone(&kubernetes), name.clone(), Arc::clone(&scripts)));
    }
    if let Some(name) = &config.secret {
        watches.spawn(secret(Arc::clone(&kubernetes), name.clone(), scripts));
    }
    watches.spawn(workers(Arc::clone(&kubernetes), dialer));
    let scopes: Vec<_> = match &*config.watch {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    for scope in scopes {
        watches.spawn(objects(
            Arc::clone(&kubernetes),
            Kind::Pods,
            scoped::<Pod>(&kubernetes, scope.as_ref()),
            scope.clone(),
        ));
        watches.spawn(objects(
            Arc::clone(&kubernetes),
            Kind::Services,
            scoped::<Service>(&kubernetes, scope.as_ref()),
            scope.clone(),
        ));
        watches.spawn(objects(
            Arc::clone(&kubernetes),
            Kind::Slices,
            scoped::<EndpointSlice>(&kubernetes, scope.as_ref()),
            scope.clone(),
        ));
    }
    if config.watch.is_empty() {
        watches.spawn(objects(
            Arc::clone(&kubernetes),
            Kind::Nodes,
            Api::<Node>::all(kubernetes.client.clone()),
            None,
        ));
    }
    let mut sweep = interval(SWEEP);
    loop {
        sweep.tick().await;
        kubernetes.state().cluster.forget(now());
    }
}

fn scoped<K>(kubernetes: &Kubernetes, scope: Option<&String>) -> Api<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    let client = kubernetes.client.clone();
    match scope {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

/// Keeps the cluster's objects of a kind, all of them or those of a namespace.
async fn objects<K>(kubernetes: Arc<Kubernetes>, kind: Kind, api: Api<K>, scope: Option<String>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Into<Object> + 'static,
{
    let what = match &scope {
        Some(namespace) => format!("{} in {namespace}", K::plural(&())),
        None => K::plural(&()).into_owned(),
    };
    let mut listed = BTreeSet::new();
    // An object that is missing after a gap was there when the gap began; more is not known.
    let mut gap = None;
    let watch = Watch { names: true, needed: false, ..Watch::new() };
    follow(&kubernetes, &what, watch, api, watcher::Config::default(), |event| {
        kubernetes.change(|state, now| match event {
            None => drop(gap.get_or_insert(now)),
            Some(Event::Init) => listed.clear(),
            Some(Event::InitApply(object)) => {
                let object: Object = object.into();
                listed.insert(object.key());
                state.cluster.apply(object, now);
            }
            Some(Event::InitDone) => {
                let listed = std::mem::take(&mut listed);
                state.cluster.retain(kind, scope.as_deref(), &listed, gap.take().unwrap_or(now));
            }
            Some(Event::Apply(object)) => state.cluster.apply(object.into(), now),
            Some(Event::Delete(object)) => {
                let last: Object = object.into();
                state.cluster.remove(kind, &last.key(), Some(last), now);
            }
        });
    })
    .await;
}

/// Finds workers by their pods.
async fn workers(kubernetes: Arc<Kubernetes>, dialer: Arc<Dialer>) {
    let config = &kubernetes.config;
    let api = Api::<Pod>::namespaced(kubernetes.client.clone(), &config.worker_namespace);
    let selection = watcher::Config::default().labels(&config.worker_selector);
    let what = format!("the workers' pods in {}", config.worker_namespace);
    let watch = Watch { names: false, needed: true, ..Watch::new() };
    let (mut pods, mut listing) = (BTreeMap::new(), BTreeMap::new());
    let keep = |pod: Pod| {
        let pod = super::objects::Pod::from(pod);
        (pod.key.clone(), pod)
    };
    follow(&kubernetes, &what, watch, api, selection, |event| {
        match event {
            None => return,
            Some(Event::Init) => {
                listing.clear();
                return;
            }
            Some(Event::InitApply(pod)) => {
                listing.extend([keep(pod)]);
                return;
            }
            Some(Event::InitDone) => pods = std::mem::take(&mut listing),
            Some(Event::Apply(pod)) => pods.extend([keep(pod)]),
            Some(Event::Delete(pod)) => drop(pods.remove(&keep(pod).0)),
        }
        let found = find::workers(&pods, config.worker_port);
        kubernetes.state().waiting = found.waiting;
        dialer.found(found.workers);
    })
    .await;
}

/// Follows the release's `ConfigMap`.
async fn map(kubernetes: Arc<Kubernetes>, name: String, scripts: Arc<Scripts>) {
    let config = &kubernetes.config;
    let api = Api::<ConfigMap>::namespaced(kubernetes.client.clone(), &config.namespace);
    // A role can allow to watch one by its name only if that is what is asked for.
    let selection = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let what = format!("the ConfigMap {name} in {}", config.namespace);
    let watch = Watch { names: false, needed: true, ..Watch::new() };
    let mut seen = false;
    follow(&kubernetes, &what, watch, api, selection, |event| {
        let data = match event {
            None | Some(Event::Init | Event::Delete(_)) => return,
            Some(Event::InitApply(map) | Event::Apply(map)) => {
                seen = true;
                map.data.unwrap_or_default()
            }
            Some(Event::InitDone) if !seen => BTreeMap::new(),
            Some(Event::InitDone) => return,
        };
        kubernetes.follow(settings::targets(&data, &config.targets));
        match Released::read(&data) {
            // It waits for the parser, and nothing but the next event waits for it.
            Ok(released) => tokio::task::block_in_place(|| scripts.release(released)),
            Err(error) => scripts.complain(&format!("the release's scripts stay as they were: {error}")),
        }
    })
    .await;
}

/// Follows the release's `Secret`.
async fn secret(kubernetes: Arc<Kubernetes>, name: String, scripts: Arc<Scripts>) {
    let api = Api::<Secret>::namespaced(kubernetes.client.clone(), &kubernetes.config.namespace);
    let selection = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let what = format!("the Secret {name} in {}", kubernetes.config.namespace);
    let watch = Watch { names: false, needed: true, ..Watch::new() };
    follow(&kubernetes, &what, watch, api, selection, |event| {
        let Some(Event::InitApply(secret) | Event::Apply(secret)) = event else { return };
        let Some(text) = secret.data.and_then(|mut data| data.remove(release::ENV)) else { return };
        let read = serde_json::from_slice::<Env>(&text.0);
        // What is wrong may be part of a secret: it is not told.
        let read = read.map_err(|_| format!("{} is no JSON object", release::ENV));
        if let Err(error) = read.and_then(|env| scripts.set_env(env).map_err(|error| error.to_string())) {
            scripts.complain(&format!("the variables stay as they were: {error}"));
        }
    })
    .await;
}

impl Watch {
    fn new() -> Self {
        Self { names: false, needed: false, listed: false, since: SystemTime::now(), error: None }
    }
}

/// Follows a kind of objects for ever; `take` is given each event, and `None` where events may be missing.
async fn follow<K>(
    kubernetes: &Kubernetes,
    what: &str,
    watch: Watch,
    api: Api<K>,
    selection: watcher::Config,
    mut take: impl FnMut(Option<Event<K>>),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    kubernetes.state().watches.insert(what.to_owned(), watch);
    let mut events = pin!(kube::runtime::watcher(api, selection));
    let mut failures = 0;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let done = matches!(event, Event::InitDone);
                take(Some(event));
                // A list that was begun again is no answer yet.
                kubernetes.note_watch(what, None, done);
                if done {
                    failures = 0;
                }
            }
            Err(error) => {
                take(None);
                kubernetes.note_watch(what, Some(chain(&error)), false);
                let (first, longest) = PAUSES;
                let pause = first.saturating_mul(1 << failures.min(16)).min(longest);
                failures += 1;
                sleep(pause.mul_f64(0.5 + f64::from(failures % 8) / 16.0)).await;
            }
        }
    }
}

impl Kubernetes {
    /// Notes how a watch fares.
    fn note_watch(&self, what: &str, error: Option<String>, listed: bool) {
        let mut state = self.state();
        let Some(watch) = state.watches.get_mut(what) else { return };
        match (&watch.error, &error) {
            (None, Some(error)) => warn!(what, error, "A watch failed; trying again until it does not"),
            (Some(_), None) if listed => info!(what, "A watch is back"),
            _ => {}
        }
        if error.is_some() || (listed && watch.error.is_some()) {
            watch.error = error;
            watch.since = SystemTime::now();
        }
        let first = listed && !watch.listed;
        watch.listed |= listed;
        drop(state);
        if first {
            self.changed.send_modify(|changes| *changes += 1);
        }
    }
}
