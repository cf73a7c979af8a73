//! `kubeshark worker`

use std::{net::SocketAddr, path::PathBuf, thread, time::Duration};

use ::worker::{Config, Error, StoreLimits};

use crate::{
    capturing,
    exit::{Failure, Outcome},
    serving,
};

/// Capture on this node and serve entries to a hub
///
/// Users may also ask it directly, at `ws://127.0.0.1:30001/wsFull`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    capture: capturing::Args,
    #[command(flatten)]
    store: StoreArgs,
    /// Where it serves
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:30001",
        env = "KUBESHARK_WORKER_LISTEN",
        help_heading = "Serving"
    )]
    listen: SocketAddr,
    /// The name of this node, as entries have it
    #[arg(
        long,
        value_name = "NAME",
        default_value = "localhost",
        env = "KUBESHARK_NODE",
        help_heading = "Serving"
    )]
    node: String,
    /// A name by which this server may be asked, besides the loopback's; may be given again
    #[arg(
        long,
        value_name = "HOST",
        env = "KUBESHARK_ALLOWED_HOSTS",
        value_delimiter = ',',
        help_heading = "Serving"
    )]
    allowed_hosts: Vec<String>,
}

/// The options of what is done with packets and entries.
#[derive(clap::Args)]
#[command(next_help_heading = "Entries")]
pub(crate) struct StoreArgs {
    /// Threads that dissect, per source [default: one per core]
    #[arg(long, value_name = "N", env = "KUBESHARK_THREADS", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,
    /// How much of the past is kept, in MiB of memory
    #[arg(long, value_name = "MIB", default_value_t = 256, env = "KUBESHARK_STORE_MIB", value_parser = clap::value_parser!(u32).range(1..))]
    store_mib: u32,
    /// How long the past of an interface is kept, in seconds; that of a file is kept until the end
    #[arg(long, value_name = "SECONDS", default_value_t = 300, env = "KUBESHARK_STORE_SECONDS")]
    store_seconds: u64,
    /// Where it is kept which ids were given, so that they never repeat; without it they begin anew at each start
    #[arg(long, value_name = "DIR", env = "KUBESHARK_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl StoreArgs {
    pub(crate) fn limits(&self) -> StoreLimits {
        StoreLimits {
            bytes: (self.store_mib as usize) << 20,
            max_age: Duration::from_secs(self.store_seconds),
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or_else(cores, usize::from)
    }
}

/// How many threads run at once here.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A worker's failure, with the way out.
pub(crate) fn failure(error: &Error) -> Failure {
    match error {
        Error::Capture(error) => capturing::failure(error),
        error => Failure::of(error),
    }
}

pub(crate) fn run(args: Args) -> Outcome {
    let sources = args.capture.sources();
    if sources.is_empty() {
        return Err(Failure::Usage(
            "a worker needs packets: name an interface with -i, or a capture with --pcap".into(),
        ));
    }
    let config = Config {
        listen: args.listen,
        node: args.node,
        threads: args.store.threads(),
        store: args.store.limits(),
        data_dir: args.store.data_dir,
        allowed_hosts: args.allowed_hosts,
        ..Config::new(sources)
    };
    serving::run(async {
        let mut worker = ::worker::start(config).await.map_err(|error| failure(&error))?;
        tracing::info!(address = %worker.address, "The worker serves");
        let outcome = tokio::select! {
            stopped = serving::asked_to_stop() => stopped.map_err(|error| Failure::of(&error)),
            error = worker.failed() => Err(failure(&error)),
        };
        worker.shutdown().await;
        outcome
    })
}
