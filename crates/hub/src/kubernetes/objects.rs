//! The objects of a cluster with what we need of them, and no more: of a pod's description a few hundred bytes are left.

use std::{collections::BTreeMap, net::IpAddr};

use api::{
    UnixNanos,
    messages::{Owner, Port, Transport},
};
use k8s_openapi::{
    api::{
        core::v1::{self as core, ContainerState, ContainerStatus},
        discovery::v1 as discovery,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};

/// Most labels of a pod that are kept, in their order.
const LABELS: usize = 64;

/// Most addresses of an object, and most ports, that are kept.
const ADDRESSES: usize = 64;

/// The name of what made a pod's labels: its workload's revision.
const REVISION: &str = "pod-template-hash";

/// By whose label an endpoint slice says whose it is.
const SERVICE: &str = "kubernetes.io/service-name";

/// Namespace and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) key: Key,
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) owner: Option<Owner>,
    /// Empty until it is placed.
    pub(crate) node: String,
    pub(crate) host_network: bool,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) host_ips: Vec<IpAddr>,
    pub(crate) ports: Vec<PodPort>,
    /// It will never run again.
    pub(crate) over: bool,
    /// It is to be deleted: a container that has ended stays so.
    pub(crate) deleting: bool,
    /// The second in which its network was made, or, where nobody says that, its first container began.
    pub(crate) started: Option<UnixNanos>,
    /// Where all containers have ended: the second in which the last one did.
    pub(crate) finished: Option<UnixNanos>,
    pub(crate) phase: String,
    /// All of its containers are ready.
    pub(crate) ready: bool,
    pub(crate) restarts: u32,
    /// Why a container does not run, as Kubernetes calls it.
    pub(crate) waiting: Option<String>,
}

/// A port that a container says it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodPort {
    pub(crate) port: Port,
    /// Under which port of the node.
    pub(crate) host: Option<u16>,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) key: Key,
    /// Addresses that are its alone.
    pub(crate) ips: Vec<IpAddr>,
    /// Addresses of which only its ports are its own: of load balancers, of nodes.
    pub(crate) shared_ips: Vec<IpAddr>,
    pub(crate) ports: Vec<Port>,
    pub(crate) created: Option<UnixNanos>,
}

/// An endpoint slice: where a service, or a part of it, is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) key: Key,
    /// The service's name, in the same namespace.
    pub(crate) service: Option<String>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) ports: Vec<Port>,
    pub(crate) created: Option<UnixNanos>,
}

/// A place in an endpoint slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) ips: Vec<IpAddr>,
    /// The pod's name, where it is one, in the slice's namespace.
    pub(crate) pod: Option<String>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) created: Option<UnixNanos>,
}

/// An object of one of the kinds that are watched.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    Pod(Pod),
    Service(Service),
    Slice(Slice),
    Node(Node),
}

impl Object {
    /// What it is called.
    pub(crate) fn key(&self) -> Key {
        match self {
            Self::Pod(pod) => pod.key.clone(),
            Self::Service(service) => service.key.clone(),
            Self::Slice(slice) => slice.key.clone(),
            Self::Node(node) => Key { namespace: String::new(), name: node.name.clone() },
        }
    }
}

