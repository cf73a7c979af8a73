//! Workers in, watchers out: the cluster's one process.
//!
//! At run time, from top to bottom:
//!
//! 1. [`start`] checks the [`Config`], binds its address, and starts one task per worker and one server.
//! 2. `workers/` dials each worker, says which queries there are, and takes its frames; again and again, as long as the
//!    hub runs. What it is told of loss, and why a worker is away, stands in `/status`.
//! 3. `fanout.rs` finds the watchers of each entry of a frame. No entry is parsed: its text is copied out of the frame
//!    once, checked to be UTF-8 once, and shared by all watchers.
//! 4. `queue/` is one watcher's bounded queue: it merges what the workers' stores hold, oldest first and paced by
//!    credit, so that nothing is lost; what is live and does not fit is dropped for this watcher alone, and counted.
//! 5. `scripts/` keeps the users' scripts and hands them to every worker; what they write comes together there.
//! 6. `routes/` serves watchers (the session itself is `web::watch`), single items and the hub's own state.
//!
//! ```text
//!  worker ══frames══▶ link ─▶ fanout ─┬▶ queue ─▶ session ══▶ watcher
//!  worker ══frames══▶ link ─▶    ║    ├▶ queue ─▶ session ══▶ watcher
//!         ◀═credit═══════════════╝    └▶ queue ─▶ session ══▶ watcher
//! ```

mod config;
mod fanout;
mod metrics;
mod queue;
mod routes;
mod scripts;
mod workers;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use api::UnixNanos;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{info, warn};
use web::{Hosts, Trigger};

pub use config::{Config, Limits, WorkerAddressError};
pub use scripts::source;

use crate::{fanout::Fanout, routes::Hub, scripts::Scripts, workers::Near};

/// Why a hub does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A worker's address is wrong.
    #[error(transparent)]
    Worker(#[from] WorkerAddressError),
    /// Its scripts cannot be read.
    #[error(transparent)]
    Scripts(#[from] source::SourceError),
    /// It cannot listen.
    #[error(transparent)]
    Bind(#[from] web::BindError),
    /// Its server failed.
    #[error("the hub's server failed")]
    Server(#[source] io::Error),
}

/// A hub at work. Dropped, it ends, without waiting for its sessions.
#[derive(Debug)]
pub struct Running {
    /// Where it listens; the port is the real one.
    pub address: SocketAddr,
    trigger: Trigger,
    server: JoinHandle<io::Result<()>>,
    links: JoinSet<()>,
}

/// Starts a hub; it listens when this returns.
pub async fn start(config: Config) -> Result<Running, Error> {
    let Config { listen, workers, scripts: from, script_host, script_args, allowed_hosts, limits } = config;
    let workers = workers::parse(&workers)?;
    let (sources, read) = source::Sources::open(from)?;
    let scripts = Arc::new(Scripts::new(&limits, script_host, script_args));
    let theirs = Arc::clone(&scripts);
    // A script that cannot be taken is told of; a panic is a bug, of which the hub need not die.
    drop(tokio::task::spawn_blocking(move || theirs.apply(read)).await);
    let listener = web::bind(listen).await?;
    let address = listener.local_addr().map_err(Error::Server)?;
    if workers.is_empty() {
        warn!("No worker is known, so there is nothing to see: start the hub with --workers host:port");
    }
    let fanout = Arc::new(Fanout::new(workers, &limits));
    let mut links = JoinSet::new();
    for worker in fanout.workers() {
        let near =
            Near { fanout: Arc::clone(&fanout), scripts: Arc::clone(&scripts), limits: limits.clone() };
        links.spawn(workers::run(Arc::clone(worker), near));
    }
    links.spawn(scripts::follow(Arc::clone(&scripts), sources));
    let (trigger, shutdown) = web::shutdown();
    let hub = Hub { fanout, scripts, address, started: SystemTime::now(), limits };
    let router = routes::router(hub, Hosts::new(allowed_hosts), shutdown.clone());
    let server = tokio::spawn(web::serve(listener, router, shutdown));
    info!(%address, "The hub listens");
    Ok(Running { address, trigger, server, links })
}

impl Running {
    /// Waits until the hub fails; one that does not fail never returns. Cancel-safe.
    pub async fn failed(&mut self) -> Error {
        Error::Server(match (&mut self.server).await {
            Ok(Ok(())) => io::Error::other("it ended without being asked to"),
            Ok(Err(error)) => error,
            Err(panic) => io::Error::other(panic),
        })
    }

    /// Closes every session with 1001 and ends; waits for sessions at most five seconds.
    pub async fn shutdown(mut self) {
        if !self.trigger.finish().await {
            warn!("Some sessions did not end in time and are abandoned");
        }
        self.server.abort();
        self.links.shutdown().await;
    }
}

/// Takes a lock. What these locks guard is consistent after every statement, so another holder's panic does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A time as our JSON prints it.
fn printed(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixNanos(since.as_millis() as i64 * 1_000_000).to_string()
}
