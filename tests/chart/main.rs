//! The Helm chart: rendered by the real `helm` with every combination of its main switches, held against rules, and shown
//! to a real API server.

mod render;
mod rules;
mod server;

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use render::{Rendered, chart, every_combination, helm, render, render_chart, set};
use serde_json::{Value, json};
use support::program;

#[test]
fn every_combination_keeps_the_rules() {
    let Some(all) = every_combination() else { return };
    assert_eq!(all.len(), 128);
    for rendered in all {
        assert_eq!(rules::complaints(rendered), Vec::<String>::new(), "{:?}", rendered.switched);
    }
}

/// Each rule is broken once.
#[test]
fn rules_see_what_breaks_them() {
    let Some(all) = every_combination() else { return };
    let hub = "/spec/template/spec";
    let container = "/spec/template/spec/containers/0/securityContext";
    let tampered: &[(&str, String, Value, &str)] = &[
        ("DaemonSet", format!("{container}/privileged"), json!(true), "privileged"),
        ("DaemonSet", format!("{container}/capabilities/add"), json!(["SYS_ADMIN"]), "SYS_ADMIN"),
        (
            "Deployment",
            format!("{container}/capabilities"),
            json!({"drop": ["ALL"], "add": ["NET_RAW"]}),
            "NET_RAW",
        ),
        ("Deployment", format!("{container}/capabilities/drop"), json!([]), "keeps capabilities"),
        ("Deployment", format!("{container}/allowPrivilegeEscalation"), json!(true), "escalate"),
        ("Deployment", format!("{container}/readOnlyRootFilesystem"), json!(false), "can be written"),
        ("Deployment", format!("{hub}/securityContext/runAsNonRoot"), json!(false), "as root"),
        ("DaemonSet", format!("{hub}/securityContext/seccompProfile"), json!({}), "seccomp"),
        ("DaemonSet", format!("{hub}/automountServiceAccountToken"), json!(true), "token"),
        ("ClusterRole", "/rules/0/verbs".into(), json!(["*"]), "wildcard"),
        ("ClusterRole", "/rules/0/verbs".into(), json!(["delete"]), "not its own"),
        ("ClusterRole", "/rules/0/resources".into(), json!(["secrets"]), "Secrets of others"),
        ("ClusterRoleBinding", "/subjects/0/name".into(), json!("kubeshark-worker"), "binds"),
        ("Service", "/spec/ports/0/protocol".into(), Value::Null, "without a protocol"),
        ("Deployment", format!("{hub}/containers/0/env"), json!([]), "KUBESHARK_AUTH"),
    ];
    for (kind, place, value, expected) in tampered {
        let mut objects = all[0].objects.clone();
        let object = objects.iter_mut().find(|object| object["kind"] == **kind).expect("one of each");
        *object.pointer_mut(place).unwrap_or_else(|| panic!("{kind} has no {place}")) = value.clone();
        let broken = rules::complaints(&Rendered { switched: Vec::new(), objects });
        assert!(broken.iter().any(|told| told.contains(expected)), "{place}: {broken:?}");
    }
}

#[test]
fn unknown_values_are_refused() {
    let Some(helm) = helm() else { return };
    for (key, value, named) in [
        ("tap.regexp", "x", "regexp"),
        ("regex", "x", "regex"),
        ("tap.docker.imagepullpolicy", "Always", "imagepullpolicy"),
        ("tap.docker.imagePullPolicy", "Sometimes", "imagePullPolicy"),
        ("tap.resources.hub.limits.gpu", "1", "gpu"),
        ("tap.proxy.worker.srvPort", "70000", "srvPort"),
        ("tap.namespaces[0]", "Not_A_Name", "namespaces"),
        ("scripting.scripts[0].title", "no code", "code"),
        ("tap.keys.ca", "alone", "tap.keys"),
    ] {
        let told = render(&helm, &set(&[(key, value)])).expect_err(key);
        assert!(told.contains(named), "{key}: {told}");
    }
}

/// The one object of this kind and name.
fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found =
        objects.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let object = found.next().unwrap_or_else(|| panic!("no {kind} {name}"));
    assert!(found.next().is_none(), "more than one {kind} {name}");
    object
}

