//! Our image on every node, and the chart installed with it.

use std::{
    path::PathBuf,
    process::Command,
    sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use serde_json::Value;
use support::{
    Scratch,
    kubernetes::{Cluster, Forward, Namespace},
    program,
};

/// How long pods may take to be ready.
pub(crate) const READY: Duration = Duration::from_secs(90);

/// A cluster whose nodes have the program's image; `None` is noted.
pub(crate) fn cluster() -> Option<Cluster> {
    static LOADED: OnceLock<()> = OnceLock::new();
    let cluster = Cluster::find("kubernetes")?;
    if !cluster.is_ours() {
        program::note("kubernetes: not run (an image can be loaded only into a cluster of hack/cluster.sh)");
        return None;
    }
    LOADED.get_or_init(|| {
        let scratch = Scratch::new();
        crate::traffic::load(&cluster, scratch.path());
        let image = scratch.path().join("kubeshark-test.tar");
        let mut command = Command::new(support::root().join("hack/images.sh"));
        command.arg("--test").arg(&image).arg(PathBuf::from(env!("CARGO_BIN_EXE_kubeshark")));
        let ran = program::run(&mut command, b"", Duration::from_mins(1));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        cluster.alter(&["load", image.to_str().expect("UTF-8")]);
    });
    Some(cluster)
}

/// Nodes come and go in one test alone; the others count on those that there are.
static NODES: RwLock<()> = RwLock::new(());

/// Why a release's nodes are those that it expects.
enum Still {
    /// They stay.
    Shared(#[expect(dead_code, reason = "it is held")] RwLockReadGuard<'static, ()>),
    /// Nobody else looks.
    Alone(#[expect(dead_code, reason = "it is held")] RwLockWriteGuard<'static, ()>),
}

/// The chart, installed in a namespace of its own; it goes with its value.
pub(crate) struct Release<'a> {
    cluster: &'a Cluster,
    #[expect(dead_code, reason = "it is held")]
    still: Still,
    /// Where.
    pub(crate) namespace: Namespace<'a>,
}

impl<'a> Release<'a> {
    /// Installs it with these settings and waits for nothing but a test in which nodes come and go.
    pub(crate) fn install(cluster: &'a Cluster, purpose: &str, settings: &[&str]) -> Self {
        let still = Still::Shared(NODES.read().unwrap_or_else(PoisonError::into_inner));
        Self::install_while(still, cluster, purpose, settings)
    }

    /// The same for the test in which nodes come and go.
    pub(crate) fn install_alone(cluster: &'a Cluster, purpose: &str, settings: &[&str]) -> Self {
        let still = Still::Alone(NODES.write().unwrap_or_else(PoisonError::into_inner));
        Self::install_while(still, cluster, purpose, settings)
    }

    fn install_while(still: Still, cluster: &'a Cluster, purpose: &str, settings: &[&str]) -> Self {
        let label = "pod-security.kubernetes.io/enforce=privileged";
        let namespace = Namespace::new(cluster, purpose, &[label]);
        let chart = support::root().join("helm");
        let mut words = vec!["helm", "install", "kubeshark", chart.to_str().expect("UTF-8")];
        words.extend(["--namespace", &namespace.name]);
        let ours =
            ["tap.docker.registry=localhost", "tap.docker.tag=test", "tap.docker.imagePullPolicy=Never"];
        words.extend(ours.iter().chain(settings).flat_map(|setting| ["--set", setting]));
        cluster.must(&words, "");
        Self { cluster, still, namespace }
    }

    /// `kubectl get` in its namespace.
    pub(crate) fn get(&self, words: &[&str]) -> Value {
        self.cluster.get(&[&["-n", &self.namespace.name], words].concat())
    }

    /// The names of its running workers, as soon as one is ready on each node.
    pub(crate) fn workers(&self) -> Vec<String> {
        let set = || self.get(&["daemonset", "kubeshark-worker-daemon-set"])["status"].clone();
        let ready = || {
            let status = set();
            let wanted = status["desiredNumberScheduled"].as_u64().filter(|wanted| *wanted > 1)?;
            (status["numberReady"].as_u64() == Some(wanted)).then_some(())
        };
        Cluster::wait(READY, ready, || format!("{}\n{}", set(), self.troubles()));
        let pods = self.get(&["pods", "-l", "app.kubeshark.co/app=worker"]);
        let pods = pods["items"].as_array().expect("a list");
        pods.iter().map(|pod| pod["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Where the hub is, once it is ready.
    pub(crate) fn hub(&self) -> Forward {
        self.rolled_out("deployment/kubeshark-hub");
        self.cluster.forward(&self.namespace.name, "service/kubeshark-hub", 80)
    }

    /// Its hubs' pods, as `pod/NAME`.
    pub(crate) fn hubs(&self) -> Vec<String> {
        let pods = self.get(&["pods", "-l", "app.kubeshark.co/app=hub"]);
        let pods = pods["items"].as_array().expect("a list").iter();
        pods.map(|pod| format!("pod/{}", pod["metadata"]["name"].as_str().expect("a name"))).collect()
    }

    /// Changes an object of it.
    pub(crate) fn patch(&self, object: &str, patch: &str) {
        let words = ["kubectl", "-n", &self.namespace.name, "patch", object, "--type=merge", "-p", patch];
        self.cluster.must(&words, "");
    }

    /// Ends the hub's pod, as a crash would; another takes its place.
    pub(crate) fn restart_hub(&self) {
        let words =
            ["kubectl", "-n", &self.namespace.name, "delete", "pod", "-l", "app.kubeshark.co/app=hub"];
        self.cluster.must(&words, "");
    }

    /// Waits until all pods of it are new and ready.
    pub(crate) fn rolled_out(&self, object: &str) {
        let words = ["kubectl", "-n", &self.namespace.name, "rollout", "status", object, "--timeout=90s"];
        let ran = self.cluster.run(&words, "");
        assert_eq!(ran.code, Some(0), "{}\n{}", ran.stderr, self.troubles());
    }

    /// What pods have to say where they do not become ready.
    fn troubles(&self) -> String {
        let in_namespace = ["-n", &self.namespace.name];
        let told = |words: &[&str]| {
            let ran = self.cluster.run(&[&["kubectl"], words, &in_namespace].concat(), "");
            String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr
        };
        let logs = told(&["logs", "-l", "app.kubernetes.io/name=kubeshark", "--tail=20", "--prefix"]);
        format!("{}\n{logs}", told(&["get", "events", "--field-selector=type!=Normal"]))
    }
}
