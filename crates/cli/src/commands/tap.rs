//! `kubeshark tap`

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use crate::{
    capturing,
    exit::{Failure, Outcome},
    scripts, serving,
};

use super::worker::Common;

const NO_SOURCE: &str = "\
nothing to tap. Tapping a Kubernetes cluster is not built yet; today you can say
  kubeshark tap -i any             to watch this machine, live
  kubeshark tap --pcap FILE        to look into a capture (`-` is standard input)";

/// How long scripts may take to be loaded before a capture is read.
const PATIENCE: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  kubeshark tap --pcap traffic.pcap
  kubeshark tap -i any
  kubeshark tap -i eth0 --bpf 'tcp port 8080'
  kubeshark tap -i any --scripts ./scripts --env SLACK_WEBHOOK=https://hooks.slack.com/…
  tcpdump -i any -w - -U | kubeshark tap --pcap -";

/// Watch traffic: of this machine, or of a capture
///
/// Runs a worker and a hub in this process and serves entries at `ws://127.0.0.1:8899/api/wsFull` until CTRL+C.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    scripts: scripts::Args,
    /// Where the hub serves
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = serving::HUB.0,
        env = serving::HUB.1,
        help_heading = "Serving"
    )]
    listen: SocketAddr,
    /// Where the worker serves
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = serving::WORKER.0,
        env = serving::WORKER.1,
        help_heading = "Serving"
    )]
    worker_listen: SocketAddr,
}

pub(crate) fn run(args: Args) -> Outcome {
    let config = args.common.config(args.worker_listen, NO_SOURCE)?;
    serving::run(serve(args, config))
}

async fn serve(args: Args, config: worker::Config) -> Outcome {
    let what = format!("serves {}", capturing::describe(&config.sources));
    let listen = chosen(args.listen)
        .map_err(|error| Failure::Failed(format!("no port is free at {}: {error}", args.listen.ip())))?;
    // It is found on this machine only, by the hub beside it.
    let advertise = args
        .worker_listen
        .ip()
        .is_unspecified()
        .then(|| serving::dialled(args.worker_listen).ip().to_string());
    // What a capture holds is read once: scripts that are on their way must not miss it.
    let wait_for_scripts = (!args.scripts.scripts.is_empty()).then_some(PATIENCE);
    let script_args = config.script_args.clone();
    let config = worker::Config { own: vec![listen], advertise, wait_for_scripts, ..config };
    let mut worker = worker::start(config).await.map_err(|error| super::worker::failure(&error))?;
    let workers = vec![serving::dialled(worker.address).to_string()];
    let hub = super::hub::config(listen, workers, &args.scripts, args.common.names.allowed_hosts);
    let hub = ::hub::Config { script_args, ..hub };
    let mut hub = match hub::start(hub).await {
        Ok(hub) => hub,
        Err(error) => {
            worker.shutdown().await;
            return Err(super::hub::failure(&error));
        }
    };
    let outcome = if let Err(error) = serving::greet_watchers(&what, hub.address) {
        Err(error.into())
    } else {
        tokio::select! {
            outcome = super::worker::attend(&mut worker) => outcome,
            error = hub.failed() => Err(super::hub::failure(&error)),
        }
    };
    hub.shutdown().await;
    worker.shutdown().await;
    outcome
}

/// The address with a free port in place of 0: the worker must know it before the hub starts, to leave the hub's own
/// traffic out.
fn chosen(listen: SocketAddr) -> io::Result<SocketAddr> {
    if listen.port() == 0 { TcpListener::bind(listen)?.local_addr() } else { Ok(listen) }
}
