//! `kubeshark hub`

use std::net::SocketAddr;

use ::hub::{Auth, KubernetesConfig, TargetConfig};

use crate::{
    exit::{Failure, Outcome},
    scripts, serving,
};

const NO_WORKERS: &str = "\
a hub needs workers: start one on this machine, and name it
  kubeshark worker -i any
  kubeshark hub --workers 127.0.0.1:30001
In a cluster it finds them by their pods, which have the labels of --worker-selector";

const EXAMPLES: &str = "\
Examples:
  kubeshark hub --workers 127.0.0.1:30001
  kubeshark hub --workers 127.0.0.1:30001,127.0.0.1:30002

A worker serves its own machine only. That of another machine comes here through ssh:
  ssh -N -L 30002:127.0.0.1:30001 user@other";

/// Gather the entries of workers and serve them to watchers
///
/// Watch with `wscat --connect ws://127.0.0.1:8899/api/wsFull`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where it serves
    #[arg(long, value_name = "ADDR:PORT", default_value = serving::HUB.0, env = serving::HUB.1)]
    listen: SocketAddr,
    /// Its workers
    #[arg(long, value_name = "ADDR:PORT,…", value_delimiter = ',', env = "KUBESHARK_WORKERS")]
    workers: Vec<String>,
    #[command(flatten)]
    cluster: Cluster,
    #[command(flatten)]
    scripts: scripts::Args,
    #[command(flatten)]
    names: serving::Names,
    #[command(flatten)]
    reach: scripts::Reach,
    #[command(flatten)]
    keys: serving::Keys,
    /// Who is let in that does not come from this machine, or through `kubectl port-forward`
    #[arg(
        long,
        value_name = "WHO",
        env = "KUBESHARK_AUTH",
        value_enum,
        default_value = "loopback",
        help_heading = "Serving"
    )]
    auth: Admitted,
}

/// Who is let in from elsewhere.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Admitted {
    /// Nobody
    Loopback,
    /// Whoever has a token of Kubernetes with the right to `get` `services/proxy` of the hub's Service
    Token,
    /// Everybody
    Off,
}

impl Admitted {
    fn auth(self, cluster: &Cluster) -> Auth {
        match self {
            Self::Loopback => Auth::Loopback,
            Self::Token => {
                Auth::Token { namespace: cluster.namespace.clone(), service: cluster.service.clone() }
            }
            Self::Off => Auth::Off,
        }
    }
}

/// The cluster that a hub watches: that of its pod, or the one that `KUBECONFIG` names.
#[derive(clap::Args)]
#[command(next_help_heading = "In a cluster")]
struct Cluster {
    /// Which pods are workers: watches the cluster, finds them, and tells them of names and of what to capture
    #[arg(long, value_name = "LABEL=VALUE,…", env = "KUBESHARK_WORKER_SELECTOR")]
    worker_selector: Option<String>,
    /// Where the hub is
    #[arg(long, value_name = "NAMESPACE", env = "KUBESHARK_NAMESPACE", default_value = "kubeshark")]
    namespace: String,
    /// Its Service: whose `services/proxy` somebody may `get`, may see traffic (--auth token)
    #[arg(long, value_name = "NAME", env = "KUBESHARK_SERVICE", default_value = "kubeshark-hub")]
    service: String,
    /// Where its workers' pods are [default: where the hub is]
    #[arg(long, value_name = "NAMESPACE", env = "KUBESHARK_WORKER_NAMESPACE")]
    worker_namespace: Option<String>,
    /// Where workers serve, at the addresses of their pods
    #[arg(long, value_name = "PORT", env = "KUBESHARK_WORKER_PORT", default_value_t = 30001)]
    worker_port: u16,
    /// Watch these namespaces only [default: all]
    #[arg(long, value_name = "NAMESPACE,…", value_delimiter = ',', env = "KUBESHARK_WATCH_NAMESPACES")]
    watch_namespaces: Vec<String>,
    /// The config map that says what is captured and which scripts run, followed while the hub runs
    #[arg(long, value_name = "NAME", env = "KUBESHARK_CONFIG_MAP")]
    config_map: Option<String>,
    /// The secret that holds the variables of scripts, followed likewise
    #[arg(long, value_name = "NAME", env = "KUBESHARK_SECRET")]
    secret: Option<String>,
    /// Capture pods whose name matches
    #[arg(long, value_name = "REGEX", env = "POD_REGEX", default_value = "")]
    regex: String,
    /// Capture pods of these namespaces [default: all]
    #[arg(long, value_name = "NAMESPACE,…", value_delimiter = ',', env = "NAMESPACES")]
    namespaces: Vec<String>,
    /// Capture no pods of these namespaces
    #[arg(long, value_name = "NAMESPACE,…", value_delimiter = ',', env = "EXCLUDED_NAMESPACES")]
    excluded_namespaces: Vec<String>,
    /// Capture pods with these labels
    #[arg(long, value_name = "SELECTOR", env = "LABEL_SELECTOR", default_value = "")]
    label_selector: String,
    /// Capture what this BPF filter selects, whatever pods are chosen
    #[arg(long, value_name = "FILTER", env = "BPF_OVERRIDE", default_value = "")]
    bpf_override: String,
}

