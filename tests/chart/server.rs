//! What a real API server makes of the chart.

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use support::kubernetes::{Cluster, Namespace};

use crate::render::{Rendered, chart, every_combination, helm, secret};

fn documents<'a>(objects: impl IntoIterator<Item = &'a Value>) -> String {
    objects.into_iter().fold(String::new(), |mut text, object| {
        writeln!(text, "---\n{object}").expect("memory");
        text
    })
}

/// Makes the server know the kind `ServiceMonitor`, unless it does.
fn service_monitors(cluster: &Cluster) {
    const CRD: &str = "customresourcedefinition/servicemonitors.monitoring.coreos.com";
    if cluster.run(&["kubectl", "get", CRD], "").code == Some(0) {
        return;
    }
    let tools = std::env::var_os("KUBESHARK_TOOLS").map(PathBuf::from);
    let file = tools.map(|tools| tools.join("service-monitor.yaml")).filter(|file| file.is_file());
    let file = file.expect("KUBESHARK_TOOLS names what hack/tools.sh has built");
    cluster.must(&["kubectl", "apply", "--server-side", "-f", file.to_str().expect("UTF-8")], "");
    cluster.must(&["kubectl", "wait", "--for=condition=Established", "--timeout=60s", CRD], "");
}

#[test]
fn the_server_takes_every_manifest() {
    let Some(all) = every_combination() else { return };
    let Some(cluster) = Cluster::find("chart") else { return };
    let namespaces = [crate::render::namespace(), crate::render::worker_namespace()];
    let _made: Vec<_> = namespaces.iter().map(|name| Namespace::named(&cluster, name, &[])).collect();
    service_monitors(&cluster);
    // Most are the same in most combinations.
    let objects = all.iter().flat_map(|rendered| &rendered.objects);
    let distinct: BTreeSet<String> = objects.map(Value::to_string).collect();
    let distinct: Vec<Value> =
        distinct.iter().map(|text| serde_json::from_str(text).expect("what was written")).collect();
    let create = ["kubectl", "create", "--dry-run=server", "--validate=strict", "-f", "-"];
    let told = cluster.must(&create, &documents(&distinct));
    assert_eq!(
        told.lines().filter(|line| line.ends_with("created (server dry run)")).count(),
        distinct.len()
    );
    // It does look: a field that no pod has is refused.
    let deployment = distinct.iter().find(|object| object["kind"] == "Deployment").expect("a hub");
    let mut misspelt = deployment.clone();
    misspelt["spec"]["template"]["spec"]["hostNetwrok"] = json!(true);
    let refused = cluster.run(&create, &misspelt.to_string());
    assert!(refused.code != Some(0) && refused.stderr.contains("hostNetwrok"), "{}", refused.stderr);
}

/// The pod that a `Deployment` or `DaemonSet` of the chart would make.
fn pod(rendered: &Rendered, kind: &str, namespace: &str) -> Value {
    let owner = rendered.objects.iter().find(|object| object["kind"] == kind).expect("one of each");
    let template = &owner["spec"]["template"];
    json!({
        "apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
        "metadata": {"name": "judged", "namespace": namespace, "labels": template["metadata"]["labels"]},
    })
}

#[test]
fn the_hub_may_live_where_pods_are_restricted() {
    let Some(all) = every_combination() else { return };
    let Some(cluster) = Cluster::find("chart") else { return };
    let enforced = |level: &str| {
        let label = format!("pod-security.kubernetes.io/enforce={level}");
        let namespace = Namespace::new(&cluster, &format!("chart-{level}"), &[&label]);
        for account in ["kubeshark-hub", "kubeshark-worker"] {
            cluster.must(&["kubectl", "-n", &namespace.name, "create", "serviceaccount", account], "");
        }
        namespace
    };
    let (restricted, baseline, privileged) =
        (enforced("restricted"), enforced("baseline"), enforced("privileged"));
    let create =
        |pod: &Value| cluster.run(&["kubectl", "create", "--dry-run=server", "-f", "-"], &pod.to_string());
    for rendered in all.iter().filter(|rendered| rendered.switched.len() <= 1) {
        let hub = create(&pod(rendered, "Deployment", &restricted.name));
        assert_eq!(hub.code, Some(0), "{:?}: {}", rendered.switched, hub.stderr);
        let worker = create(&pod(rendered, "DaemonSet", &privileged.name));
        assert_eq!(worker.code, Some(0), "{:?}: {}", rendered.switched, worker.stderr);
        let refused = create(&pod(rendered, "DaemonSet", &baseline.name)).stderr;
        assert!(
            refused.contains("violates PodSecurity") && refused.contains("hostNetwork=true"),
            "{refused}"
        );
    }
}