/// What scripts may reach and whom they trust, in both namespaces in which they run.
#[test]
fn scripts_are_told_what_they_may_reach() {
    let Some(helm) = helm() else { return };
    let pods = |objects: &[Value]| {
        let worker =
            find(objects, "DaemonSet", "kubeshark-worker-daemon-set")["spec"]["template"]["spec"].clone();
        [worker, find(objects, "Deployment", "kubeshark-hub")["spec"]["template"]["spec"].clone()]
    };
    let env = |pod: &Value, name: &str| {
        let env = pod["containers"][0]["env"].as_array().expect("a list").iter();
        env.filter(|one| one["name"] == name).map(|one| one["value"].clone()).collect::<Vec<_>>()
    };
    let plain = render(&helm, &[]).unwrap_or_else(|error| panic!("{error}"));
    for pod in pods(&plain) {
        assert_eq!(env(&pod, "KUBESHARK_SCRIPTS_ALLOW_METADATA"), ["false"]);
        assert!(env(&pod, "KUBESHARK_SCRIPTS_CA").is_empty());
    }
    let given = set(&[
        ("scripting.allowMetadata", "true"),
        ("scripting.ca", "-----BEGIN CERTIFICATE-----"),
        ("tap.workerNamespace", "nodes"),
    ]);
    let given = render(&helm, &given).unwrap_or_else(|error| panic!("{error}"));
    for pod in pods(&given) {
        assert_eq!(env(&pod, "KUBESHARK_SCRIPTS_ALLOW_METADATA"), ["true"]);
        let file = &env(&pod, "KUBESHARK_SCRIPTS_CA")[0];
        let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("a list");
        let mount = mounts.iter().find(|mount| mount["name"] == "scripts-ca").expect("a mount");
        assert_eq!(*file, format!("{}/ca.pem", mount["mountPath"].as_str().expect("a path")));
        let volumes = pod["volumes"].as_array().expect("a list").iter();
        let maps: Vec<_> = volumes.map(|volume| volume["configMap"]["name"].clone()).collect();
        assert!(maps.contains(&json!("kubeshark-scripts-ca")), "{maps:?}");
    }
    let maps = given.iter().filter(|object| object["metadata"]["name"] == "kubeshark-scripts-ca");
    let maps: Vec<_> =
        maps.map(|map| (map["metadata"]["namespace"].clone(), map["data"]["ca.pem"].clone())).collect();
    assert_eq!(maps.len(), 2, "{maps:?}");
    assert!(maps.iter().any(|(namespace, _)| namespace == "nodes"), "{maps:?}");
    assert!(maps.iter().all(|(_, pem)| pem == "-----BEGIN CERTIFICATE-----"), "{maps:?}");
}

