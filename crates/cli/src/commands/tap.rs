//! `kubeshark tap`

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
};

use worker::Input;

use crate::{
    capturing,
    exit::{Failure, Outcome},
    serving,
};

use super::worker::StoreArgs;

const NO_SOURCE: &str = "\
nothing to tap. Tapping a Kubernetes cluster is not built yet; today you can say
  kubeshark tap -i any             to watch this machine, live
  kubeshark tap --pcap FILE        to look into a capture (`-` is standard input)";

const EXAMPLES: &str = "\
Examples:
  kubeshark tap --pcap traffic.pcap
  kubeshark tap -i any
  kubeshark tap -i eth0 --bpf 'tcp port 8080'
  tcpdump -i any -w - -U | kubeshark tap --pcap -";

/// Watch traffic: of this machine, or of a capture
///
/// Runs a worker and a hub in this process and serves entries at `ws://127.0.0.1:8899/api/wsFull` until CTRL+C.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    capture: capturing::Args,
    #[command(flatten)]
    store: StoreArgs,
    /// Where the hub serves
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8899",
        env = "KUBESHARK_HUB_LISTEN",
        help_heading = "Serving"
    )]
    listen: SocketAddr,
    /// Where the worker serves
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:30001",
        env = "KUBESHARK_WORKER_LISTEN",
        help_heading = "Serving"
    )]
    worker_listen: SocketAddr,
}

pub(crate) fn run(args: Args) -> Outcome {
    let sources = args.capture.sources();
    if sources.is_empty() {
        return Err(Failure::Usage(NO_SOURCE.into()));
    }
    serving::run(serve(args, sources))
}

async fn serve(args: Args, sources: Vec<worker::SourceConfig>) -> Outcome {
    let what = describe(&sources);
    let listen = chosen(args.listen)
        .map_err(|error| Failure::Failed(format!("no port is free at {}: {error}", args.listen.ip())))?;
    let config = worker::Config {
        listen: args.worker_listen,
        threads: args.store.threads(),
        store: args.store.limits(),
        data_dir: args.store.data_dir,
        own: vec![listen],
        ..worker::Config::new(sources)
    };
    let mut worker = worker::start(config).await.map_err(|error| super::worker::failure(&error))?;
    let mut hub =
        match hub::start(super::hub::config(listen, vec![worker.address.to_string()], Vec::new())).await {
            Ok(hub) => hub,
            Err(error) => {
                worker.shutdown().await;
                return Err(Failure::of(&error));
            }
        };
    let outcome = if let Err(error) = greet(&what, hub.address) {
        Err(error.into())
    } else {
        tokio::select! {
            stopped = serving::asked_to_stop() => stopped.map_err(|error| Failure::of(&error)),
            error = worker.failed() => survive(&error).await,
            error = hub.failed() => Err(Failure::of(&error)),
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

/// A source has failed: what came of it so far can still be looked at.
async fn survive(error: &worker::Error) -> Outcome {
    let told = super::worker::failure(error);
    let why = crate::exit::chain(error);
    writeln!(io::stderr(), "error: {why}\nWhat was read until then is still served. Press CTRL+C to quit.")?;
    serving::asked_to_stop().await.map_err(|error| Failure::of(&error))?;
    Err(told)
}

fn describe(sources: &[worker::SourceConfig]) -> String {
    let named = sources.iter().map(|source| match &source.input {
        Input::Interface(name) => format!("the traffic of interface {name}, live"),
        input => format!("what {input} holds"),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// Where to look, on stdout, so that a script can read it.
fn greet(what: &str, hub: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "Kubeshark serves {what}, at http://{hub}\n\n  wscat --connect ws://{hub}/api/wsFull\n\n\
         Once connected, send a filter, such as: http and response.status > 300\nPress CTRL+C to quit."
    )?;
    out.flush()
}