impl Cluster {
    fn config(self) -> Option<KubernetesConfig> {
        let given = |names: Vec<String>| names.into_iter().filter(|name| !name.trim().is_empty()).collect();
        let worker_selector = self.worker_selector.filter(|selector| !selector.trim().is_empty())?;
        Some(KubernetesConfig {
            worker_namespace: self.worker_namespace.unwrap_or_else(|| self.namespace.clone()),
            namespace: self.namespace,
            worker_selector,
            worker_port: self.worker_port,
            watch: given(self.watch_namespaces),
            config_map: self.config_map.filter(|name| !name.is_empty()),
            secret: self.secret.filter(|name| !name.is_empty()),
            targets: TargetConfig {
                regex: self.regex,
                namespaces: given(self.namespaces),
                excluded: given(self.excluded_namespaces),
                labels: self.label_selector,
                bpf: self.bpf_override,
            },
        })
    }
}

/// A hub's failure; of what was typed, that it was typed wrong.
pub(crate) fn failure(error: &::hub::Error) -> Failure {
    match error {
        ::hub::Error::Worker(error) => Failure::Usage(error.to_string()),
        ::hub::Error::Targets(error) => Failure::Usage(error.to_string()),
        error => Failure::of(error),
    }
}

/// A hub with the usual settings.
pub(crate) fn config(
    listen: SocketAddr,
    workers: Vec<String>,
    scripts: &scripts::Args,
    allowed_hosts: Vec<String>,
) -> ::hub::Config {
    ::hub::Config {
        listen,
        workers,
        scripts: scripts.source(),
        script_host: scripts::host(),
        allowed_hosts,
        ..::hub::Config::default()
    }
}

pub(crate) fn run(args: Args) -> Outcome {
    let workers: Vec<String> = args.workers.into_iter().filter(|worker| !worker.trim().is_empty()).collect();
    let auth = args.auth.auth(&args.cluster);
    let kubernetes = args.cluster.config();
    if workers.is_empty() && kubernetes.is_none() {
        return Err(Failure::Usage(NO_WORKERS.into()));
    }
    let what = match &kubernetes {
        Some(cluster) => {
            format!(
                "gathers what the pods labelled {} in {} see",
                cluster.worker_selector, cluster.worker_namespace
            )
        }
        None => format!("gathers what {} sees", workers.join(", ")),
    };
    let script_args = args.reach.arguments()?;
    let config = config(args.listen, workers, &args.scripts, args.names.allowed_hosts);
    let tls_dir = args.keys.tls_dir;
    let config = ::hub::Config { kubernetes, auth, tls_dir, script_args, ..config };
    serving::run(async {
        let mut hub = ::hub::start(config).await.map_err(|error| failure(&error))?;
        let outcome = if let Err(error) = serving::greet_watchers(&what, hub.address) {
            Err(error.into())
        } else {
            tokio::select! {
                stopped = serving::asked_to_stop() => stopped.map_err(|error| Failure::of(&error)),
                error = hub.failed() => Err(failure(&error)),
            }
        };
        hub.shutdown().await;
        outcome
    })
}