#[test]
fn settings_arrive_where_they_are_read() {
    let Some(helm) = helm() else { return };
    let scripts = r#"scripting.scripts=[{"title":"a","code":"console.log(\"é\")"},{"title":"b","code":"2","active":false}]"#;
    let mut arguments = set(&[
        ("tap.regex", "(web|api)-.*"),
        ("tap.namespaces", "{shop,bank}"),
        ("tap.excludedNamespaces", "{kube-system}"),
        ("tap.labelSelector", "app=web"),
        ("tap.docker.registry", "registry.example:5000/team/"),
        ("tap.docker.tag", "v7"),
        ("tap.docker.imagePullSecrets", "{one,two}"),
        ("tap.proxy.worker.srvPort", "40001"),
        ("tap.ipv6", "true"),
        ("tap.dataPath", ""),
        ("tap.ignoreTainted", "true"),
        ("tap.resources.worker.limits.cpu", "2"),
        ("tap.labels.team", "platform"),
        ("resourceLabels.owner", "me"),
        ("tap.ingress.enabled", "true"),
        ("tap.ingress.host", "shark.example"),
        ("scripting.active", "{a}"),
        ("license", "anything"),
    ]);
    let env = r#"scripting.env={"S3_BUCKET":"b","n":7,"on":true,"nested":{"list":[1,null]}}"#;
    arguments.extend(["--set-json", scripts, "--set-json", env].map(str::to_owned));
    let objects = render(&helm, &arguments).unwrap_or_else(|error| panic!("{error}"));

    let settings = &find(&objects, "ConfigMap", "kubeshark-config-map")["data"];
    for (key, expected) in [
        ("POD_REGEX", "(web|api)-.*"),
        ("NAMESPACES", "shop,bank"),
        ("EXCLUDED_NAMESPACES", "kube-system"),
        ("LABEL_SELECTOR", "app=web"),
        ("SCRIPTING_ENABLED", "true"),
        ("SCRIPTING_ACTIVE_SCRIPTS", "a"),
    ] {
        assert_eq!(settings[key], expected, "{key}");
    }
    let parsed = |text: &Value| serde_json::from_str::<Value>(text.as_str().expect("text")).expect("JSON");
    let expected = json!({
        "1": {"title": "a", "code": "console.log(\"é\")", "active": true},
        "2": {"title": "b", "code": "2", "active": false},
    });
    assert_eq!(parsed(&settings["SCRIPTING_SCRIPTS"]), expected);
    let secret = &find(&objects, "Secret", "kubeshark-secret")["stringData"]["SCRIPTING_ENV"];
    assert_eq!(parsed(secret), json!({"S3_BUCKET": "b", "n": 7, "on": true, "nested": {"list": [1, null]}}));

    let worker = &find(&objects, "DaemonSet", "kubeshark-worker-daemon-set")["spec"]["template"];
    let hub = &find(&objects, "Deployment", "kubeshark-hub")["spec"]["template"];
    for (pod, place, expected) in [
        (hub, "/spec/containers/0/image", json!("registry.example:5000/team/kubeshark:v7")),
        (hub, "/spec/imagePullSecrets", json!([{"name": "one"}, {"name": "two"}])),
        (hub, "/metadata/labels/team", json!("platform")),
        (hub, "/metadata/labels/owner", json!("me")),
        (worker, "/spec/containers/0/ports/0/hostPort", json!(40001)),
        (worker, "/spec/containers/0/resources/limits", json!({"cpu": "2", "memory": "1Gi"})),
        (worker, "/spec/volumes/1", json!({"name": "data", "emptyDir": {"sizeLimit": "500Mi"}})),
    ] {
        assert_eq!(pod.pointer(place), Some(&expected), "{place}");
    }
    assert!(worker["spec"]["tolerations"].is_null());
    for (pod, name, expected) in [
        (hub, "KUBESHARK_HUB_LISTEN", "[::]:8899"),
        (hub, "KUBESHARK_WORKER_PORT", "40001"),
        (worker, "KUBESHARK_WORKER_LISTEN", "[$(KUBESHARK_HOST_IP)]:40001"),
        (worker, "KUBESHARK_SNAPLEN", "262144"),
    ] {
        assert_eq!(environment(pod, name), expected, "{name}");
    }
    assert!(environment(hub, "KUBESHARK_ALLOWED_HOSTS").ends_with(",shark.example"));
}

/// The value of a variable in the first container of a pod.
fn environment<'a>(pod: &'a Value, name: &str) -> &'a str {
    let variables = pod["spec"]["containers"][0]["env"].as_array().expect("a list");
    let found = variables.iter().find(|variable| variable["name"] == name);
    found.and_then(|variable| variable["value"].as_str()).unwrap_or_else(|| panic!("{name} has no value"))
}

#[test]
fn given_keys_are_taken_and_others_are_made() {
    let Some(helm) = helm() else { return };
    let scratch = support::Scratch::new();
    let made = render(&helm, &[]).unwrap_or_else(|error| panic!("{error}"));
    let again = render(&helm, &[]).unwrap_or_else(|error| panic!("{error}"));
    let given =
        render(&helm, &render::given_keys(&made, scratch.path())).unwrap_or_else(|error| panic!("{error}"));
    let keys = |objects: &[Value]| {
        ["kubeshark-hub-keys", "kubeshark-worker-keys"].map(|name| render::secret(objects, name))
    };
    assert_eq!(keys(&made), keys(&given));
    assert_ne!(keys(&made), keys(&again));
    let [hub, worker] = keys(&made);
    assert_eq!(hub["ca.crt"], worker["ca.crt"]);
    // openssl says what a peer would.
    for (secret, name) in [(&hub, "kubeshark-hub"), (&worker, "kubeshark-worker")] {
        let path = |file: &str| scratch.path().join(format!("{name}-{file}"));
        for (file, data) in secret {
            fs::write(path(file), data).expect("a file");
        }
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-verify_hostname", name, "-CAfile"]).arg(path("ca.crt")).arg(path("tls.crt"));
        let ran = program::run(&mut verify, b"", Duration::from_secs(10));
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
    }
}

