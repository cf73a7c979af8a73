//! The cluster between hub and worker: who has which address and since when, what is to be captured, and whether that works.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::UnixNanos;

/// From a time on, an address belongs to somebody, or to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NameChange {
    /// From then on, until the next change of the same key. A whole second means some time within it: until it is over,
    /// what was before may still be true.
    pub at: UnixNanos,
    /// What.
    pub key: NameKey,
    /// Whose: a place in the message's `identities`. `None`: nobody's.
    pub identity: Option<u32>,
}

/// What has a name: an address, or one port of it, which then counts more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NameKey {
    /// The address.
    pub ip: IpAddr,
    /// The port; `None` for all those that have no name of their own.
    pub port: Option<Port>,
}

/// A port of a transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    /// Which protocol.
    pub transport: Transport,
    /// Its number there.
    pub number: u16,
}

/// The transport protocols that Kubernetes tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Somebody in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// What it is.
    pub kind: IdentityKind,
    /// Its object's name.
    pub name: String,
    /// Its namespace; empty for a node.
    pub namespace: String,
    /// The pod, where it is one.
    pub pod: Option<PodRef>,
    /// The service that it is, or that it is behind. Where a pod is behind several, the address alone has none, and each
    /// port its own.
    pub service: Option<String>,
    /// The endpoint slice in which the service lists it.
    pub endpoint_slice: Option<String>,
}

/// What may have an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityKind {
    /// A pod. One on its node's network has only ports.
    Pod,
    /// A service: what answers is somebody else.
    Service,
    /// A node: whatever on it has no better name.
    Node,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodRef {
    /// Its name.
    pub name: String,
    /// Its unique id: differs from that of another pod of the same name.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Who made it: its workload, looking through the replica set of a deployment.
    pub owner: Option<Owner>,
    /// The node that it runs on.
    pub node: String,
    /// Whether it shares its node's addresses.
    pub host_network: bool,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Owner {
    /// `Deployment`, `DaemonSet` and so on.
    pub kind: String,
    /// Its name, in the pod's namespace.
    pub name: String,
}

/// What a worker is to capture: of its own node alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Targets {
    /// Everything that its node sends and receives, whose ever it is. `pods` says who is there all the same.
    pub all: bool,
    /// The pods that are meant, ordered by namespace and name.
    pub pods: Vec<TargetPod>,
    /// A BPF filter in place of the one made of the pods.
    pub bpf: Option<String>,
    /// The rule behind it in words, for people.
    pub rule: String,
}

/// A pod that is to be captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetPod {
    /// Its addresses: none before it has any. Of one on its node's network they are the node's.
    pub ips: Vec<IpAddr>,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its node.
    pub node: String,
    /// Whether its addresses are its node's, so that they alone do not say that it is meant.
    pub host_network: bool,
    /// The ports that a pod on its node's network says it serves.
    pub ports: Vec<Port>,
}

/// What a test of one source of packets showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestedSource {
    /// The source, as `/status` calls it.
    pub source: String,
    /// Whether the test's packets were seen.
    pub seen: bool,
    /// If not: why, and the way out.
    pub why: Option<String>,
}
