//! `kubeshark proxy`

use std::{collections::BTreeSet, io, net::SocketAddr};

use k8s_openapi::api::core::v1::Secret;
use web::tls::Keys;

use crate::{
    exit::{Failure, Outcome},
    kubernetes::{
        Cluster, HUB, WORKER, forward,
        forward::{Forward, Target},
    },
    serving,
    settings::{self, Settings},
};

/// The Secret with the hub's keys.
const KEYS: &str = "kubeshark-hub-keys";

const EXAMPLES: &str = "\
Examples:
  kubeshark proxy
  kubeshark proxy --port 9000
  kubeshark proxy --worker node-2                  one worker, at ws://127.0.0.1:30001/wsFull";

/// Bring the hub of a cluster to a port of this machine
///
/// Goes on until CTRL+C; a hub that is replaced is found again.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: settings::Args,
    #[command(flatten)]
    local: Local,
    /// The worker of this node instead of the hub, with the hub's certificate out of Secret kubeshark-hub-keys
    #[arg(long, value_name = "NODE")]
    worker: Option<String>,
}

/// Where on this machine.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Local {
    /// The port of this machine that it is at [default: 8899; of a worker 30001]
    #[arg(long, visible_alias = "port", value_name = "PORT")]
    proxy_front_port: Option<u16>,
    /// The address of this machine that it is at [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    proxy_host: Option<std::net::IpAddr>,
}

impl Local {
    /// The address, by the settings where it was not typed.
    pub(crate) fn address(&self, settings: &Settings) -> Result<SocketAddr, Failure> {
        let port = self.proxy_front_port.or_else(|| settings.port("tap.proxy.front.port")).unwrap_or(8899);
        self.at(port, settings)
    }

    /// The address of a worker's port.
    fn worker(&self, settings: &Settings) -> Result<SocketAddr, Failure> {
        let port = self.proxy_front_port.or_else(|| settings.port("tap.proxy.worker.srvPort"));
        self.at(port.unwrap_or(30001), settings)
    }

    fn at(&self, port: u16, settings: &Settings) -> Result<SocketAddr, Failure> {
        let ip = match (self.proxy_host, settings.text("tap.proxy.host")) {
            (Some(ip), _) => ip,
            (None, None) => [127, 0, 0, 1].into(),
            (None, Some(host)) => {
                host.parse().map_err(|_| Failure::Usage(format!("tap.proxy.host: {host} is no address")))?
            }
        };
        Ok(SocketAddr::new(ip, port))
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let settings = args.settings.load()?;
    serving::run(async {
        let cluster = Cluster::connect(&settings).await?;
        if cluster.pods(HUB).await?.is_empty() {
            return Err(Failure::Failed(format!(
                "there is no Kubeshark in namespace {}; `kubeshark tap` installs it, -s names another namespace",
                cluster.namespace
            )));
        }
        let forward = match &args.worker {
            None => {
                let forward = hub(cluster, args.local.address(&settings)?).await?;
                let what = format!("serves the traffic of namespace {}'s release", settings.namespace());
                greet(&what, &forward)?;
                forward
            }
            Some(node) => {
                let forward = worker(cluster, args.local.worker(&settings)?, node).await?;
                let address = forward.address()?;
                let paste = format!("wscat --connect ws://{address}/wsFull");
                let more = "Once connected, send a filter, such as: http and response.status > 300\n";
                serving::greet(&format!("serves what the worker of {node} sees"), address, &paste, more)?;
                forward
            }
        };
        tokio::select! {
            stopped = serving::asked_to_stop() => stopped.map_err(|error| Failure::of(&error)),
            never = forward.run() => match never {},
        }
    })
}

/// A port here that is the hub's.
pub(crate) async fn hub(cluster: Cluster, address: SocketAddr) -> Result<Forward, Failure> {
    Forward::bind(cluster, address, Target { labels: HUB, port: forward::HTTP, node: None, keys: None }).await
}

/// A port here that is that of the worker of `node`, for those who may read the hub's keys.
async fn worker(cluster: Cluster, address: SocketAddr, node: &str) -> Result<Forward, Failure> {
    let keys = keys(&cluster).await?;
    let namespace = worker_namespace(&cluster).await?;
    let cluster = Cluster { namespace, ..cluster };
    let pods = cluster.pods(WORKER).await?;
    let nodes: BTreeSet<_> = pods.iter().filter_map(forward::node).collect();
    if !nodes.contains(node) {
        let known = nodes.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Failure::Failed(format!(
            "there is no worker on node {node} (namespace {}); there are some on [{known}]",
            cluster.namespace
        )));
    }
    let target = Target { labels: WORKER, port: forward::HTTPS, node: Some(node.into()), keys: Some(keys) };
    Forward::bind(cluster, address, target).await
}

/// By which a worker takes us for its hub.
async fn keys(cluster: &Cluster) -> Result<Keys, Failure> {
    let secret = cluster.api::<Secret>().get_opt(KEYS).await.map_err(|error| cluster.failure(&error))?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let [ca, certificate, key] = ["ca.crt", "tls.crt", "tls.key"].map(|name| data.get(name));
    let (Some(ca), Some(certificate), Some(key)) = (ca, certificate, key) else {
        return Err(Failure::Failed(format!(
            "Secret {KEYS} in namespace {} is not there, or lacks one of ca.crt, tls.crt and tls.key; \
             `helm upgrade` makes it",
            cluster.namespace
        )));
    };
    Keys::from_pem(&ca.0, &certificate.0, &key.0).map_err(|error| Failure::of(&error))
}

/// Where the workers' pods are, as the hub was told.
async fn worker_namespace(cluster: &Cluster) -> Result<String, Failure> {
    let hubs = cluster.pods(HUB).await?;
    let containers = hubs.into_iter().filter_map(|pod| pod.spec).flat_map(|spec| spec.containers);
    let mut variables = containers.flat_map(|container| container.env.unwrap_or_default());
    let told = variables.find(|variable| variable.name == "KUBESHARK_WORKER_NAMESPACE");
    let told = told.and_then(|variable| variable.value).filter(|namespace| !namespace.is_empty());
    Ok(told.unwrap_or_else(|| cluster.namespace.clone()))
}

/// Says where the hub is.
pub(crate) fn greet(what: &str, forward: &Forward) -> io::Result<()> {
    serving::greet_watchers(what, forward.address()?)
}
