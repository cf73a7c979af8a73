//! The worker as a process: sources on threads, a store between, servers on tokio.

use std::{
    fs::{self, DirBuilder},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use api::Node;
use scripting::{About, Launch, files::Files};
use thiserror::Error;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time};
use tracing::{info, warn};
use web::{
    Door,
    tls::{Keys, KeysError},
};

use crate::{
    CaptureError, Config, Input, Limits, NameHistory, Packets, SourceConfig,
    capture::Position,
    identity,
    keeper::{Keep, Keeper, Round},
    lock,
    names::{Names, waiting::Waiting},
    privileges,
    rounds::{self, BatchSource, Numbers, Stopped},
    scripts::{Scripts, Surroundings},
    server::{self, Served},
    source,
    status::{Cluster, SourceStatus, Status},
    store::{EXPIRY, Store},
    streams::{Counting, Reserved},
    targets::{Gate, Targeting, own::Own},
};

/// Why a worker does not start, or not go on.
#[derive(Debug, Error)]
pub enum Error {
    /// It cannot serve.
    #[error(transparent)]
    Serve(web::BindError),
    /// It does not serve any longer.
    #[error("the server of {address} ended")]
    Server {
        /// Where it served.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        cause: io::Error,
    },
    /// Its keys are none.
    #[error("cannot serve with TLS")]
    Keys(#[from] KeysError),
    /// What it should call itself is no address.
    #[error("{0:?} is not an address to advertise; write host:port, for example 10.1.2.3:30001")]
    Advertise(String),
    /// It cannot capture.
    #[error(transparent)]
    Capture(CaptureError),
    /// It cannot keep packets.
    #[error(
        "cannot keep packets in {directory}; name another data directory, or keep none (--packets-mib 0)"
    )]
    Packets {
        /// The directory.
        directory: String,
        /// The system's reason.
        #[source]
        cause: io::Error,
    },
    /// It cannot become who it should be.
    #[error("cannot become user {user}, which only root may, with the capabilities SETUID and SETGID")]
    User {
        /// Whom.
        user: u32,
        /// The system's reason.
        #[source]
        cause: io::Error,
    },
    /// It cannot run scripts.
    #[error("cannot prepare for scripts")]
    Scripts(#[source] io::Error),
    /// It cannot keep its stream numbers.
    #[error("cannot keep the stream numbers in {directory}; name another data directory")]
    DataDirectory {
        /// The directory.
        directory: String,
        /// The system's reason.
        #[source]
        cause: io::Error,
    },
}

/// A worker that runs until it is shut down.
pub struct Running {
    /// Where it serves.
    pub address: SocketAddr,
    server: JoinHandle<io::Result<()>>,
    trigger: web::Trigger,
    stop: Arc<AtomicBool>,
    captures: Vec<thread::JoinHandle<()>>,
    expiry: JoinHandle<()>,
    failures: mpsc::Receiver<CaptureError>,
    packets: Option<Packets>,
    names: NameHistory,
    tending: JoinHandle<()>,
    /// Writes the names where scripts find them.
    remembering: JoinHandle<()>,
    /// Where scripts keep files when the worker keeps none; removed with it.
    _scratch: Option<Scratch>,
}

impl Running {
    /// Waits until a source or the server fails: never, for files that are read to their end and interfaces that stay.
    pub async fn failed(&mut self) -> Error {
        tokio::select! {
            Some(error) = self.failures.recv() => Error::Capture(error),
            ended = &mut self.server => {
                let cause = ended.unwrap_or_else(|panic| Err(io::Error::other(panic))).err();
                Error::Server { address: self.address, cause: cause.unwrap_or_else(|| io::Error::other("it was told to")) }
            }
        }
    }

    /// Its packets, if it keeps any.
    pub fn packets(&self) -> Option<&Packets> {
        self.packets.as_ref()
    }

    /// The names that it was told of. Who changes them also writes them to the data directory.
    pub fn names(&self) -> &NameHistory {
        &self.names
    }

    /// Stops capturing, then serving.
    pub async fn shutdown(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.expiry.abort();
        self.tending.abort();
        self.remembering.abort();
        // Captures see the flag within an idle period; a thread that waits for them must not be a runtime's.
        let (captures, packets) = (self.captures, self.packets);
        let joined = tokio::task::spawn_blocking(move || {
            let panicked = captures.into_iter().filter_map(|capture| capture.join().err()).count();
            if let Some(packets) = packets {
                packets.close();
            }
            panicked
        });
        if joined.await.unwrap_or(1) > 0 {
            warn!("A capture thread had panicked");
        }
        if !self.trigger.finish().await {
            warn!("Connections were cut that did not end in time");
        }
        self.server.abort();
    }
}

