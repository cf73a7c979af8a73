//! `kubeshark hub`

use std::net::SocketAddr;

use crate::{
    exit::{Failure, Outcome},
    scripts, serving,
};

const NO_WORKERS: &str = "\
a hub needs workers: start one on this machine, and name it
  kubeshark worker -i any
  kubeshark hub --workers 127.0.0.1:30001";

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
    scripts: scripts::Args,
    #[command(flatten)]
    names: serving::Names,
    #[command(flatten)]
    reach: scripts::Reach,
}

/// A hub's failure; of what was typed, that it was typed wrong.
pub(crate) fn failure(error: &::hub::Error) -> Failure {
    match error {
        ::hub::Error::Worker(error) => Failure::Usage(error.to_string()),
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
    if workers.is_empty() {
        return Err(Failure::Usage(NO_WORKERS.into()));
    }
    let what = format!("gathers what {} sees", workers.join(", "));
    let script_args = args.reach.arguments()?;
    let config = config(args.listen, workers, &args.scripts, args.names.allowed_hosts);
    let config = ::hub::Config { script_args, ..config };
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
