//! `kubeshark proxy`

use std::{io, net::SocketAddr};

use crate::{
    exit::{Failure, Outcome},
    kubernetes::{
        Cluster, HUB, forward,
        forward::{Forward, Target},
    },
    serving,
    settings::{self, Settings},
};

const EXAMPLES: &str = "\
Examples:
  kubeshark proxy
  kubeshark proxy --proxy-front-port 9000";

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
}

/// Where on this machine.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Local {
    /// The port of this machine that is the hub's [default: 8899]
    #[arg(long, value_name = "PORT")]
    proxy_front_port: Option<u16>,
    /// The address of this machine that it is at [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    proxy_host: Option<std::net::IpAddr>,
}

impl Local {
    /// The address, by the settings where it was not typed.
    pub(crate) fn address(&self, settings: &Settings) -> Result<SocketAddr, Failure> {
        let port = self.proxy_front_port.or_else(|| settings.port("tap.proxy.front.port")).unwrap_or(8899);
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
        let forward = hub(cluster, args.local.address(&settings)?).await?;
        let what = format!("serves the traffic of namespace {}'s release", settings.namespace());
        greet(&what, &forward)?;
        tokio::select! {
            stopped = serving::asked_to_stop() => stopped.map_err(|error| Failure::of(&error)),
            never = forward.run() => match never {},
        }
    })
}

/// A port here that is the hub's.
pub(crate) async fn hub(cluster: Cluster, address: SocketAddr) -> Result<Forward, Failure> {
    Forward::bind(cluster, address, Target { labels: HUB, port: forward::HTTP }).await
}

/// Says where the hub is.
pub(crate) fn greet(what: &str, forward: &Forward) -> io::Result<()> {
    serving::greet_watchers(what, forward.address()?)
}
