//! The cluster as it is known: its objects, what has which name because of them, and who is captured.

mod claims;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    UnixNanos,
    messages::{TargetPod, Targets},
};

use self::claims::{Listing, of_node, of_pod, of_service, of_slice};
use super::{
    book::{Book, Change, End, Source},
    objects::{Key, Node, Object, Pod, Service, Slice},
    settings::Rule,
};

/// Most objects of a kind; one more is not known. Kubernetes itself goes no further.
const OBJECTS: usize = 200_000;

/// The kinds of objects that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Pods,
    Services,
    Slices,
    Nodes,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pods: BTreeMap<Key, Pod>,
    services: BTreeMap<Key, Service>,
    slices: BTreeMap<Key, Slice>,
    nodes: BTreeMap<String, Node>,
    /// By pod, the slices that list it.
    listed: BTreeMap<Key, BTreeSet<Key>>,
    book: Book,
    rule: Rule,
    /// By node, the pods that are captured.
    targeted: BTreeMap<String, BTreeSet<Key>>,
    /// By node, what its worker is told; not there until somebody asks.
    targets: BTreeMap<String, Arc<Targets>>,
    /// Objects that were too many.
    refused: u64,
}

/// How much is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) pods: usize,
    pub(crate) services: usize,
    pub(crate) slices: usize,
    pub(crate) nodes: usize,
    pub(crate) names: usize,
    pub(crate) targeted: usize,
    pub(crate) refused: u64,
}

impl Cluster {
    /// An object is there, or has changed.
    pub(crate) fn apply(&mut self, object: Object, now: UnixNanos) {
        let (key, held) = (object.key(), self.holds(&object));
        if !held && self.count(&object) >= OBJECTS {
            self.refused += 1;
            return;
        }
        match object {
            Object::Pod(pod) => self.apply_pod(pod, now),
            Object::Service(service) => {
                if self.services.get(&key) != Some(&service) {
                    self.claim_service(&service, now);
                    self.services.insert(key.clone(), service);
                    self.reclaim_behind(&key, now);
                }
            }
            Object::Slice(slice) => {
                if self.slices.get(&key) != Some(&slice) {
                    self.unlist(&key, now, Some(slice));
                }
            }
            Object::Node(node) => {
                if self.nodes.get(&node.name) != Some(&node) {
                    let claims = of_node(&node);
                    let start = node.created.unwrap_or(now);
                    self.book.claim(&Source::Node(node.name.clone()), claims, start, now);
                    self.nodes.insert(node.name.clone(), node);
                }
            }
        }
    }

    fn holds(&self, object: &Object) -> bool {
        match object {
            Object::Pod(pod) => self.pods.contains_key(&pod.key),
            Object::Service(service) => self.services.contains_key(&service.key),
            Object::Slice(slice) => self.slices.contains_key(&slice.key),
            Object::Node(node) => self.nodes.contains_key(&node.name),
        }
    }

    fn count(&self, object: &Object) -> usize {
        match object {
            Object::Pod(_) => self.pods.len(),
            Object::Service(_) => self.services.len(),
            Object::Slice(_) => self.slices.len(),
            Object::Node(_) => self.nodes.len(),
        }
    }

    /// An object is gone, since `at` if not before. What it said last, if it was told, says more of its end.
    pub(crate) fn remove(&mut self, kind: Kind, key: &Key, last: Option<Object>, at: UnixNanos) {
        if let Some(last @ Object::Pod(_)) = last {
            self.apply(last, at);
        }
        match kind {
            Kind::Pods => self.remove_pod(key, at),
            Kind::Services => {
                if self.services.remove(key).is_some() {
                    self.book.end(&service_source(key), End { until: at, gone: Some(at) }, at);
                    self.reclaim_behind(key, at);
                }
            }
            Kind::Slices => self.unlist(key, at, None),
            Kind::Nodes => {
                if self.nodes.remove(&key.name).is_some() {
                    self.book.end(&Source::Node(key.name.clone()), End::unseen(at), at);
                }
            }
        }
    }

    /// Of this kind, and in this namespace if one is named, there are no others than these.
    pub(crate) fn retain(
        &mut self,
        kind: Kind,
        namespace: Option<&str>,
        listed: &BTreeSet<Key>,
        at: UnixNanos,
    ) {
        let known: Vec<Key> = match kind {
            Kind::Pods => self.pods.keys().cloned().collect(),
            Kind::Services => self.services.keys().cloned().collect(),
            Kind::Slices => self.slices.keys().cloned().collect(),
            Kind::Nodes => {
                self.nodes.keys().map(|name| Key { namespace: String::new(), name: name.clone() }).collect()
            }
        };
        let ours = |key: &&Key| namespace.is_none_or(|namespace| key.namespace == namespace);
        for key in known.iter().filter(ours).filter(|key| !listed.contains(key)) {
            self.remove(kind, key, None, at);
        }
    }

