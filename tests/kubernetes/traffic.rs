//! Pods that talk to each other: nginx and curl as they are installed here, in an image made of them.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use support::{
    kubernetes::{Cluster, Namespace},
    program,
};

use crate::release::READY;

/// What the image is called.
const IMAGE: &str = "localhost/traffic:test";

/// The image's programs.
const PROGRAMS: &[&str] = &["/usr/sbin/nginx", "/usr/bin/curl", "/usr/bin/sleep"];

/// Answers everything with 200 but what is below `/missing`.
const NGINX: &str = "\
daemon off; master_process off; error_log stderr; pid /tmp/nginx.pid; worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    server { listen 80; location / { return 200 \"ok\"; } location /missing { return 404; } }
}
";

/// Brings the image onto every node.
pub(crate) fn load(cluster: &Cluster, scratch: &Path) {
    let write = |name: &str, text: &str| {
        let path = scratch.join(name);
        fs::write(&path, text).expect("a scratch file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let mut files = BTreeSet::from([
        format!("{}=/nginx.conf", write("nginx.conf", NGINX)),
        format!("{}=/etc/passwd", write("passwd", "root:x:0:0::/:/\nnobody:x:65534:65534::/:/\n")),
        format!("{}=/etc/group", write("group", "root:x:0:\nnogroup:x:65534:\n")),
    ]);
    for program in PROGRAMS {
        files.insert(format!("{program}={program}"));
        let ran = program::run(Command::new("ldd").arg(program), b"", Duration::from_secs(10));
        let printed = String::from_utf8(ran.stdout).expect("UTF-8");
        for library in printed.split_whitespace().filter(|word| word.starts_with('/')) {
            let file = fs::canonicalize(library).expect("a library that ldd names");
            files.insert(format!("{}={library}", file.display()));
        }
    }
    let image = scratch.join("traffic.tar");
    let mut command = Command::new(support::root().join("hack/image.sh"));
    command.arg(&image).args([IMAGE, "/usr/bin/sleep"]).args(&files);
    let ran = program::run(&mut command, b"", Duration::from_mins(1));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    cluster.alter(&["load", image.to_str().expect("UTF-8")]);
}

/// A namespace in which there are nginx and clients; it goes with its value.
pub(crate) struct Town<'a> {
    cluster: &'a Cluster,
    pub(crate) namespace: Namespace<'a>,
}

impl<'a> Town<'a> {
    /// An nginx, `web-NODE`, on each of these nodes, both behind the service `web`, and a client on each, `client-NODE`.
    pub(crate) fn new(cluster: &'a Cluster, purpose: &str, nodes: &[&str]) -> Self {
        let town = Self { cluster, namespace: Namespace::new(cluster, purpose, &[]) };
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "protocol": "TCP"}]},
        });
        town.apply(&service);
        for node in nodes {
            town.apply(&town.web(&format!("web-{node}"), node));
            let command = ["/usr/bin/sleep", "infinity"];
            town.apply(&town.pod(&format!("client-{node}"), node, "client", &command));
        }
        town.cluster.must(
            &[
                "kubectl",
                "-n",
                &town.namespace.name,
                "wait",
                "--for=condition=Ready",
                "pod",
                "--all",
                "--timeout=90s",
            ],
            "",
        );
        town
    }

    /// An nginx.
    pub(crate) fn web(&self, name: &str, node: &str) -> Value {
        let mut pod = self.pod(name, node, "web", &["/usr/sbin/nginx", "-c", "/nginx.conf"]);
        pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "protocol": "TCP"}]);
        pod
    }

    fn pod(&self, name: &str, node: &str, app: &str, command: &[&str]) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}},
            "spec": {
                "nodeName": node, "terminationGracePeriodSeconds": 1,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "c", "image": IMAGE, "imagePullPolicy": "Never", "command": command}],
            },
        })
    }

    /// Creates an object, or changes it.
    pub(crate) fn apply(&self, object: &Value) {
        let words = ["kubectl", "-n", &self.namespace.name, "apply", "-f", "-"];
        self.cluster.must(&words, &object.to_string());
    }

    /// `kubectl` in its namespace.
    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        self.cluster.must(&[&["kubectl", "-n", &self.namespace.name], words].concat(), "")
    }

    /// A pod's address.
    pub(crate) fn ip(&self, pod: &str) -> String {
        self.kubectl(&["get", "pod", pod, "-o", "jsonpath={.status.podIP}"])
    }

    /// The client of `node` asks for `url`, `n` times over a connection each; all of them are answered.
    pub(crate) fn ask(&self, node: &str, url: &str, n: usize) {
        let client = format!("client-{node}");
        let mut words =
            vec!["exec", &client, "--", "/usr/bin/curl", "-s", "--fail-early", "-H", "Connection: close"];
        let urls: Vec<_> =
            (0..n).map(|i| format!("{url}{}n={i}", if url.contains('?') { '&' } else { '?' })).collect();
        words.extend(urls.iter().map(String::as_str));
        self.kubectl(&words);
    }

    /// Asks the service until it answers.
    pub(crate) fn settle(&self, node: &str) {
        let client = format!("client-{node}");
        let url = format!("http://web.{}/settle", self.namespace.name);
        let answered = || {
            let words =
                ["kubectl", "-n", &self.namespace.name, "exec", &client, "--", "/usr/bin/curl", "-sf", &url];
            (self.cluster.run(&words, "").code == Some(0)).then_some(())
        };
        Cluster::wait(READY, answered, || format!("{url} is not answered on {node}"));
    }
}