impl Key {
    fn of(meta: &ObjectMeta) -> Self {
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

fn nanos(time: &Time) -> UnixNanos {
    UnixNanos(i64::try_from(time.0.as_nanosecond()).unwrap_or(i64::MAX))
}

fn addresses<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<IpAddr> {
    let mut ips = Vec::new();
    for ip in texts.into_iter().filter_map(|text| text.parse().ok()) {
        if !ips.contains(&ip) && ips.len() < ADDRESSES {
            ips.push(ip);
        }
    }
    ips
}

fn port(number: i32, transport: Option<&str>) -> Option<Port> {
    let transport = match transport {
        None | Some("TCP") => Transport::Tcp,
        Some("UDP") => Transport::Udp,
        Some("SCTP") => Transport::Sctp,
        Some(_) => return None,
    };
    u16::try_from(number).ok().filter(|number| *number > 0).map(|number| Port { transport, number })
}

impl From<core::Pod> for Object {
    fn from(pod: core::Pod) -> Self {
        Self::Pod(pod.into())
    }
}

impl From<core::Pod> for Pod {
    fn from(pod: core::Pod) -> Self {
        let (spec, status) = (pod.spec.unwrap_or_default(), pod.status.unwrap_or_default());
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let ports = containers.flat_map(|container| container.ports.iter().flatten()).filter_map(|found| {
            let host = found.host_port.and_then(|host| u16::try_from(host).ok()).filter(|host| *host > 0);
            Some(PodPort { port: port(found.container_port, found.protocol.as_deref())?, host })
        });
        let ports = ports.take(ADDRESSES).collect();
        let states: Vec<_> =
            status.init_container_statuses.iter().chain(&status.container_statuses).flatten().collect();
        let phase = status.phase.clone().unwrap_or_default();
        let over = matches!(&*phase, "Succeeded" | "Failed");
        let networked =
            status.conditions.iter().flatten().find(|condition| {
                condition.type_ == "PodReadyToStartContainers" && condition.status == "True"
            });
        let networked = networked.and_then(|condition| condition.last_transition_time.as_ref()).map(nanos);
        let own: Vec<_> = status.container_statuses.iter().flatten().collect();
        let ips = status.pod_ips.iter().flatten().map(|found| &found.ip);
        let host_ips = status.host_ips.iter().flatten().map(|found| &found.ip);
        Self {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            owner: owner(&pod.metadata, &labels),
            labels: labels.into_iter().take(LABELS).collect(),
            node: spec.node_name.unwrap_or_default(),
            host_network: spec.host_network.unwrap_or(false),
            ips: addresses(ips.chain(&status.pod_ip)),
            host_ips: addresses(host_ips.chain(&status.host_ip)),
            ports,
            over,
            deleting: pod.metadata.deletion_timestamp.is_some(),
            started: networked.or_else(|| states.iter().filter_map(|state| began(state)).min()),
            finished: finished(&own),
            ready: !own.is_empty() && own.iter().all(|state| state.ready),
            restarts: own.iter().map(|state| state.restart_count.max(0) as u32).sum(),
            waiting: states.iter().find_map(|state| {
                let waiting = state.state.as_ref()?.waiting.as_ref()?;
                waiting.reason.clone().filter(|reason| reason != "PodInitializing")
            }),
            phase,
            key: Key::of(&pod.metadata),
        }
    }
}

/// Who made a pod. A replica set is made by a deployment if its name ends with the revision that its pods are labelled
/// with.
fn owner(meta: &ObjectMeta, labels: &BTreeMap<String, String>) -> Option<Owner> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    let revision = labels.get(REVISION).map(|revision| format!("-{revision}"));
    let deployment = revision.and_then(|revision| owner.name.strip_suffix(&*revision));
    Some(match deployment {
        Some(name) if owner.kind == "ReplicaSet" => Owner { kind: "Deployment".into(), name: name.into() },
        _ => Owner { kind: owner.kind.clone(), name: owner.name.clone() },
    })
}

/// When the first run of a container that is known of began.
fn began(status: &ContainerStatus) -> Option<UnixNanos> {
    let began = |state: &ContainerState| {
        let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
        let ended = state.terminated.as_ref().and_then(|ended| ended.started_at.as_ref());
        running.or(ended).map(nanos)
    };
    status.last_state.iter().chain(&status.state).filter_map(began).min()
}

fn finished(statuses: &[&ContainerStatus]) -> Option<UnixNanos> {
    let ended = |status: &&ContainerStatus| {
        let ended = status.state.as_ref()?.terminated.as_ref()?;
        ended.finished_at.as_ref().map(nanos)
    };
    // One that is not known to have ended has not.
    let ends: Option<Vec<_>> = statuses.iter().map(ended).collect();
    ends?.into_iter().max()
}

impl From<core::Service> for Object {
    fn from(service: core::Service) -> Self {
        let (spec, status) = (service.spec.unwrap_or_default(), service.status.unwrap_or_default());
        let balancers = status.load_balancer.and_then(|balancer| balancer.ingress).unwrap_or_default();
        let balancers: Vec<_> = balancers.into_iter().filter_map(|ingress| ingress.ip).collect();
        let ports = spec.ports.iter().flatten();
        let ports = ports.filter_map(|found| port(found.port, found.protocol.as_deref()));
        Self::Service(Service {
            // A headless one's is "None", which is no address.
            ips: addresses(spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip)),
            shared_ips: addresses(spec.external_ips.iter().flatten().chain(&balancers)),
            ports: ports.take(ADDRESSES).collect(),
            created: service.metadata.creation_timestamp.as_ref().map(nanos),
            key: Key::of(&service.metadata),
        })
    }
}

impl From<discovery::EndpointSlice> for Object {
    fn from(slice: discovery::EndpointSlice) -> Self {
        let ports = slice.ports.iter().flatten();
        let ports = ports.filter_map(|found| port(found.port?, found.protocol.as_deref()));
        let endpoints = slice.endpoints.iter().flatten().map(|endpoint| {
            let pod = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
            Endpoint { ips: addresses(&endpoint.addresses), pod: pod.and_then(|pod| pod.name.clone()) }
        });
        let labels = slice.metadata.labels.as_ref();
        Self::Slice(Slice {
            service: labels.and_then(|labels| labels.get(SERVICE)).cloned(),
            // Kubernetes allows no more than a thousand.
            endpoints: endpoints.take(1000).collect(),
            ports: ports.take(ADDRESSES).collect(),
            created: slice.metadata.creation_timestamp.as_ref().map(nanos),
            key: Key::of(&slice.metadata),
        })
    }
}