    fn apply_pod(&mut self, mut pod: Pod, now: UnixNanos) {
        let key = pod.key.clone();
        if let Some(known) = self.pods.get(&key) {
            if known.uid == pod.uid {
                // Its network's beginning is told while it lasts only.
                pod.started = match (known.started, pod.started) {
                    (Some(known_start), Some(start)) if known.ips == pod.ips => Some(known_start.min(start)),
                    (known_start, start) => start.or(known_start),
                };
                if *known == pod {
                    return;
                }
            } else {
                // Another of the same name: what was told of the first was its last.
                self.remove_pod(&key, now);
            }
        }
        if pod.started.is_none() && !pod.ips.is_empty() {
            // Nobody says since when it has them; that it had them now is sure.
            pod.started = Some(now);
        }
        let before = self.pods.insert(key.clone(), pod);
        let node = |pod: &Pod| pod.node.clone();
        let nodes: BTreeSet<_> = before.iter().chain(self.pods.get(&key)).map(node).collect();
        self.retarget(&key, &nodes);
        self.reclaim_pod(&key, now, before.is_none());
    }

    fn remove_pod(&mut self, key: &Key, at: UnixNanos) {
        let Some(pod) = self.pods.remove(key) else { return };
        self.book.end(&Source::Pod(pod.uid.clone()), end(&pod, at), at);
        self.retarget(key, &BTreeSet::from([pod.node]));
    }

    /// Says anew what a pod claims. Of one that is over nothing changes any more; of one that was over before it was
    /// heard of (`fresh`), its past is known all the same.
    fn reclaim_pod(&mut self, key: &Key, now: UnixNanos, fresh: bool) {
        let Some(pod) = self.pods.get(key) else { return };
        let source = Source::Pod(pod.uid.clone());
        let over = is_over(pod);
        if !over || (fresh && pod.finished.is_some()) {
            let listings: Vec<_> = self.listings(key).collect();
            let claims = of_pod(pod, &listings);
            self.book.claim(&source, claims, pod.started.unwrap_or(now), now);
        }
        if over {
            self.book.end(&source, end(pod, now), now);
        }
    }