/// Opens the sources and the port, then captures and serves in the background.
pub async fn start(config: Config) -> Result<Running, Error> {
    let ports = Ports::open(&config).await?;
    let address = ports.address;
    let node = Arc::new(identity::node(&config, address)?);
    let store = Arc::new(Store::new(config.store));
    let stop = Arc::new(AtomicBool::new(false));
    let own: Vec<_> = config.own.iter().copied().chain([address]).chain(ports.beside()).collect();
    let packets = packets(&config)?;
    let history = NameHistory::default();
    let names = Arc::new(Names::new(config.names, history.clone()));
    let keep_frames = packets.is_some() || config.script_host.is_some();
    let (opened, targeting) = open(&config, &own, &stop, keep_frames)?;
    if let Some(user) = config.user {
        settle(user, config.data_dir.as_deref())?;
    }
    // Only now, so that what they write belongs to whom it should.
    let scratch = scratch(&config, address)?;
    let data_dir = config.data_dir.as_ref().or(scratch.as_ref().map(|scratch| &scratch.0));
    let (scripts, tending) = Scripts::new(Surroundings {
        launch: launch(&config),
        about: about(&node, data_dir.cloned().unwrap_or_default()),
        packets: packets.clone(),
        names: history.clone(),
        over: Arc::clone(&stop),
    })
    .map_err(Error::Scripts)?;
    let tending = tokio::spawn(tending);
    let statuses = opened.iter().map(|(_, status)| status.clone()).collect();
    let status = Arc::new(Status::new(
        Arc::clone(&node),
        identity::boot(&config),
        Arc::clone(&store),
        packets.clone(),
        Arc::clone(&scripts),
        Cluster { names: Arc::clone(&names), targeting: Arc::clone(&targeting) },
        statuses,
    ));
    let sockets = Arc::new(Own::default());
    let (failed, failures) = mpsc::channel(opened.len().max(1));
    let numbers =
        Arc::new(std::sync::Mutex::new(numbers(&config, opened.iter().any(|(_, status)| status.live))?));
    let mut captures = Vec::new();
    for (index, (batches, SourceStatus { live, name, .. })) in opened.into_iter().enumerate() {
        let keeper = Keeper {
            index,
            live,
            store: Arc::clone(&store),
            status: Arc::clone(&status),
            scripts: Arc::clone(&scripts),
            sink: packets.as_ref().map(|packets| packets.sink(index as u32, !live)),
            names: Arc::clone(&names),
            targeting: Arc::clone(&targeting),
            sockets: Arc::clone(&sockets),
            waiting: Waiting::new(config.names),
            round: Round::default(),
        };
        let wait_for_scripts = config.wait_for_scripts.filter(|_| !live);
        let capture = Capture {
            node: Arc::clone(&node),
            limits: config.limits.clone(),
            threads: config.threads,
            name,
            wait_for_scripts,
        };
        let (failed, numbers) = (failed.clone(), SharedNumbers(Arc::clone(&numbers)));
        captures.push(thread::spawn(move || capture.run(batches, keeper, numbers, &failed)));
    }
    captures.extend(watch_own(&config, sockets, Arc::clone(&targeting), &stop));
    let (trigger, shutdown) = web::shutdown();
    write_names(&history, packets.as_ref());
    let remembering = tokio::spawn(remember(Arc::clone(&names), packets.clone()));
    let served = Served {
        store: Arc::clone(&store),
        packets: packets.clone(),
        history: history.clone(),
        names,
        targeting,
        scripts,
        exports: server::exports(),
        status,
        shutdown,
    };
    let server = ports.serve(served, &config.allowed_hosts);
    let expiry = tokio::spawn(expire(store));
    info!(%address, node = %config.node, "The worker is ready");
    Ok(Running {
        address,
        server,
        trigger,
        stop,
        captures,
        expiry,
        failures,
        packets,
        names: history,
        tending,
        remembering,
        _scratch: scratch,
    })
}

/// A source and what is known of it.
type Opened = (Box<dyn BatchSource>, SourceStatus);

