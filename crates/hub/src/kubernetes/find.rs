//! Workers, found by their pods.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::api::core::v1 as core;
use serde::Deserialize;

use super::objects::{Key, Pod};

/// Where workers serve unless they say otherwise.
const PORT: u16 = 30001;

/// The pod of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its name.
    pub(crate) pod: String,
    /// Its node's name.
    pub(crate) node: String,
    /// What keeps it from being ready, as Kubernetes says it; empty if nothing does.
    pub(crate) trouble: String,
    /// How often it was started again.
    pub(crate) restarts: u32,
}

/// Workers that can be dialled, by their addresses, and those that can't be yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) workers: BTreeMap<String, Place>,
    pub(crate) waiting: Vec<Place>,
}

/// The workers of these pods, which serve at `port` of their addresses. Of two with the same address, where one goes and
/// another takes its place, it is the newer one's.
pub(crate) fn workers(pods: &BTreeMap<Key, Pod>, port: u16) -> Found {
    let mut found = Found::default();
    let mut pods: Vec<_> = pods.values().filter(|pod| !pod.over).collect();
    pods.sort_by_key(|pod| (!pod.deleting, pod.started));
    for pod in pods {
        let place = Place {
            pod: pod.key.name.clone(),
            node: pod.node.clone(),
            trouble: trouble(pod),
            restarts: pod.restarts,
        };
        match pod.ips.first().or(pod.host_ips.first().filter(|_| pod.host_network)) {
            Some(ip) => drop(found.workers.insert(address(*ip, port), place)),
            None => found.waiting.push(place),
        }
    }
    found
}

/// A worker that a request tells of, by its pod.
#[derive(Debug, Deserialize)]
#[serde(from = "core::Pod")]
pub(crate) struct PostedWorker(Pod);

impl From<core::Pod> for PostedWorker {
    fn from(pod: core::Pod) -> Self {
        Self(pod.into())
    }
}

impl PostedWorker {
    /// Where it serves: at the first port that it names, else where workers do.
    pub(crate) fn address(&self) -> Option<String> {
        let port = self.0.ports.first().map_or(PORT, |found| found.port.number);
        self.0.ips.first().map(|ip| address(*ip, port))
    }

    /// Whether it can be dialled.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.phase == "Running" && self.0.ready && !self.0.deleting
    }
}

/// `host:port`, as it is dialled.
fn address(ip: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(ip, port).to_string()
}

fn trouble(pod: &Pod) -> String {
    match (&pod.waiting, pod.ready) {
        _ if pod.deleting => "it is being deleted".into(),
        (Some(reason), _) => reason.clone(),
        (None, true) => String::new(),
        (None, false) if pod.phase == "Running" => "it is not ready".into(),
        (None, false) => pod.phase.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, ip: Option<&str>, change: impl FnOnce(&mut Pod)) -> (Key, Pod) {
        let key = Key { namespace: "k".into(), name: name.into() };
        let ips = ip.map(|ip| ip.parse().unwrap()).into_iter().collect();
        let mut pod = Pod {
            key: key.clone(),
            node: format!("node-of-{name}"),
            ips,
            ready: true,
            phase: "Running".into(),
            ..Pod::default()
        };
        change(&mut pod);
        (key, pod)
    }

    #[test]
    fn workers_are_their_pods() {
        let pods = BTreeMap::from([
            pod("a", Some("10.0.0.1"), |_| ()),
            pod("b", Some("fd00::1"), |pod| {
                (pod.ready, pod.waiting) = (false, Some("CrashLoopBackOff".into()))
            }),
            pod("c", None, |pod| (pod.ready, pod.phase) = (false, "Pending".into())),
            pod("d", Some("10.0.0.9"), |pod| pod.over = true),
            // Its successor is there before it has gone.
            pod("e-new", Some("10.0.0.5"), |_| ()),
            pod("e-old", Some("10.0.0.5"), |pod| pod.deleting = true),
        ]);
        let found = workers(&pods, 30001);
        let told: Vec<_> = found
            .workers
            .iter()
            .map(|(address, place)| format!("{address} {} {:?}", place.pod, place.trouble))
            .collect();
        assert_eq!(
            told,
            [
                r#"10.0.0.1:30001 a """#,
                r#"10.0.0.5:30001 e-new """#,
                r#"[fd00::1]:30001 b "CrashLoopBackOff""#
            ]
        );
        assert_eq!((found.waiting.len(), &*found.waiting[0].trouble), (1, "Pending"));
    }
}
