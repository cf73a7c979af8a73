//! What an object says is its own: addresses, or ports of them, and who it is there.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use api::messages::{Identity, IdentityKind, NameKey, PodRef, Port};

use crate::kubernetes::objects::{Node, Pod, Service, Slice};

/// A key, and whose it is.
type Claim = (NameKey, Arc<Identity>);

/// A slice that lists a pod: of which service, under which ports.
pub(super) struct Listing<'a> {
    pub(super) service: &'a str,
    pub(super) slice: &'a str,
    pub(super) ports: &'a [Port],
    pub(super) headless: bool,
}

/// A node's addresses: whatever there has no better name.
pub(super) fn of_node(node: &Node) -> Vec<Claim> {
    let identity = Arc::new(Identity {
        kind: IdentityKind::Node,
        name: node.name.clone(),
        namespace: String::new(),
        pod: None,
        service: None,
        endpoint_slice: None,
    });
    node.ips.iter().map(|ip| (any_port(*ip), Arc::clone(&identity))).collect()
}

/// A service's own addresses, and its ports at those that it shares.
pub(super) fn of_service(service: &Service) -> Vec<Claim> {
    let identity = Arc::new(Identity {
        kind: IdentityKind::Service,
        name: service.key.name.clone(),
        namespace: service.key.namespace.clone(),
        pod: None,
        service: Some(service.key.name.clone()),
        endpoint_slice: None,
    });
    let whole = service.ips.iter().map(|ip| any_port(*ip));
    let shared = service.shared_ips.iter();
    let shared =
        shared.flat_map(|ip| service.ports.iter().map(|port| NameKey { ip: *ip, port: Some(*port) }));
    whole.chain(shared).map(|key| (key, Arc::clone(&identity))).collect()
}

/// What a slice lists that is no pod: what answers for a service from outside.
pub(super) fn of_slice(slice: &Slice) -> Vec<Claim> {
    let Some(service) = &slice.service else { return Vec::new() };
    let identity = Arc::new(Identity {
        kind: IdentityKind::Service,
        name: service.clone(),
        namespace: slice.key.namespace.clone(),
        pod: None,
        service: Some(service.clone()),
        endpoint_slice: Some(slice.key.name.clone()),
    });
    let ips = slice.endpoints.iter().filter(|endpoint| endpoint.pod.is_none());
    let ips = ips.flat_map(|endpoint| &endpoint.ips);
    let keys = ips.flat_map(|ip| slice.ports.iter().map(|port| NameKey { ip: *ip, port: Some(*port) }));
    keys.map(|key| (key, Arc::clone(&identity))).collect()
}

/// What a pod claims: its own addresses, or of its node's the ports that it says it serves; and each port by itself where
/// another service is meant than by the address.
pub(super) fn of_pod(pod: &Pod, listings: &[Listing<'_>]) -> Vec<Claim> {
    let pod_ref = PodRef {
        name: pod.key.name.clone(),
        uid: pod.uid.clone(),
        labels: pod.labels.clone(),
        owner: pod.owner.clone(),
        node: pod.node.clone(),
        host_network: pod.host_network,
    };
    let identity = |listing: Option<&Listing<'_>>| {
        Arc::new(Identity {
            kind: IdentityKind::Pod,
            name: pod.key.name.clone(),
            namespace: pod.key.namespace.clone(),
            pod: Some(pod_ref.clone()),
            service: listing.map(|listing| listing.service.to_owned()),
            endpoint_slice: listing.map(|listing| listing.slice.to_owned()),
        })
    };
    let mut claims = Vec::new();
    let whole = one(listings.iter());
    let whole_identity = identity(whole);
    let mut ports: BTreeSet<Port> = listings.iter().flat_map(|listing| listing.ports).copied().collect();
    if pod.host_network {
        ports.extend(pod.ports.iter().map(|found| found.port));
    } else {
        claims.extend(pod.ips.iter().map(|ip| (any_port(*ip), Arc::clone(&whole_identity))));
        for found in &pod.ports {
            let Some(host) = found.host else { continue };
            let port = Port { number: host, ..found.port };
            let keys = pod.host_ips.iter().map(|ip| NameKey { ip: *ip, port: Some(port) });
            claims.extend(keys.map(|key| (key, Arc::clone(&whole_identity))));
        }
    }
    let ips = if pod.ips.is_empty() && pod.host_network { &pod.host_ips } else { &pod.ips };
    for port in ports {
        let of_port = one(listings.iter().filter(|listing| listing.ports.contains(&port)));
        let same = of_port.map(|listing| listing.service) == whole.map(|listing| listing.service);
        if same && !pod.host_network {
            continue;
        }
        let identity = identity(of_port);
        claims.extend(ips.iter().map(|ip| (NameKey { ip: *ip, port: Some(port) }, Arc::clone(&identity))));
    }
    claims
}

/// The only service among these; a headless one does not count beside one that has an address. `None` where there are
/// several, and which of them is meant cannot be known.
fn one<'a, 'b: 'a>(listings: impl Iterator<Item = &'a Listing<'b>>) -> Option<&'a Listing<'b>> {
    let all: Vec<_> = listings.collect();
    let addressed: Vec<_> = all.iter().copied().filter(|listing| !listing.headless).collect();
    let counting = if addressed.is_empty() { all } else { addressed };
    let first = *counting.first()?;
    counting.iter().all(|listing| listing.service == first.service).then_some(first)
}

fn any_port(ip: IpAddr) -> NameKey {
    NameKey { ip, port: None }
}
