//! This machine, or a capture: a worker and a hub in this process.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use super::Args;
use crate::{
    capturing,
    commands::{hub as hubs, worker as workers},
    exit::{Failure, Outcome},
    serving,
};

/// How long scripts may take to be loaded before a capture is read.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn serve(args: Args, config: worker::Config) -> Outcome {
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
    let mut worker = worker::start(config).await.map_err(|error| workers::failure(&error))?;
    let workers = vec![serving::dialled(worker.address).to_string()];
    let hub = hubs::config(listen, workers, &args.scripts, args.common.names.allowed_hosts);
    let hub = hub::Config { script_args, ..hub };
    let mut hub = match hub::start(hub).await {
        Ok(hub) => hub,
        Err(error) => {
            worker.shutdown().await;
            return Err(hubs::failure(&error));
        }
    };
    let outcome = if let Err(error) = serving::greet_watchers(&what, hub.address) {
        Err(error.into())
    } else {
        tokio::select! {
            outcome = workers::attend(&mut worker) => outcome,
            error = hub.failed() => Err(hubs::failure(&error)),
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
