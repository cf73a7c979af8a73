//! `kubeshark tap`

mod cluster;
mod local;

use std::net::SocketAddr;

use super::{proxy, worker::Common};
use crate::{exit::Outcome, scripts, serving, settings};

const EXAMPLES: &str = "\
Examples:
  kubeshark tap                              the pods of the cluster that kubectl is set to
  kubeshark tap 'front.*' -n shop            some of them
  kubeshark tap -i any                       this machine
  kubeshark tap -i eth0 --bpf 'tcp port 8080'
  kubeshark tap --pcap traffic.pcap
  kubeshark tap -i any --scripts ./scripts --env SLACK_WEBHOOK=https://hooks.slack.com/…
  tcpdump -i any -w - -U | kubeshark tap --pcap -";

/// Watch traffic: of a cluster's pods, of this machine, or of a capture
///
/// Of a cluster it installs Kubeshark there, which stays until `kubeshark clean`. Of this machine (-i) and of a capture
/// (--pcap) it runs a worker and a hub in this process. Entries are at `ws://127.0.0.1:8899/api/wsFull` until CTRL+C.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pods: cluster::Args,
    #[command(flatten)]
    settings: settings::Args,
    #[command(flatten)]
    proxy: proxy::Local,
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
    match args.common.config(args.worker_listen)? {
        Some(config) => serving::run(local::serve(args, config)),
        None => cluster::run(&args),
    }
}
