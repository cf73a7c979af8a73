//! `kubeshark hub`

use std::net::SocketAddr;

use crate::{
    exit::{Failure, Outcome},
    serving,
};

const NO_WORKERS: &str = "\
a hub needs workers: name them, such as
  kubeshark hub --workers 10.0.0.5:30001,10.0.0.6:30001
Start one on this machine with
  kubeshark worker -i any";

/// Gather the entries of workers and serve them to watchers
///
/// Watch with `wscat --connect ws://127.0.0.1:8899/api/wsFull`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where it serves
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8899", env = "KUBESHARK_HUB_LISTEN")]
    listen: SocketAddr,
    /// Its workers
    #[arg(long, value_name = "ADDR:PORT,…", value_delimiter = ',', env = "KUBESHARK_WORKERS")]
    workers: Vec<String>,
    /// A name by which this server may be asked, besides the loopback's; may be given again
    #[arg(long, value_name = "HOST", env = "KUBESHARK_ALLOWED_HOSTS", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
}

/// A hub with the usual settings.
pub(crate) fn config(listen: SocketAddr, workers: Vec<String>, allowed_hosts: Vec<String>) -> ::hub::Config {
    ::hub::Config { listen, workers, allowed_hosts, ..::hub::Config::default() }
}

pub(crate) fn run(args: Args) -> Outcome {
    let workers: Vec<String> = args.workers.into_iter().filter(|worker| !worker.trim().is_empty()).collect();
    if workers.is_empty() {
        return Err(Failure::Usage(NO_WORKERS.into()));
    }
    let config = config(args.listen, workers, args.allowed_hosts);
    serving::run(async {
        let mut hub = ::hub::start(config).await.map_err(|error| Failure::of(&error))?;
        tracing::info!(address = %hub.address, "The hub serves");
        let outcome = tokio::select! {
            stopped = serving::asked_to_stop() => stopped.map_err(|error| Failure::of(&error)),
            error = hub.failed() => Err(Failure::of(&error)),
        };
        hub.shutdown().await;
        outcome
    })
}