/// Opens the sources, and what tells them what to let through.
fn open(
    config: &Config,
    own: &[SocketAddr],
    stop: &Arc<AtomicBool>,
    keep_frames: bool,
) -> Result<(Vec<Opened>, Arc<Targeting>), Error> {
    let gates: Vec<Arc<Gate>> = config.sources.iter().map(|_| Arc::default()).collect();
    let live = config.sources.iter().zip(&gates).filter(|(source, _)| source.is_live());
    let live = live.map(|(source, gate)| (source.input.to_string(), Arc::clone(gate))).collect();
    // Before the interfaces are opened, so that nothing is captured that nobody wants.
    let targeting = Arc::new(Targeting::new(live, config.await_targets));
    let mut opened = Vec::new();
    for (source, gate) in config.sources.iter().zip(gates) {
        let source = SourceConfig { leave_out: own.to_vec(), ..source.clone() };
        let (limits, start) = (&config.limits.flow, Position::default());
        let batches =
            source::open(&source, limits, &start, stop, 0, keep_frames, &gate).map_err(Error::Capture)?;
        opened.push((batches, SourceStatus::new(source.input.to_string(), source.is_live(), gate)));
    }
    Ok((opened, targeting))
}

/// Looks for our own connections until it is over, where there is something to leave them out of.
fn watch_own(
    config: &Config,
    sockets: Arc<Own>,
    targeting: Arc<Targeting>,
    over: &Arc<AtomicBool>,
) -> Option<thread::JoinHandle<()>> {
    let over = Arc::clone(over);
    let is_needed = config.sources.iter().any(SourceConfig::is_live);
    is_needed.then(|| thread::spawn(move || sockets.watch(&targeting, &over)))
}

/// Where it listens.
struct Ports {
    address: SocketAddr,
    listener: TcpListener,
    /// The same port on loopback.
    local: Option<TcpListener>,
    keys: Option<Keys>,
}

impl Ports {
    async fn open(config: &Config) -> Result<Self, Error> {
        let keys = config.tls_dir.as_deref().map(Keys::load).transpose()?;
        let listener = web::bind(config.listen).await.map_err(Error::Serve)?;
        let address =
            listener.local_addr().map_err(|cause| Error::Server { address: config.listen, cause })?;
        let local = if keys.is_some() { beside(address).await } else { None };
        Ok(Self { address, listener, local, keys })
    }

    fn beside(&self) -> Option<SocketAddr> {
        self.local.as_ref()?.local_addr().ok()
    }

    fn serve(self, served: Served, allowed_hosts: &[String]) -> JoinHandle<io::Result<()>> {
        let Self { listener, local, keys, .. } = self;
        let door = if keys.is_some() { Door::Hub } else { Door::Loopback };
        let shutdown = served.shutdown.clone();
        let router = server::router(served, allowed_hosts, door);
        tokio::spawn(async move {
            let at = |listener| web::serve(listener, keys.as_ref(), router.clone(), shutdown.clone());
            match local {
                Some(local) => tokio::try_join!(at(listener), at(local)).map(|_| ()),
                None => at(listener).await,
            }
        })
    }
}

/// The same port on loopback, where port-forwards come out, for one that listens on another address alone. Only servers
/// that ask for a certificate there too have it.
async fn beside(address: SocketAddr) -> Option<TcpListener> {
    let ip: IpAddr = match address.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => return None,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    match web::bind(SocketAddr::new(ip, address.port())).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            warn!(%error, "Port-forwards to this worker lead nowhere");
            None
        }
    }
}

/// Forgets what has grown too old, for ever.
async fn expire(store: Arc<Store>) {
    let mut period = time::interval(EXPIRY);
    loop {
        period.tick().await;
        store.expire();
    }
}

/// How scripts are run, if they are.
fn launch(config: &Config) -> Option<Launch> {
    let program = config.script_host.clone()?;
    let args = [vec!["script-host".into()], config.script_args.clone()].concat();
    Some(Launch { program, args })
}

/// How often changed names are written where scripts find them, at most; where that takes long, a twentieth of the time.
const REMEMBER: Duration = Duration::from_secs(3);

/// Writes changed names, for ever.
async fn remember(names: Arc<Names>, packets: Option<Packets>) {
    let mut pause = REMEMBER;
    loop {
        time::sleep(pause).await;
        let began = Instant::now();
        let (names, packets) = (Arc::clone(&names), packets.clone());
        let write = move || {
            if names.remember() {
                write_names(&names.history, packets.as_ref());
            }
        };
        if tokio::task::spawn_blocking(write).await.is_err() {
            warn!("The history of names was not written");
        }
        pause = REMEMBER.max(20 * began.elapsed());
    }
}

