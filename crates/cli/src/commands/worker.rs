//! `kubeshark worker`

use std::{
    env, fs,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use ::worker::{Config, Error, PacketLimits, Running, StoreLimits};
use tracing::warn;

use crate::{
    capturing,
    exit::{Failure, Outcome},
    scripts, serving,
};

const NO_SOURCE: &str = "a worker needs packets: name an interface with -i, or a capture with --pcap";

const EXAMPLES: &str = "\
Examples:
  kubeshark worker -i any
  kubeshark worker --pcap monday.pcap --node monday --listen 127.0.0.1:30001
  kubeshark hub --workers 127.0.0.1:30001          gather what it sees, in another terminal";

/// Capture on this node and serve entries to a hub
///
/// Users may also ask it directly, at `ws://127.0.0.1:30001/wsFull`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Where it serves
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = serving::WORKER.0,
        env = serving::WORKER.1,
        help_heading = "Serving"
    )]
    listen: SocketAddr,
    /// What it calls itself in the ids of its entries, and where its hub finds it [default: where it serves]
    #[arg(long, value_name = "HOST:PORT", env = "KUBESHARK_ADVERTISE", help_heading = "Serving")]
    advertise: Option<String>,
    /// The name of this node, as entries have it
    #[arg(
        long,
        value_name = "NAME",
        default_value = "localhost",
        env = "KUBESHARK_NODE",
        help_heading = "Serving"
    )]
    node: String,
    #[command(flatten)]
    keys: serving::Keys,
    /// Whom it becomes once its interfaces are open, as a number: it starts as root, and looks at packets as somebody
    /// without any right
    #[arg(long, value_name = "UID", env = "KUBESHARK_USER", value_parser = clap::value_parser!(u32).range(1..))]
    user: Option<u32>,
    /// Capture nothing until a hub has said what is to be captured: nobody's traffic is seen then whom it leaves out
    #[arg(long, env = "KUBESHARK_AWAIT_TARGETS", help_heading = "Packets")]
    await_targets: bool,
}

/// The options of every command that a worker is part of.
#[derive(clap::Args)]
pub(crate) struct Common {
    #[command(flatten)]
    capture: capturing::Args,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    pub(crate) names: serving::Names,
    #[command(flatten)]
    pub(crate) reach: scripts::Reach,
}

impl Common {
    /// How its worker is set up; nothing where no source of packets was named.
    ///
    /// # Errors
    ///
    /// Scripts trust a file that can't be read.
    pub(crate) fn config(&self, listen: SocketAddr) -> Result<Option<Config>, Failure> {
        let sources = self.capture.sources();
        if sources.is_empty() {
            return Ok(None);
        }
        Ok(Some(Config {
            listen,
            threads: self.store.threads(),
            store: self.store.limits(),
            data_dir: self.store.data_dir.clone().or_else(state),
            packets: self.store.packets(),
            script_host: scripts::host(),
            script_args: self.reach.arguments()?,
            allowed_hosts: self.names.allowed_hosts.clone(),
            ..Config::new(sources)
        }))
    }
}

/// Where programs keep what outlives them (XDG Base Directory Specification, `XDG_STATE_HOME`), if we can write there.
fn state() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let Some(directory) = home.map(|home| home.join("kubeshark")) else {
        warn!(
            "Ids begin anew and packets are not kept: there is no HOME to keep them in; name a directory with --data-dir"
        );
        return None;
    };
    match writable(&directory) {
        Ok(()) => Some(directory),
        Err(error) => {
            let directory = directory.display();
            warn!(%error, %directory, "Ids begin anew and packets are not kept: nothing can be written there; name a directory with --data-dir");
            None
        }
    }
}

fn writable(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let probe = directory.join(format!("probe-{}", process::id()));
    fs::write(&probe, "")?;
    fs::remove_file(&probe)
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
    /// How many packets are kept on disk, in MiB, so that streams can be downloaded; 0 keeps none
    #[arg(long, value_name = "MIB", default_value_t = 500, env = "KUBESHARK_PACKETS_MIB")]
    packets_mib: u32,
    /// How long packets of an interface are kept, in seconds; those of a file are kept until the end
    #[arg(long, value_name = "SECONDS", default_value_t = 300, env = "KUBESHARK_PACKETS_SECONDS")]
    packets_seconds: u64,
    /// Where packets are kept, what scripts write, and which ids an interface's streams had, so that they never repeat
    /// [default: kubeshark in `$XDG_STATE_HOME` or `~/.local/state`]
    #[arg(long, value_name = "DIR", env = "KUBESHARK_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl StoreArgs {
    fn limits(&self) -> StoreLimits {
        StoreLimits {
            bytes: (self.store_mib as usize) << 20,
            max_age: Duration::from_secs(self.store_seconds),
        }
    }

    fn packets(&self) -> PacketLimits {
        PacketLimits {
            bytes: u64::from(self.packets_mib) << 20,
            max_age: Duration::from_secs(self.packets_seconds),
            ..PacketLimits::default()
        }
    }

    fn threads(&self) -> usize {
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
        Error::Advertise(_) => Failure::Usage(error.to_string()),
        error => Failure::of(error),
    }
}

/// Serves until the user asks for an end. A source that fails is told of, and ends nothing: what came of it can still
/// be looked at.
pub(crate) async fn attend(worker: &mut Running) -> Outcome {
    let mut lost = false;
    loop {
        tokio::select! {
            stopped = serving::asked_to_stop() => {
                stopped.map_err(|error| Failure::of(&error))?;
                return if lost { Err(Failure::Told) } else { Ok(()) };
            }
            error = worker.failed() => {
                if !matches!(error, Error::Capture(_)) {
                    return Err(failure(&error));
                }
                lost = true;
                let why = crate::exit::chain(&error);
                writeln!(io::stderr(), "error: {why}\nWhat was read until then is still served. Press CTRL+C to quit.")?;
            }
        }
    }
}

pub(crate) fn run(args: Args) -> Outcome {
    let config = args.common.config(args.listen)?.ok_or_else(|| Failure::Usage(NO_SOURCE.into()))?;
    let Args { node, advertise, user, await_targets, keys, .. } = args;
    let config = Config { node, advertise, user, await_targets, tls_dir: keys.tls_dir, ..config };
    if user.is_some() {
        ::worker::forbid_escalation().map_err(|error| Failure::of(&error))?;
    }
    let what = format!("serves {} to a hub", capturing::describe(&config.sources));
    serving::run(async {
        let mut worker = ::worker::start(config).await.map_err(|error| failure(&error))?;
        let address = serving::dialled(worker.address);
        let paste = format!("kubeshark hub --workers {address}");
        let outcome = match serving::greet(&what, address, &paste, "") {
            Ok(()) => attend(&mut worker).await,
            Err(error) => Err(error.into()),
        };
        worker.shutdown().await;
        outcome
    })
}
