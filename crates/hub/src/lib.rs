//! Workers in, watchers out: the cluster's one process.
//!
//! At run time, from top to bottom:
//!
//! 1. [`start`] checks the [`Config`], binds its address, and starts one task per worker and one server.
//! 2. `kubernetes/` watches the cluster, if it is in one: it finds workers, and knows what each of them must be told of
//!    names and of what it is to capture.
//! 3. `workers/` dials each worker, says which queries there are, and takes its frames; again and again, as long as the
//!    hub runs. What it is told of loss, and why a worker is away, stands in `/status`.
//! 4. `fanout.rs` finds the watchers of each entry of a frame. No entry is parsed: its text is copied out of the frame
//!    once, checked to be UTF-8 once, and shared by all watchers.
//! 5. `queue/` is one watcher's bounded queue: it merges what the workers' stores hold, oldest first and paced by
//!    credit, so that nothing is lost; what is live and does not fit is dropped for this watcher alone, and counted.
//! 6. `scripts/` keeps the users' scripts and hands them to every worker; what they write comes together there.
//! 7. `routes/` serves watchers (the session itself is `web::watch`), single items and the hub's own state.
//!
//! ```text
//!  worker ══frames══▶ link ─▶ fanout ─┬▶ queue ─▶ session ══▶ watcher
//!  worker ══frames══▶ link ─▶    ║    ├▶ queue ─▶ session ══▶ watcher
//!         ◀═credit═══════════════╝    └▶ queue ─▶ session ══▶ watcher
//! ```

mod access;
mod config;
mod fanout;
mod kubernetes;
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
use web::{
    Hosts, Trigger,
    tls::{Keys, KeysError},
};

pub use access::Auth;
pub use config::{Config, Limits, WorkerAddressError};
pub use kubernetes::{ClientError, KubernetesConfig, TargetConfig, TargetError};
pub use scripts::source;

use crate::{
    fanout::Fanout,
    kubernetes::Kubernetes,
    routes::Hub,
    scripts::Scripts,
    workers::{Dialer, Near},
};

/// Why a hub does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A worker's address is wrong.
    #[error(transparent)]
    Worker(#[from] WorkerAddressError),
    /// What it is to capture makes no sense.
    #[error(transparent)]
    Targets(#[from] TargetError),
    /// There is no cluster to watch.
    #[error(transparent)]
    Cluster(#[from] ClientError),
    /// Its scripts cannot be read.
    #[error(transparent)]
    Scripts(#[from] source::SourceError),
    /// Its keys are none.
    #[error("no TLS with workers")]
    Keys(#[from] KeysError),
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
    dialer: Arc<Dialer>,
    tasks: JoinSet<()>,
}

/// Starts a hub; it listens when this returns.
pub async fn start(config: Config) -> Result<Running, Error> {
    let Config {
        listen,
        workers,
        kubernetes,
        scripts: from,
        script_host,
        script_args,
        allowed_hosts,
        tls_dir,
        auth,
        limits,
    } = config;
    let workers = workers::parse(&workers)?;
    let (sources, read) = source::Sources::open(from)?;
    let scripts = Arc::new(Scripts::new(&limits, script_host, script_args));
    let theirs = Arc::clone(&scripts);
    // A script that cannot be taken is told of; a panic is a bug, of which the hub need not die.
    drop(tokio::task::spawn_blocking(move || theirs.apply(read)).await);
    let keys = tls_dir.as_deref().map(Keys::load).transpose()?;
    let listener = web::bind(listen).await?;
    let address = listener.local_addr().map_err(Error::Server)?;
    let is_needed = kubernetes.is_some() || matches!(auth, Auth::Token { .. });
    let client = if is_needed { Some(kubernetes::client().await?) } else { None };
    let door = auth.door(client.as_ref());
    let kubernetes = match (kubernetes, client) {
        (Some(config), Some(client)) => Some(Arc::new(Kubernetes::new(config, client)?)),
        _ => None,
    };
    if workers.is_empty() && kubernetes.is_none() {
        warn!("No worker is known, so there is nothing to see: start the hub with --workers host:port");
    }
    let fanout = Arc::new(Fanout::new(&limits, keys));
    let near = Near {
        fanout: Arc::clone(&fanout),
        scripts: Arc::clone(&scripts),
        limits: limits.clone(),
        kubernetes: kubernetes.clone(),
    };
    let dialer = Arc::new(Dialer::new(near));
    for address in workers {
        dialer.name(&address);
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&dialer).sweeping());
    if let Some(kubernetes) = &kubernetes {
        tasks.spawn(kubernetes::run(Arc::clone(kubernetes), Arc::clone(&dialer), Arc::clone(&scripts)));
    }
    tasks.spawn(scripts::follow(Arc::clone(&scripts), sources));
    let (trigger, shutdown) = web::shutdown();
    if let Some(warning) = auth.warning() {
        warn!("{warning}");
    }
    let hub = Hub {
        auth,
        fanout,
        scripts,
        address,
        started: SystemTime::now(),
        limits,
        kubernetes,
        dialer: Arc::clone(&dialer),
    };
    let router = routes::router(hub, Hosts::new(allowed_hosts), door, shutdown.clone());
    let server = tokio::spawn(web::serve(listener, None, router, shutdown));
    info!(%address, "The hub listens");
    Ok(Running { address, trigger, server, dialer, tasks })
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
        self.tasks.shutdown().await;
        self.dialer.shutdown().await;
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