    /// The slices that list a pod.
    fn listings(&self, key: &Key) -> impl Iterator<Item = Listing<'_>> {
        let slices = self.listed.get(key).into_iter().flatten().filter_map(|slice| self.slices.get(slice));
        slices.filter_map(|slice| {
            let service = slice.service.as_deref()?;
            let known =
                self.services.get(&Key { namespace: slice.key.namespace.clone(), name: service.into() });
            let headless = known.is_some_and(|service| service.ips.is_empty());
            Some(Listing { service, slice: &slice.key.name, ports: &slice.ports, headless })
        })
    }

    /// A service is there, or not, or otherwise: the pods behind it may have another name.
    fn reclaim_behind(&mut self, service: &Key, now: UnixNanos) {
        // Slices of a service are called after it as a rule, but only their label says it.
        let slices = self.slices.values().filter(|slice| {
            slice.key.namespace == service.namespace && slice.service.as_deref() == Some(&service.name)
        });
        let behind: BTreeSet<_> = slices.flat_map(pods_of).collect();
        for pod in behind {
            self.reclaim_pod(&pod, now, false);
        }
    }

    /// Puts another slice in the place of one, or none.
    fn unlist(&mut self, key: &Key, now: UnixNanos, another: Option<Slice>) {
        let mut pods = BTreeSet::new();
        for pod in self.slices.get(key).into_iter().flat_map(pods_of) {
            if let Some(slices) = self.listed.get_mut(&pod) {
                slices.remove(key);
                if slices.is_empty() {
                    self.listed.remove(&pod);
                }
            }
            pods.insert(pod);
        }
        let source = Source::Slice { namespace: key.namespace.clone(), name: key.name.clone() };
        if let Some(slice) = another {
            for pod in pods_of(&slice) {
                self.listed.entry(pod.clone()).or_default().insert(key.clone());
                pods.insert(pod);
            }
            self.book.claim(&source, of_slice(&slice), slice.created.unwrap_or(now), now);
            self.slices.insert(key.clone(), slice);
        } else {
            self.slices.remove(key);
            self.book.end(&source, End::unseen(now), now);
        }
        for pod in pods {
            self.reclaim_pod(&pod, now, false);
        }
    }

    fn claim_service(&mut self, service: &Service, now: UnixNanos) {
        let claims = of_service(service);
        self.book.claim(&service_source(&service.key), claims, service.created.unwrap_or(now), now);
    }

    /// Another rule. Whether it differs from the last one.
    pub(crate) fn set_rule(&mut self, rule: Rule) -> bool {
        if rule.config() == self.rule.config() {
            return false;
        }
        self.rule = rule;
        self.targets.clear();
        let keys: Vec<_> = self.pods.keys().cloned().collect();
        for key in keys {
            let node = self.pods.get(&key).map(|pod| pod.node.clone());
            self.retarget(&key, &node.into_iter().collect());
        }
        true
    }

    /// Which pods are captured.
    pub(crate) fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Looks anew whether a pod is captured; `nodes` are where it is and was.
    fn retarget(&mut self, key: &Key, nodes: &BTreeSet<String>) {
        let taken = self.pods.get(key).filter(|pod| !pod.node.is_empty() && self.rule.takes(pod));
        let taken = taken.map(|pod| pod.node.clone());
        for node in nodes {
            let pods = self.targeted.entry(node.clone()).or_default();
            let here = taken.as_ref() == Some(node);
            // One that stays may have another address.
            let changed = if here {
                pods.insert(key.clone());
                true
            } else {
                pods.remove(key)
            };
            if changed {
                self.targets.remove(node);
            }
            if pods.is_empty() {
                self.targeted.remove(node);
            }
        }
    }

    /// What the worker of a node is to capture. It is the same value as long as nothing changes.
    pub(crate) fn targets(&mut self, node: &str) -> Arc<Targets> {
        if let Some(targets) = self.targets.get(node) {
            return Arc::clone(targets);
        }
        let pods = self.targeted.get(node).into_iter().flatten().filter_map(|key| self.pods.get(key));
        let targets = Arc::new(Targets {
            all: self.rule.is_all(),
            pods: pods.map(target).collect(),
            bpf: self.rule.bpf(),
            rule: self.rule.words(),
        });
        // Nodes come and go, and whoever asks names one: what nobody asks for any longer is not kept.
        if self.targets.len() >= self.targeted.len() + self.nodes.len() + 64 {
            self.targets.clear();
        }
        self.targets.insert(node.to_owned(), Arc::clone(&targets));
        targets
    }

    /// All pods that are captured, by namespace and name.
    pub(crate) fn targeted(&self) -> Vec<TargetPod> {
        let keys: BTreeSet<_> = self.targeted.values().flatten().collect();
        keys.into_iter().filter_map(|key| self.pods.get(key)).map(target).collect()
    }

    /// What has changed of names since this was last asked.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        self.book.take_changes()
    }

    /// All names.
    pub(super) fn names(&self) -> Vec<Change> {
        self.book.all()
    }

    /// Forgets names of long ago.
    pub(crate) fn forget(&mut self, now: UnixNanos) {
        self.book.forget(now);
    }

    /// How much is known.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            pods: self.pods.len(),
            services: self.services.len(),
            slices: self.slices.len(),
            nodes: self.nodes.len(),
            names: self.book.len(),
            targeted: self.targeted.values().map(BTreeSet::len).sum(),
            refused: self.refused,
        }
    }
}

fn service_source(key: &Key) -> Source {
    Source::Service { namespace: key.namespace.clone(), name: key.name.clone() }
}

/// Whether a pod has no network any more: its containers have ended, and are not started again.
fn is_over(pod: &Pod) -> bool {
    pod.over || (pod.deleting && pod.finished.is_some())
}

/// How the claims of a pod end that is not there any more, or over.
fn end(pod: &Pod, now: UnixNanos) -> End {
    pod.finished.filter(|_| is_over(pod)).map_or(End::unseen(now), End::within)
}

/// The pods that a slice lists.
fn pods_of(slice: &Slice) -> impl Iterator<Item = Key> + '_ {
    let names = slice.endpoints.iter().filter_map(|endpoint| endpoint.pod.clone());
    names.map(|name| Key { namespace: slice.key.namespace.clone(), name })
}

fn target(pod: &Pod) -> TargetPod {
    let mut ports: Vec<_> = pod.ports.iter().map(|found| found.port).collect();
    if !pod.host_network {
        ports.clear();
    }
    TargetPod {
        ips: pod.ips.clone(),
        name: pod.key.name.clone(),
        namespace: pod.key.namespace.clone(),
        node: pod.node.clone(),
        host_network: pod.host_network,
        ports,
    }
}

#[cfg(test)]
mod tests;
