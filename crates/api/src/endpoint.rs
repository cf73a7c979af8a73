//! Who talked to whom, and where it was seen.

use std::net::IpAddr;

use kfl::Value;

use crate::{Named, named::Fields};

/// One end of a transaction.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// Whose it was when the packets were sent, where that is known.
    pub named: Option<Named>,
}

impl Endpoint {
    /// An end of which only the address is known.
    pub fn unnamed(ip: IpAddr, port: u16) -> Self {
        Self { ip, port, named: None }
    }

    fn fields(&self) -> Fields<'_> {
        Fields(self.named.as_ref())
    }
}

// What a capture without a cluster can't have is absent, but for the keys that always were there.
kfl::record! {
    impl Record for Endpoint as end {
        "ambiguous" => end.fields().ambiguous(),
        "endpointSlice" => end.fields().endpoint_slice(),
        "ip" => Value::Address(&end.ip),
        "name" => end.fields().name(),
        "namespace" => end.fields().namespace(),
        "node" => end.fields().node(),
        "pod" => end.fields().pod(),
        // A string: the users' filters and scripts compare it with one.
        "port" => Value::Digits(end.port.into()),
        "resolutionMechanism" => end.fields().mechanism(),
        "service" => end.fields().service(),
        "workload" => end.fields().workload(),
    }
}

/// The worker that saw an entry, and its node. Shared by all entries of a worker.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node's address.
    pub ip: Box<str>,
    /// The node's name.
    pub name: Box<str>,
    /// The worker as its hub dials it: `address:port`.
    pub worker: Box<str>,
}

kfl::record! {
    impl Record for Node as node {
        "ip" => Value::text(&node.ip),
        "name" => Value::text(&node.name),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::json;

    use super::*;
    use crate::{
        Mechanism, Somebody,
        messages::{Identity, IdentityKind, Owner, PodRef},
    };

    fn printed(identity: Option<Identity>, by: Mechanism) -> serde_json::Value {
        let named = identity.map(|identity| Named { who: Arc::new(Somebody::new(identity)), by });
        let mut out = Vec::new();
        crate::write_record(&mut out, &Endpoint { named, ..Endpoint::unnamed([10, 0, 0, 7].into(), 80) });
        serde_json::from_slice(&out).unwrap()
    }

    fn identity(kind: IdentityKind, name: &str, namespace: &str) -> Identity {
        Identity {
            kind,
            name: name.into(),
            namespace: namespace.into(),
            pod: None,
            service: None,
            endpoint_slice: None,
        }
    }

    #[test]
    fn a_pod_a_service_a_node_and_nobody() {
        let pod = PodRef {
            name: "front-0".into(),
            uid: "u1".into(),
            labels: BTreeMap::from([("app.kubernetes.io/name".into(), "front".into())]),
            owner: Some(Owner { kind: "StatefulSet".into(), name: "front".into() }),
            node: "node-2".into(),
            host_network: false,
        };
        let pod = Identity {
            pod: Some(pod),
            service: Some("web".into()),
            endpoint_slice: Some("web-x7".into()),
            ..identity(IdentityKind::Pod, "front-0", "shop")
        };
        let alone = Identity { service: None, endpoint_slice: None, ..pod.clone() };
        let object = |name: &str| json!({"metadata": {"name": name, "namespace": "shop"}});
        let metadata = json!({
            "labels": {"app.kubernetes.io/name": "front"}, "name": "front-0", "namespace": "shop", "uid": "u1",
        });
        assert_eq!(
            printed(Some(pod), Mechanism::IpAndPort),
            json!({
                "endpointSlice": object("web-x7"), "ip": "10.0.0.7", "name": "web.shop", "namespace": "shop",
                "node": {"name": "node-2"},
                "pod": {"metadata": metadata, "spec": {"hostNetwork": false, "nodeName": "node-2"}},
                "port": "80", "resolutionMechanism": "ip-and-port", "service": object("web"),
                "workload": {"kind": "StatefulSet", "name": "front"},
            })
        );
        assert_eq!(printed(Some(alone), Mechanism::Ip)["name"], "front-0.shop");
        assert_eq!(
            printed(Some(identity(IdentityKind::Service, "web", "shop")), Mechanism::IpAndPort),
            json!({
                "endpointSlice": null, "ip": "10.0.0.7", "name": "web.shop", "namespace": "shop", "pod": null,
                "port": "80", "resolutionMechanism": "ip-and-port", "service": object("web"),
            })
        );
        assert_eq!(
            printed(Some(identity(IdentityKind::Node, "node-2", "")), Mechanism::Shared),
            json!({
                "ambiguous": true, "endpointSlice": null, "ip": "10.0.0.7", "name": "node-2", "namespace": "",
                "node": {"name": "node-2"}, "pod": null, "port": "80", "resolutionMechanism": "ip",
                "service": null,
            })
        );
        assert_eq!(
            printed(None, Mechanism::Ip),
            json!({
                "endpointSlice": null, "ip": "10.0.0.7", "name": "", "namespace": "", "pod": null, "port": "80",
                "service": null,
            })
        );
    }
}
