use std::net::IpAddr;

use api::messages::{Identity, NameKey, Port};
use serde_json::{Value, json};

use super::*;
use crate::kubernetes::settings::TargetConfig;

const SECOND: i64 = 1_000_000_000;

fn at(second: i64) -> UnixNanos {
    UnixNanos(second * SECOND)
}

fn time(second: u32) -> String {
    format!("1970-01-01T00:00:{second:02}Z")
}

fn pod(name: &str, ip: &str, started: u32) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "node1", "containers": [{"name": "c", "ports": [{"containerPort": 80}]}]},
        "status": {"phase": "Running", "podIP": ip, "hostIP": "10.9.0.1",
            "conditions": [{"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": time(started)}]},
    })
}

fn ended(mut pod: Value, finished: u32) -> Value {
    pod["metadata"]["deletionTimestamp"] = json!(time(finished));
    pod["status"]["conditions"] = json!([]);
    let state = json!({"terminated": {"exitCode": 0, "startedAt": time(1), "finishedAt": time(finished)}});
    pod["status"]["containerStatuses"] =
        json!([{"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}]);
    pod
}

fn slice(name: &str, service: &str, ports: &[u16], endpoints: &[(&str, Option<&str>)]) -> Value {
    let endpoints = endpoints.iter().map(|(ip, pod)| {
        json!({"addresses": [ip], "targetRef": pod.map(|pod| json!({"kind": "Pod", "name": pod}))})
    });
    json!({
        "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": ports.iter().map(|port| json!({"port": port})).collect::<Vec<_>>(),
        "endpoints": endpoints.collect::<Vec<_>>(),
    })
}

fn service(name: &str, ip: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": time(0)},
        "spec": {"clusterIP": ip, "ports": [{"port": 80}]},
    })
}

/// A cluster, and what a worker knows that is told of each change.
#[derive(Default)]
struct Story {
    cluster: Cluster,
    told: BTreeMap<NameKey, BTreeMap<UnixNanos, Option<Arc<Identity>>>>,
}

impl Story {
    fn object(kind: Kind, json: Value) -> Object {
        match kind {
            Kind::Pods => serde_json::from_value::<k8s_openapi::api::core::v1::Pod>(json).unwrap().into(),
            Kind::Services => {
                serde_json::from_value::<k8s_openapi::api::core::v1::Service>(json).unwrap().into()
            }
            Kind::Slices => {
                serde_json::from_value::<k8s_openapi::api::discovery::v1::EndpointSlice>(json).unwrap().into()
            }
            Kind::Nodes => serde_json::from_value::<k8s_openapi::api::core::v1::Node>(json).unwrap().into(),
        }
    }

    fn apply(&mut self, second: i64, kind: Kind, json: Value) {
        self.cluster.apply(Self::object(kind, json), at(second));
        self.hear();
    }

    fn remove(&mut self, second: i64, kind: Kind, json: Value) {
        let last = Self::object(kind, json);
        self.cluster.remove(kind, &last.key(), Some(last), at(second));
        self.hear();
    }

    fn hear(&mut self) {
        for change in self.cluster.take_changes() {
            self.told.entry(change.key).or_default().insert(change.at, change.identity);
        }
    }

    /// Who had it then: `pod/service`, or `-`.
    fn who(&self, ip: &str, port: Option<u16>, second: i64) -> String {
        let look = |port| {
            let key = NameKey { ip: ip.parse().unwrap(), port };
            self.told.get(&key)?.range(..=at(second)).next_back()?.1.clone()
        };
        let port = port.map(|number| Port { transport: api::messages::Transport::Tcp, number });
        let found = port.and_then(|port| look(Some(port))).or_else(|| look(None));
        found.map_or("-".into(), |who| format!("{}/{}", who.name, who.service.clone().unwrap_or_default()))
    }
}

#[test]
fn a_pod_is_named_by_its_address_and_by_the_service_before_it() {
    let mut story = Story::default();
    story.apply(0, Kind::Services, service("front", "10.96.0.1"));
    story.apply(5, Kind::Pods, pod("web-1", "10.0.0.1", 4));
    assert_eq!(story.who("10.0.0.1", None, 3), "-");
    assert_eq!(story.who("10.0.0.1", Some(80), 4), "web-1/");
    story.apply(7, Kind::Slices, slice("front-a", "front", &[80], &[("10.0.0.1", Some("web-1"))]));
    assert_eq!(story.who("10.0.0.1", Some(80), 4), "web-1/front");
    assert_eq!(story.who("10.0.0.1", Some(9090), 4), "web-1/front");
    assert_eq!(story.who("10.96.0.1", Some(80), 1), "front/front");
    // A second service that has another port: each port has its own, the address alone none.
    story.apply(8, Kind::Services, service("metrics", "10.96.0.2"));
    story.apply(8, Kind::Slices, slice("metrics-a", "metrics", &[9090], &[("10.0.0.1", Some("web-1"))]));
    assert_eq!(story.who("10.0.0.1", Some(9090), 8), "web-1/metrics");
    assert_eq!(story.who("10.0.0.1", Some(80), 8), "web-1/front");
    assert_eq!(story.who("10.0.0.1", None, 8), "web-1/");
    story.remove(9, Kind::Slices, slice("metrics-a", "metrics", &[9090], &[("10.0.0.1", Some("web-1"))]));
    assert_eq!(story.who("10.0.0.1", Some(9090), 9), "web-1/front");
    // A headless service beside it is not counted.
    story.apply(9, Kind::Services, service("front-headless", "None"));
    story.apply(9, Kind::Slices, slice("h", "front-headless", &[80], &[("10.0.0.1", Some("web-1"))]));
    assert_eq!(story.who("10.0.0.1", Some(80), 9), "web-1/front");
}

#[test]
fn an_address_that_passes_on_never_means_the_wrong_pod() {
    let mut story = Story::default();
    story.apply(5, Kind::Pods, pod("a", "10.0.0.1", 4));
    story.apply(10, Kind::Pods, ended(pod("a", "10.0.0.1", 4), 9));
    story.remove(10, Kind::Pods, ended(pod("a", "10.0.0.1", 4), 9));
    story.apply(10, Kind::Pods, pod("b", "10.0.0.1", 9));
    let told: Vec<_> = (3..12).map(|second| story.who("10.0.0.1", None, second)).collect();
    assert_eq!(told, ["-", "a/", "a/", "a/", "a/", "a/", "-", "b/", "b/"]);
    // One that nobody has heard of before it was over.
    story.apply(20, Kind::Pods, ended(pod("job", "10.0.0.9", 3), 12));
    assert_eq!(
        (story.who("10.0.0.9", None, 12), story.who("10.0.0.9", None, 13)),
        ("job/".into(), "-".into())
    );
}

#[test]
fn another_pod_of_the_same_name_is_another() {
    let mut story = Story::default();
    story.apply(5, Kind::Pods, pod("db-0", "10.0.0.1", 4));
    let mut second = pod("db-0", "10.0.0.2", 8);
    second["metadata"]["uid"] = json!("other");
    story.apply(9, Kind::Pods, second);
    assert_eq!(story.who("10.0.0.1", None, 9), "-");
    assert_eq!(story.who("10.0.0.2", None, 9), "db-0/");
}

#[test]
fn on_its_nodes_network_a_pod_has_ports_and_the_node_the_rest() {
    let mut story = Story::default();
    let node = json!({
        "metadata": {"name": "node1", "creationTimestamp": time(0)},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.9.0.1"}, {"type": "Hostname", "address": "node1"}]},
    });
    story.apply(1, Kind::Nodes, node.clone());
    let mut on_host = pod("proxy", "10.9.0.1", 2);
    on_host["spec"]["hostNetwork"] = json!(true);
    story.apply(3, Kind::Pods, on_host);
    story.apply(3, Kind::Slices, slice("api", "kubernetes", &[6443], &[("10.9.0.1", None)]));
    assert_eq!(story.who("10.9.0.1", Some(80), 5), "proxy/");
    assert_eq!(story.who("10.9.0.1", Some(22), 5), "node1/");
    assert_eq!(story.who("10.9.0.1", Some(6443), 5), "kubernetes/kubernetes");
    // Another pod lends a port of the node.
    let mut lent = pod("web", "10.0.0.5", 4);
    lent["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 8080}]);
    story.apply(5, Kind::Pods, lent);
    assert_eq!(story.who("10.9.0.1", Some(8080), 5), "web/");
    story.remove(6, Kind::Nodes, node);
    assert_eq!(story.who("10.9.0.1", Some(22), 7), "-");
}

#[test]
fn what_a_list_does_not_name_is_gone() {
    let mut story = Story::default();
    for (name, ip) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
        story.apply(5, Kind::Pods, pod(name, ip, 4));
    }
    let listed = BTreeSet::from([Key { namespace: "shop".into(), name: "b".into() }]);
    story.cluster.retain(Kind::Pods, Some("elsewhere"), &BTreeSet::new(), at(8));
    story.cluster.retain(Kind::Pods, None, &listed, at(8));
    story.hear();
    assert_eq!((story.who("10.0.0.1", None, 8), story.who("10.0.0.2", None, 8)), ("-".into(), "b/".into()));
    assert_eq!(story.cluster.sizes().pods, 1);
}

#[test]
fn each_node_is_told_of_its_own_targets() {
    let mut story = Story::default();
    let names =
        |targets: &Targets| targets.pods.iter().map(|pod| pod.name.clone()).collect::<Vec<_>>().join(" ");
    for (name, node) in [("web-1", "node1"), ("db-1", "node1"), ("web-2", "node2")] {
        let mut pod = pod(name, "10.0.0.1", 4);
        pod["spec"]["nodeName"] = json!(node);
        story.apply(5, Kind::Pods, pod);
    }
    let all = story.cluster.targets("node1");
    assert_eq!((all.all, &*all.rule, names(&all)), (true, "everything", "db-1 web-1".into()));
    let rule = Rule::new(TargetConfig { regex: "^web".into(), ..TargetConfig::default() }).unwrap();
    assert!(story.cluster.set_rule(rule.clone()) && !story.cluster.set_rule(rule));
    let some = story.cluster.targets("node1");
    assert_eq!((some.all, names(&some)), (false, "web-1".into()));
    assert_eq!(names(&story.cluster.targets("node2")), "web-2");
    assert_eq!(names(&story.cluster.targets("node3")), "");
    assert!(Arc::ptr_eq(&some, &story.cluster.targets("node1")), "nothing has changed");
    // A pod that gets another address, one that ends, one that goes.
    let mut other = pod("web-1", "10.0.0.7", 4);
    other["spec"]["nodeName"] = json!("node1");
    story.apply(6, Kind::Pods, other);
    assert_eq!(story.cluster.targets("node1").pods[0].ips, ["10.0.0.7".parse::<IpAddr>().unwrap()]);
    let mut over = pod("web-2", "10.0.0.1", 4);
    over["spec"]["nodeName"] = json!("node2");
    over["status"]["phase"] = json!("Succeeded");
    story.apply(7, Kind::Pods, over);
    assert_eq!(names(&story.cluster.targets("node2")), "");
    assert_eq!(story.cluster.targeted().len(), 1);
}