/// A release whose pods never start.
struct Release<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
}

impl Release<'_> {
    fn upgrade(&self, settings: &[&str]) {
        let chart = chart();
        let mut words = vec!["helm", "upgrade", "--install", "kubeshark", chart.to_str().expect("UTF-8")];
        words.extend(["--namespace", self.namespace, "--set", "tap.hub.replicas=0"]);
        let nowhere =
            r#"tap.nodeSelectorTerms=[{"matchExpressions":[{"key":"nowhere","operator":"Exists"}]}]"#;
        words.extend(["--set-json", nowhere]);
        words.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        self.cluster.must(&words, "");
    }

    fn get(&self, what: &str) -> Value {
        self.cluster.get(&["-n", self.namespace, what])
    }

    /// The keys, as the release has them.
    fn keys(&self) -> Vec<Vec<u8>> {
        let secrets = self.get("secrets");
        let secrets = secrets["items"].as_array().expect("a list");
        crate::render::KEYS.iter().map(|(_, name, key)| secret(secrets, name)[*key].clone()).collect()
    }

    fn checksums(&self) -> (Value, Value) {
        let of = |what: &str| {
            self.get(what)["spec"]["template"]["metadata"]["annotations"]["checksum/keys"].clone()
        };
        (of("deployment/kubeshark-hub"), of("daemonset/kubeshark-worker-daemon-set"))
    }
}

#[test]
fn an_upgrade_keeps_keys_and_scripts() {
    if helm().is_none() {
        return;
    }
    let Some(cluster) = Cluster::find("chart") else { return };
    let namespace = Namespace::new(&cluster, "chart-kept", &[]);
    let release = Release { cluster: &cluster, namespace: &namespace.name };
    release.upgrade(&["scripting.env.bucket=first", "scripting.env.port=9000"]);
    let (keys, checksums) = (release.keys(), release.checksums());
    for (key, begins) in keys.iter().zip(["CERTIFICATE", "CERTIFICATE", "PRIVATE", "CERTIFICATE", "PRIVATE"])
    {
        let text = String::from_utf8_lossy(key);
        assert!(text.starts_with("-----BEGIN ") && text.contains(begins), "{text}");
    }
    // As the hub does.
    let scripts = r#"{"7":{"title":"mine","code":"// mine","active":true}}"#;
    let patch = json!({"data": {"SCRIPTING_SCRIPTS": scripts}}).to_string();
    let of_release = ["-n", &namespace.name];
    let words: Vec<_> = ["kubectl", "patch", "configmap", "kubeshark-config-map", "--patch", &patch].to_vec();
    cluster.must(&[words, of_release.to_vec()].concat(), "");

    release.upgrade(&["scripting.env.bucket=second", "tap.regex=web.*", "tap.docker.tag=next"]);
    assert_eq!(release.keys(), keys, "an upgrade keeps keys");
    assert_eq!(release.checksums(), checksums, "and replaces no pod for them");
    let settings = release.get("configmap/kubeshark-config-map")["data"].clone();
    assert_eq!(settings["SCRIPTING_SCRIPTS"], scripts);
    assert_eq!(settings["POD_REGEX"], "web.*");
    let env = secret(&[release.get("secret/kubeshark-secret")], "kubeshark-secret");
    assert_eq!(env["SCRIPTING_ENV"], br#"{"bucket":"second"}"#);
    // What the release was given is told to whoever may ask for it; keys were not given.
    let values = cluster.must(&["helm", "get", "values", "--all", "kubeshark", "-n", &namespace.name], "");
    assert!(values.contains("web.*") && !values.contains("PRIVATE KEY"), "{values}");

    let both = ["kubeshark-hub-keys", "kubeshark-worker-keys"];
    cluster.must(&["kubectl", "delete", "secret", "-n", &namespace.name, both[0], both[1]], "");
    release.upgrade(&[]);
    assert!(release.keys().iter().zip(&keys).all(|(new, old)| new != old), "deleted keys are made anew");
    assert_ne!(release.checksums(), checksums);
    cluster.must(&["helm", "uninstall", "kubeshark", "-n", &namespace.name], "");
    Cluster::wait(
        Duration::from_mins(1),
        || {
            release.get("secrets,configmaps,pods,roles")["items"]
                .as_array()
                .filter(|left| left.iter().all(foreign))
                .map(drop)
        },
        || format!("left behind: {}", release.get("secrets,configmaps,pods,roles")),
    );
}

/// What every namespace has of its own.
fn foreign(object: &Value) -> bool {
    object["metadata"]["name"] == "kube-root-ca.crt"
}
