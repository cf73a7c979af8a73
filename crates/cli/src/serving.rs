//! What the serving commands share: a runtime, and an end when the user asks for it.

use std::{
    future::Future,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Failure, INTERRUPTED};

/// Where a hub serves unless it is told otherwise, and the variable that tells it.
pub(crate) const HUB: (&str, &str) = ("127.0.0.1:8899", "KUBESHARK_HUB_LISTEN");

/// Where a worker serves unless it is told otherwise, and the variable that tells it.
pub(crate) const WORKER: (&str, &str) = ("127.0.0.1:30001", "KUBESHARK_WORKER_LISTEN");

/// The names under which a server may be asked.
#[derive(clap::Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Names {
    /// A name by which this server may be asked, besides the loopback's; may be given again
    #[arg(long, value_name = "HOST", env = "KUBESHARK_ALLOWED_HOSTS", value_delimiter = ',')]
    pub(crate) allowed_hosts: Vec<String>,
}

/// The keys by which hub and workers know each other.
#[derive(clap::Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Keys {
    /// A directory with ca.crt, tls.crt and tls.key: hub and workers then speak TLS with each other, and each shows its
    /// certificate
    #[arg(long, value_name = "DIR", env = "KUBESHARK_TLS_DIR")]
    pub(crate) tls_dir: Option<PathBuf>,
}

/// Where a server that listens at `address` is asked from this machine: a wildcard is no address to dial.
pub(crate) fn dialled(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What is served and where, and a line to paste, on stdout, so that a script can read it.
pub(crate) fn greet(what: &str, address: SocketAddr, paste: &str, more: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "Kubeshark {what}, at http://{address}\n\n  {paste}\n\n{more}Press CTRL+C to quit.")?;
    out.flush()
}

/// The greeting of a hub.
pub(crate) fn greet_watchers(what: &str, hub: SocketAddr) -> io::Result<()> {
    let hub = dialled(hub);
    let paste = format!("wscat --connect ws://{hub}/api/wsFull");
    greet(what, hub, &paste, "Once connected, send a filter, such as: http and response.status > 300\n")
}

/// Runs a command that serves, or asks others.
pub(crate) fn run<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(&error))?
        .block_on(command)
}

/// Waits for CTRL+C, or for SIGTERM, by which Kubernetes ends a pod.
pub(crate) async fn asked_to_stop() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// For a command that works on its own threads: CTRL+C sets the flag, so that it can end with all that it has; a second
/// one ends the process at once.
#[expect(clippy::exit, reason = "the second CTRL+C says that nothing is worth waiting for")]
pub(crate) fn interrupted() -> io::Result<Arc<AtomicBool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut interrupt = {
        let _entered = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    let flag = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&flag);
    // It ends with the process.
    thread::spawn(move || {
        runtime.block_on(async {
            interrupt.recv().await;
            theirs.store(true, Ordering::Relaxed);
            interrupt.recv().await;
            process::exit(INTERRUPTED.into());
        });
    });
    Ok(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_dialled_on_loopback() {
        for (listened, expected) in [
            ("0.0.0.0:8899", "127.0.0.1:8899"),
            ("[::]:8899", "[::1]:8899"),
            ("10.0.0.5:8899", "10.0.0.5:8899"),
        ] {
            assert_eq!(dialled(listened.parse().unwrap()).to_string(), expected);
        }
    }
}