/// What `helm install` tells. `helm template` leaves the notes out: a copy of the chart has them as a manifest.
fn notes(helm: &Path, settings: &[(&str, &str)]) -> String {
    let scratch = support::Scratch::new();
    copy(&chart(), scratch.path());
    let templates = scratch.path().join("templates");
    let notes = fs::read_to_string(templates.join("NOTES.txt")).expect("notes");
    let named = format!("{{{{ define \"test.notes\" }}}}{notes}{{{{ end }}}}");
    fs::write(templates.join("_notes.tpl"), named).expect("a file");
    fs::write(templates.join("notes.yaml"), r#"notes: {{ include "test.notes" . | toJson }}"#)
        .expect("a file");
    let only = ["--show-only", "templates/notes.yaml"].map(str::to_owned);
    let arguments: Vec<_> = set(settings).into_iter().chain(only).collect();
    let objects = render_chart(helm, scratch.path(), &arguments).unwrap_or_else(|error| panic!("{error}"));
    objects[0]["notes"].as_str().expect("text").to_owned()
}

/// Copies the files below a directory.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for path in support::captures::files(from) {
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).expect("a file");
        }
    }
}

#[test]
fn notes_say_what_one_should_know() {
    let Some(helm) = helm() else { return };
    let told = notes(&helm, &[]);
    for line in
        ["port-forward service/kubeshark-hub 8899:80", "ws://127.0.0.1:8899/api/wsFull", "enforce=privileged"]
    {
        assert!(told.contains(line), "{told}");
    }
    assert!(!told.contains("WARNING") && !told.contains("Ignored"), "{told}");
    for (settings, line) in [
        (vec![("tap.auth.enabled", "false")], "WARNING: tap.auth.enabled is false"),
        (vec![("tap.namespaceScoped", "true"), ("tap.namespaces", "{shop}")], "Watched namespaces: shop"),
        (vec![("tap.namespaceScoped", "true")], "`kubectl port-forward` only"),
        (vec![("tap.ingress.enabled", "true")], "http://kubeshark.localhost asks for a Kubernetes token"),
        (vec![("license", "x"), ("tap.serviceMesh", "true")], "Ignored: license, tap.serviceMesh"),
        (vec![("scripting.source", "./scripts")], "which helm can't read"),
    ] {
        let told = notes(&helm, &settings);
        assert!(told.contains(line), "{settings:?}: {told}");
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(support::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn versions_agree() {
    let chart: Value = serde_saphyr::from_str(&read("helm/Chart.yaml")).expect("YAML");
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

/// Every file below a directory that ends in this, in one text.
fn sources(directory: &Path, ending: &str) -> String {
    let mut text = String::new();
    for path in support::captures::files(directory) {
        if path.is_dir() {
            text += &sources(&path, ending);
        } else if path.to_string_lossy().ends_with(ending) {
            text += &fs::read_to_string(&path).expect("UTF-8");
        }
    }
    text
}

/// The chart sets nothing that the program does not read, unless helm/README.md says so; and says so of nothing else.
#[test]
fn the_program_reads_what_the_chart_sets() {
    let program = sources(&support::root().join("crates"), ".rs");
    let variable = regex::Regex::new("KUBESHARK_[A-Z_]+").expect("a pattern");
    let names =
        |text: &str| variable.find_iter(text).map(|found| found.as_str().to_owned()).collect::<BTreeSet<_>>();
    let read_by_it = names(&program);
    let readme = read("helm/README.md");
    let unread = readme.lines().filter(|line| line.contains("not read yet"));
    let unread: BTreeSet<_> = unread.flat_map(names).collect();
    // It is there to be put into others.
    let set_by_chart: BTreeSet<_> =
        names(&sources(&chart(), ".yaml")).into_iter().filter(|name| name != "KUBESHARK_HOST_IP").collect();
    assert!(set_by_chart.len() > 20, "{set_by_chart:?}");
    for name in &set_by_chart {
        assert!(readme.contains(name.as_str()), "helm/README.md does not tell of {name}");
        assert_eq!(
            read_by_it.contains(name),
            !unread.contains(name),
            "{name}: what does helm/README.md say?"
        );
    }
}
