//! What every manifest must keep, whatever was chosen. A broken rule is a sentence.

use serde_json::{Value, json};

use crate::render::{Rendered, namespace};

/// What a worker may hold: to open its sockets, and to become somebody who may not.
const ALLOWED: [&str; 3] = ["NET_RAW", "SETGID", "SETUID"];

/// Every broken rule.
pub(crate) fn complaints(rendered: &Rendered) -> Vec<String> {
    let mut broken = Vec::new();
    for object in &rendered.objects {
        let at = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
        let mut complain = |what: String| broken.push(format!("{at}: {what}"));
        match text(&object["kind"]) {
            "Deployment" | "DaemonSet" => pods(object, &mut complain),
            "Role" | "ClusterRole" => rights(object, &mut complain),
            "RoleBinding" | "ClusterRoleBinding" => {
                let hub =
                    json!({"kind": "ServiceAccount", "name": "kubeshark-hub", "namespace": namespace()});
                if object["subjects"] != json!([hub]) {
                    complain(format!("binds {}", object["subjects"]));
                }
            }
            "Service" if !list(&object["spec"]["ports"]).all(|port| port["protocol"] == "TCP") => {
                complain("a port without a protocol, which server-side apply refuses".into());
            }
            _ => {}
        }
    }
    switches(rendered, &mut broken);
    broken
}

/// Whether each switch does what it says.
fn switches(rendered: &Rendered, broken: &mut Vec<String>) {
    let count = |kind| rendered.objects.iter().filter(|object| object["kind"] == kind).count();
    let scoped = rendered.is("tap.namespaceScoped");
    let auth = match (rendered.is("tap.auth.enabled"), scoped) {
        (true, _) => "off",
        (false, true) => "loopback",
        (false, false) => "token",
    };
    let expected = [
        ("Ingress", usize::from(rendered.is("tap.ingress.enabled"))),
        ("NetworkPolicy", usize::from(!rendered.is("tap.networkPolicy.enabled"))),
        ("PersistentVolumeClaim", 2 * usize::from(rendered.is("tap.persistentStorage"))),
        ("ServiceMonitor", 2 * usize::from(rendered.is("tap.metrics.serviceMonitor.enabled"))),
        ("ClusterRole", usize::from(!scoped)),
        ("ClusterRoleBinding", usize::from(!scoped)),
        // The hub's own, and for each watched namespace one.
        ("Role", 1 + usize::from(scoped) * (1 + usize::from(rendered.is("tap.workerNamespace")))),
        ("Deployment", 1),
        ("DaemonSet", 1),
    ];
    for (kind, expected) in expected {
        if count(kind) != expected {
            broken.push(format!("{} objects of kind {kind} and not {expected}", count(kind)));
        }
    }
    let hub = rendered.objects.iter().find(|object| object["kind"] == "Deployment");
    let container = hub.map(|hub| &hub["spec"]["template"]["spec"]["containers"][0]);
    let said = container.and_then(|hub| list(&hub["env"]).find(|set| set["name"] == "KUBESHARK_AUTH"));
    if said.is_none_or(|said| said["value"] != auth) {
        broken.push(format!("KUBESHARK_AUTH is not {auth}"));
    }
    let reviews = rendered.objects.iter().filter(|object| object["kind"] == "ClusterRole");
    let reviews = reviews
        .flat_map(|role| list(&role["rules"]))
        .any(|rule| rule["resources"] == json!(["tokenreviews"]));
    if reviews != (auth == "token") {
        broken.push(format!("tokens can{} be checked", if reviews { "" } else { "not" }));
    }
}

/// The rules for pods.
fn pods(object: &Value, complain: &mut impl FnMut(String)) {
    let worker = object["kind"] == "DaemonSet";
    let pod = &object["spec"]["template"]["spec"];
    let mut want = |holds: bool, what: &str| {
        if !holds {
            complain(what.to_owned());
        }
    };
    want(
        pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault",
        "seccomp is not RuntimeDefault",
    );
    want(pod["hostPID"].is_null() && pod["hostIPC"].is_null(), "shares processes with its node");
    want(pod["hostNetwork"].is_null() || worker, "shares the network of its node");
    let on_node = list(&pod["volumes"]).filter(|volume| !volume["hostPath"].is_null());
    want(worker || on_node.count() == 0, "reads files of its node");
    want(worker || pod["securityContext"]["runAsNonRoot"] == true, "may run as root");
    want(!worker || pod["automountServiceAccountToken"] == false, "a worker has a token");
    for container in list(&pod["containers"]).chain(list(&pod["initContainers"])) {
        let security = &container["securityContext"];
        want(security["privileged"] != true, "privileged");
        want(security["allowPrivilegeEscalation"] == false, "may escalate");
        want(security["readOnlyRootFilesystem"] == true, "its root file system can be written");
        want(security["capabilities"]["drop"] == json!(["ALL"]), "keeps capabilities");
        let added = list(&security["capabilities"]["add"]).map(text);
        let allowed: &[&str] = if worker { &ALLOWED } else { &[] };
        for capability in added.filter(|capability| !allowed.contains(capability)) {
            want(false, &format!("has the capability {capability}"));
        }
        want(!container["resources"]["limits"]["memory"].is_null(), "its memory has no limit");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            want(container[probe].is_object(), &format!("has no {probe}"));
        }
    }
    for volume in list(&pod["volumes"]).filter(|volume| volume["emptyDir"].is_object()) {
        want(!volume["emptyDir"]["sizeLimit"].is_null(), "a volume without a limit");
    }
}

/// The rules for roles.
fn rights(role: &Value, complain: &mut impl FnMut(String)) {
    const READING: [&str; 3] = ["get", "list", "watch"];
    for rule in list(&role["rules"]) {
        let words = |field: &str| list(&rule[field]).map(text).collect::<Vec<_>>();
        let (resources, verbs) = (words("resources"), words("verbs"));
        if ["apiGroups", "resources", "verbs"].iter().any(|field| words(field).contains(&"*")) {
            complain(format!("a wildcard: {rule}"));
        }
        if resources.contains(&"secrets")
            && (role["kind"] == "ClusterRole" || words("resourceNames").is_empty())
        {
            complain(format!("Secrets of others: {rule}"));
        }
        let reading = verbs.iter().all(|verb| READING.contains(verb));
        let asking = verbs == ["create"] && resources.iter().all(|resource| resource.ends_with("reviews"));
        let lease = verbs == ["create"] && resources == ["leases"];
        if !(reading || asking || lease && role["kind"] == "Role") && words("resourceNames").is_empty() {
            complain(format!("writes what is not its own: {rule}"));
        }
    }
}

/// The items of a list; none if it is none.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