impl From<core::Node> for Object {
    fn from(node: core::Node) -> Self {
        let found = node.status.and_then(|status| status.addresses).unwrap_or_default();
        let found: Vec<_> = found.into_iter().map(|found| found.address).collect();
        Self::Node(Node {
            name: node.metadata.name.clone().unwrap_or_default(),
            // Its host name is no address.
            ips: addresses(&found),
            created: node.metadata.creation_timestamp.as_ref().map(nanos),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(json: Value) -> Pod {
        serde_json::from_value::<core::Pod>(json).unwrap().into()
    }

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_pod_keeps_what_names_it() {
        let pod = pod(json!({
            "metadata": {
                "name": "web-5d8-x", "namespace": "shop", "uid": "u1", "labels": {"app": "web", "pod-template-hash": "5d8"},
                "managedFields": [{"manager": "kubelet"}],
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d8", "uid": "r", "controller": true}],
            },
            "spec": {"nodeName": "node1", "containers": [
                {"name": "c", "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP", "hostPort": 5353}]},
            ]},
            "status": {
                "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "hostIP": "10.9.0.1",
                "conditions": [{"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": "1970-01-01T00:00:07Z"}],
                "containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 2,
                    "state": {"running": {"startedAt": "1970-01-01T00:00:09Z"}}}],
            },
        }));
        assert_eq!((&*pod.key.namespace, &*pod.key.name, &*pod.node), ("shop", "web-5d8-x", "node1"));
        assert_eq!(pod.owner, Some(Owner { kind: "Deployment".into(), name: "web".into() }));
        assert_eq!(pod.ips, ["10.0.0.1".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]);
        assert_eq!(pod.host_ips, ["10.9.0.1".parse::<IpAddr>().unwrap()]);
        let udp = Port { transport: Transport::Udp, number: 53 };
        assert_eq!(pod.ports[1], PodPort { port: udp, host: Some(5353) });
        assert_eq!((pod.started, pod.finished), (Some(UnixNanos(7 * SECOND)), None));
        assert_eq!((pod.ready, pod.restarts, pod.over), (true, 2, false));
    }

    #[test]
    fn a_pod_has_finished_when_all_of_its_containers_have() {
        let status = |states: Value| {
            pod(json!({"metadata": {}, "status": {"phase": "Running", "containerStatuses": states}}))
        };
        let state = |state: Value| json!({"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let ended = |second: u32| {
            state(
                json!({"terminated": {"exitCode": 0, "startedAt": "1970-01-01T00:00:01Z", "finishedAt": format!("1970-01-01T00:00:{second:02}Z")}}),
            )
        };
        let running = state(json!({"running": {"startedAt": "1970-01-01T00:00:03Z"}}));
        let both = status(json!([ended(5), ended(8)]));
        assert_eq!((both.started, both.finished), (Some(UnixNanos(SECOND)), Some(UnixNanos(8 * SECOND))));
        assert_eq!(status(json!([ended(5), running])).finished, None);
        let waits = status(json!([state(json!({"waiting": {"reason": "ImagePullBackOff"}}))]));
        assert_eq!((waits.waiting.as_deref(), waits.finished), (Some("ImagePullBackOff"), None));
    }

    #[test]
    fn services_and_slices_keep_addresses_and_ports() {
        let service: core::Service = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"clusterIP": "None", "clusterIPs": ["None"], "externalIPs": ["1.2.3.4"], "ports": [{"port": 80}, {"port": 0}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}, {"hostname": "lb"}]}},
        }))
        .unwrap();
        let Object::Service(service) = service.into() else { panic!() };
        assert!(service.ips.is_empty());
        assert_eq!((service.shared_ips.len(), service.ports.len()), (2, 1));
        let slice: discovery::EndpointSlice = serde_json::from_value(json!({
            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"port": 8080, "protocol": "TCP"}, {"protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "p"}}, {"addresses": ["9.9.9.9"]}],
        }))
        .unwrap();
        let Object::Slice(slice) = slice.into() else { panic!() };
        assert_eq!((slice.service.as_deref(), slice.ports.len()), (Some("web"), 1));
        assert_eq!(
            slice.endpoints.iter().map(|each| each.pod.as_deref()).collect::<Vec<_>>(),
            [Some("p"), None]
        );
    }
}
