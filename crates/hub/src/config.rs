//! What a hub is told before it starts.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{Auth, kubernetes::KubernetesConfig, scripts::source::SourceConfig};

/// Everything that a hub is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its workers, each `host:port`; one that is named twice counts once.
    pub workers: Vec<String>,
    /// The cluster that it is in.
    pub kubernetes: Option<KubernetesConfig>,
    /// Where scripts and their variables come from, besides requests.
    pub scripts: SourceConfig,
    /// Our own program, which parses and runs scripts as `script-host`. Without it no script is parsed, nor run here.
    pub script_host: Option<PathBuf>,
    /// What it is told besides when it runs scripts: which addresses they may reach, whom they trust.
    pub script_args: Vec<OsString>,
    /// Names beside `localhost` and loopback addresses under which it may be called.
    pub allowed_hosts: Vec<String>,
    /// Where its keys are (`ca.crt`, `tls.crt`, `tls.key`): with them it speaks TLS with its workers.
    pub tls_dir: Option<PathBuf>,
    /// Who is let in from elsewhere.
    pub auth: Auth,
    /// Its bounds.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8899)),
            workers: Vec::new(),
            kubernetes: None,
            scripts: SourceConfig::default(),
            script_host: None,
            script_args: Vec::new(),
            allowed_hosts: Vec::new(),
            tls_dir: None,
            auth: Auth::default(),
            limits: Limits::default(),
        }
    }
}

/// Why a worker cannot be dialled at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the address of a worker; write host:port, for example 127.0.0.1:30001")]
pub struct WorkerAddressError(pub(crate) String);

/// The bounds of everything in a hub that could grow.
///
/// A watcher holds at most `queue_bytes` of live entries and `credit_bytes`, and one entry, of history per worker.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Watchers: how many, and how patiently they are served.
    pub sessions: web::watch::Settings,
    /// Most bytes of live entries that wait for one watcher, with 64 bytes for each entry; one entry always fits.
    pub queue_bytes: usize,
    /// Most live entries that wait for one watcher.
    pub queue_entries: usize,
    /// Bytes of stored entries that one worker may send ahead of one watcher.
    pub credit_bytes: usize,
    /// How long the merge of stored entries waits for a worker that sends nothing.
    pub merge_wait: Duration,
    /// How long a worker may stay silent (it is pinged three times in that time) before its connection is given up.
    pub worker_silence: Duration,
    /// How long a worker's machine may take to take a connection: then it is dialled anew.
    pub connect_timeout: Duration,
    /// How long a worker may take to answer a dial or a command.
    pub worker_timeout: Duration,
    /// How long a worker may take to answer a request for which a person waits.
    pub answer_timeout: Duration,
    /// The first and the longest pause between two dials of a worker.
    pub redial: (Duration, Duration),
    /// How long a worker is remembered that is gone.
    pub gone_kept: Duration,
    /// Most workers that are remembered though they are gone; one more forgets the one that was gone first.
    pub gone_workers: usize,
    /// Largest frame of entries that a worker may send, and largest answer to a request, in bytes.
    pub message_bytes: usize,
    /// Most scripts.
    pub scripts: usize,
    /// Longest script, in bytes.
    pub script_bytes: usize,
    /// Most bytes of all scripts together.
    pub scripts_bytes: usize,
    /// Most bytes of the variables of scripts, as JSON.
    pub env_bytes: usize,
    /// Most bytes of console lines that are kept for those who follow them.
    pub console_bytes: usize,
    /// Most followers of the console at a time.
    pub console_sessions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: web::watch::Settings::default(),
            queue_bytes: 8 * 1024 * 1024,
            queue_entries: 8192,
            credit_bytes: 256 * 1024,
            merge_wait: Duration::from_millis(500),
            worker_silence: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(2),
            worker_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(5),
            redial: (Duration::from_millis(100), Duration::from_secs(2)),
            gone_kept: Duration::from_mins(10),
            gone_workers: 256,
            message_bytes: 64 * 1024 * 1024,
            scripts: 256,
            script_bytes: 1024 * 1024,
            scripts_bytes: 4 * 1024 * 1024,
            env_bytes: 1024 * 1024,
            console_bytes: 2 * 1024 * 1024,
            console_sessions: 64,
        }
    }
}
