//! A real cluster, if there is one: that which `make test` brings up by `hack/cluster.sh`, or any that `KUBECONFIG` names.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::program::{self, Ran};

/// How long one command of `kubectl` or `helm` may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A cluster that answers.
#[derive(Debug)]
pub struct Cluster {
    ours: bool,
}

impl Cluster {
    /// The cluster; where there is none, that is noted under `test`.
    pub fn find(test: &str) -> Option<Self> {
        let named = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let ours = named("KUBESHARK_CLUSTER");
        if !ours && !named("KUBECONFIG") {
            program::note(&format!(
                "{test}: cluster: not run (`make test` starts one where it can; KUBECONFIG may name one)"
            ));
            return None;
        }
        Some(Self { ours })
    }

    /// Whether it is one of `hack/cluster.sh`, so that images can be loaded and nodes be cut off.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// A command where the API server can be reached.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(crate::root().join("hack/cluster.sh"));
        command.arg("exec").args(words);
        command
    }

    /// Runs it to its end.
    pub fn run(&self, words: &[&str], input: &str) -> Ran {
        program::run(&mut self.command(words), input.as_bytes(), PATIENCE)
    }

    /// The same, for what must succeed: what it printed.
    ///
    /// # Panics
    ///
    /// Where it fails.
    pub fn must(&self, words: &[&str], input: &str) -> String {
        let ran = self.run(words, input);
        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.stderr);
        String::from_utf8(ran.stdout).expect("UTF-8")
    }

    /// `kubectl get … -o json`.
    pub fn get(&self, words: &[&str]) -> Value {
        let words: Vec<_> = ["kubectl", "get", "-o", "json"].iter().chain(words).copied().collect();
        serde_json::from_str(&self.must(&words, "")).expect("JSON")
    }

    /// Another command of `hack/cluster.sh`: `load`, `cut`, `node-down` and so on.
    pub fn alter(&self, words: &[&str]) {
        let ran =
            program::run(Command::new(crate::root().join("hack/cluster.sh")).args(words), b"", PATIENCE);
        assert_eq!(ran.code, Some(0), "hack/cluster.sh {words:?}: {}", ran.stderr);
    }

    /// From now on this thread, and what it starts, is where the API server's port-forwards are. Of a cluster of
    /// `hack/cluster.sh` that is a network namespace.
    pub fn enter(&self) {
        if !self.ours {
            return;
        }
        let name = env::var("KUBESHARK_CLUSTER").expect("the name of our own cluster");
        let path = format!("/run/netns/{name}");
        let file = fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// `kubectl port-forward` to an object, such as `service/web`. Where it leads is for threads that have entered.
    pub fn forward(&self, namespace: &str, object: &str, port: u16) -> Forward {
        let ports = format!(":{port}");
        let mut command = self.command(&["kubectl", "-n", namespace, "port-forward", object, &ports]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("kubectl");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let found = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let rest = line.strip_prefix("Forwarding from ")?.to_owned();
            rest.split(' ').next().filter(|address| address.starts_with("127.")).map(str::to_owned)
        });
        thread::spawn(move || lines.for_each(drop));
        let address = found.unwrap_or_else(|| panic!("no port-forward to {object} in {namespace}"));
        Forward { child, address }
    }

    /// Asks again until `answer` gives something; what `otherwise` says is the failure when it has not within `limit`.
    pub fn wait<T>(
        limit: Duration,
        mut answer: impl FnMut() -> Option<T>,
        otherwise: impl FnOnce() -> String,
    ) -> T {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(given) = answer() {
                return given;
            }
            assert!(Instant::now() < deadline, "{}", otherwise());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// A port-forward; it ends with its value.
#[derive(Debug)]
pub struct Forward {
    child: Child,
    /// Where it leads from: `127.0.0.1:40123`.
    pub address: String,
}

impl Drop for Forward {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A namespace of a test's own, gone with the test.
#[derive(Debug)]
pub struct Namespace<'a> {
    cluster: &'a Cluster,
    /// What it is called.
    pub name: String,
}

impl<'a> Namespace<'a> {
    /// A new one whose name begins with `purpose`, with these labels.
    pub fn new(cluster: &'a Cluster, purpose: &str, labels: &[&str]) -> Self {
        Self::named(cluster, &format!("{purpose}-{}", std::process::id()), labels)
    }

    /// The same, of this name.
    pub fn named(cluster: &'a Cluster, name: &str, labels: &[&str]) -> Self {
        let name = name.to_owned();
        cluster.must(&["kubectl", "create", "namespace", &name], "");
        if !labels.is_empty() {
            let words: Vec<_> =
                ["kubectl", "label", "namespace", &name].iter().chain(labels).copied().collect();
            cluster.must(&words, "");
        }
        Self { cluster, name }
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        // What goes wrong here belongs to no test.
        drop(self.cluster.run(&["kubectl", "delete", "namespace", "--wait=false", &self.name], ""));
    }
}