/// Puts the names where scripts find them.
fn write_names(names: &NameHistory, packets: Option<&Packets>) {
    if let Some(packets) = packets
        && let Err(error) = names.write(packets.files())
    {
        warn!(%error, "The history of names can't be written");
    }
}

/// What scripts are told of where they run.
fn about(node: &Node, data_dir: PathBuf) -> About {
    let run_id = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    About { node: node.name.to_string(), ip: node.ip.to_string(), run_id, data_dir }
}

/// A place for the files of scripts, where the worker has none of its own.
fn scratch(config: &Config, address: SocketAddr) -> Result<Option<Scratch>, Error> {
    let is_needed = config.data_dir.is_none() && config.script_host.is_some();
    is_needed.then(|| Scratch::new(address)).transpose()
}

/// A directory of our own that is removed with its value.
struct Scratch(PathBuf);

impl Scratch {
    /// One that no other worker of this machine has.
    fn new(address: SocketAddr) -> Result<Self, Error> {
        let name = format!("kubeshark-scripts-{}-{}", std::process::id(), address.port());
        let path = std::env::temp_dir().join(name);
        // What scripts write may hold what was captured.
        DirBuilder::new().mode(0o700).recursive(true).create(&path).map_err(Error::Scripts)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            warn!(%error, directory = %self.0.display(), "What scripts wrote cannot be removed");
        }
    }
}

/// The packet store, if there is a place for it and it is wanted.
fn packets(config: &Config) -> Result<Option<Packets>, Error> {
    let Some(directory) = config.data_dir.as_ref().filter(|_| config.packets.bytes > 0) else {
        return Ok(None);
    };
    let live = config.sources.iter().any(|source| matches!(source.input, Input::Interface(_)));
    Files::open(directory, config.script_bytes)
        .and_then(|files| Packets::open(&files, &config.packets, live))
        .map(Some)
        .map_err(|cause| Error::Packets { directory: directory.display().to_string(), cause })
}

/// Becomes `user`, who may write into the data directory.
fn settle(user: u32, data_dir: Option<&Path>) -> Result<(), Error> {
    if let Some(directory) = data_dir {
        privileges::share(directory, user)
            .map_err(|cause| Error::DataDirectory { directory: directory.display().to_string(), cause })?;
    }
    privileges::become_user(user).map_err(|cause| Error::User { user, cause })?;
    info!(user, "The worker has given up its rights");
    Ok(())
}

/// A file's streams are 1, 2, 3 …; live ones go on where an earlier run may have stopped.
fn numbers(config: &Config, live: bool) -> Result<Box<dyn Numbers + Send>, Error> {
    match &config.data_dir {
        Some(directory) if live => Reserved::open(directory)
            .map(|numbers| Box::new(numbers) as Box<dyn Numbers + Send>)
            .map_err(|cause| Error::DataDirectory { directory: directory.display().to_string(), cause }),
        _ => Ok(Box::new(Counting::default())),
    }
}

/// All sources of a worker number from one sequence.
struct SharedNumbers(Arc<std::sync::Mutex<Box<dyn Numbers + Send>>>);

impl Numbers for SharedNumbers {
    fn next(&mut self) -> u64 {
        lock(&self.0).next()
    }
}

/// One source and its threads.
struct Capture {
    node: Arc<Node>,
    limits: Limits,
    threads: usize,
    name: String,
    /// How long scripts are waited for before the first packet is read.
    wait_for_scripts: Option<Duration>,
}

impl Capture {
    fn run(
        self,
        batches: Box<dyn BatchSource>,
        keeper: Keeper,
        mut numbers: SharedNumbers,
        failed: &mpsc::Sender<CaptureError>,
    ) {
        let (status, index) = (Arc::clone(&keeper.status), keeper.index);
        if let Some(patience) = self.wait_for_scripts {
            keeper.scripts.wait_until_ready(patience);
        }
        let (ledger, stopped) =
            rounds::run(self.node, &self.limits, batches, &Keep, keeper, &mut numbers, self.threads);
        let error = match stopped {
            Some(Stopped::Capture(error)) => Some(error),
            _ => None,
        };
        status.source(index, |source| {
            source.ended = true;
            source.shedding = flow::Share::NONE;
            source.ledger = ledger;
            source.error = error.as_ref().map(whole);
        });
        match error {
            None => info!(source = %self.name, "The source was read to its end"),
            Some(error) => {
                info!(error = %whole(&error), "The source is not read any further");
                // The receiver is gone only when the worker shuts down.
                drop(failed.try_send(error));
            }
        }
    }
}

/// An error and its causes in one line.
fn whole(error: &CaptureError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
