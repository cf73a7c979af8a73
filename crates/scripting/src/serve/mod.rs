//! The script host's process: frames in at its standard input, frames out at the same socket. Its standard output is the
//! file in which it marks which script runs.

mod output;
mod remote;
mod watchdog;

use std::{
    fs::File,
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{
    About, Options,
    engine::{Clock, Engine, Feed, Inbox, Input, Marker, Output, Shared},
    wire::{FrameError, Frames, Kind, ToScripts},
};

pub(crate) use watchdog::OVERRAN;

/// How long uploads that are under way are waited for when the parent has gone.
const GRACE: Duration = Duration::from_secs(10);

/// Why a script host can't run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It was not started as one.
    #[error("the standard input is no socket: a script host is started by a worker, not by hand")]
    NoSocket(#[source] io::Error),
    /// The parent speaks another language.
    #[error("the parent cannot be understood")]
    Frame(#[from] FrameError),
    /// The parent said something else first, or nothing.
    #[error("the parent did not say how to start")]
    NoStart,
    /// The system refuses something.
    #[error("the system refuses what a script host needs")]
    System(#[from] io::Error),
}

/// Runs scripts for the parent that started this process, until it says stop or goes away. Uses the whole process: it
/// limits its memory, and ends it when a script cannot be stopped in another way.
pub fn serve(outlets: outlets::Outlets) -> Result<(), ServeError> {
    let socket: UnixStream = io::stdin().as_fd().try_clone_to_owned()?.into();
    socket.peer_addr().map_err(ServeError::NoSocket)?;
    let mark: File = io::stdout().as_fd().try_clone_to_owned()?.into();
    let mut frames = Frames::new(socket.try_clone()?);
    let (about, options, rest) = first(&mut frames)?;
    limit(&options)?;

    let inbox = Arc::new(Inbox::default());
    let queue = Arc::new(output::Queue::new(options.output_bytes));
    let remote = Arc::new(remote::Remote::new(Arc::clone(&queue)));
    output::write_to(socket, Arc::clone(&queue))?;
    read_from(frames, rest, Arc::clone(&inbox), Arc::clone(&remote))?;
    let marker = Marker::new(Some(mark));
    watchdog::watch(marker.pulse(), Duration::from_millis(options.cpu_millis), Arc::clone(&queue))?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let output = Rc::new(output::Pipe(Arc::clone(&queue)));
    let runs = (output as Rc<dyn Output>, Clock::machine(), marker);
    let mut shared = Shared::new((about, options), remote, outlets, runtime.handle().clone(), runs);
    shared.inbox = inbox;
    let mut engine = Engine::new(Rc::new(shared));
    engine.run(GRACE);
    queue.drain(Duration::from_secs(1));
    runtime.shutdown_background();
    Ok(())
}

type Read = (Vec<u8>, Vec<(Kind, std::ops::Range<usize>)>);

/// The first message, and what came with it.
fn first(frames: &mut Frames<UnixStream>) -> Result<(About, Options, Read), ServeError> {
    let (bytes, mut found) = frames.read()?.ok_or(ServeError::NoStart)?;
    let (kind, range) = found.remove(0);
    let body = bytes.get(range).unwrap_or_default();
    match serde_json::from_slice(body) {
        Ok(ToScripts::Start { about, options }) if kind == Kind::Control => {
            Ok((about, options, (bytes, found)))
        }
        _ => Err(ServeError::NoStart),
    }
}

/// Memory that is written to counts, not address space: what is only reserved costs nothing.
fn limit(options: &Options) -> Result<(), ServeError> {
    let memory = Some(options.memory_bytes);
    setrlimit(Resource::Data, Rlimit { current: memory, maximum: memory }).map_err(io::Error::from)?;
    // A core file would hold the secrets of `env`.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(io::Error::from)?;
    Ok(())
}

fn read_from(
    mut frames: Frames<UnixStream>,
    first: Read,
    inbox: Arc<Inbox>,
    remote: Arc<remote::Remote>,
) -> io::Result<()> {
    let read = move || {
        let mut read = Some(first);
        while let Some((bytes, found)) = read {
            deliver(bytes, found, &inbox, &remote);
            read = frames.read().unwrap_or_else(|error| {
                tracing::error!(%error, "The pipe from the worker is broken");
                None
            });
        }
        inbox.close();
    };
    std::thread::Builder::new().name("script-in".to_owned()).spawn(read).map(drop)
}

/// Splits what was read at control messages: those before one come before it.
fn deliver(
    bytes: Vec<u8>,
    found: Vec<(Kind, std::ops::Range<usize>)>,
    inbox: &Inbox,
    remote: &remote::Remote,
) {
    let mut feed = Vec::new();
    let mut runs: Vec<(Vec<_>, Option<ToScripts>)> = Vec::new();
    for (kind, range) in found {
        if kind != Kind::Control {
            feed.push((kind, range));
            continue;
        }
        match serde_json::from_slice(bytes.get(range).unwrap_or_default()) {
            Ok(ToScripts::Answer { id, result }) => remote.answer(id, result),
            Ok(message) => runs.push((std::mem::take(&mut feed), Some(message))),
            Err(error) => tracing::error!(%error, "The worker said something unknown"),
        }
    }
    runs.push((feed, None));
    let several = runs.iter().filter(|(frames, _)| !frames.is_empty()).count() > 1;
    let mut bytes = bytes;
    for (frames, message) in runs {
        if !frames.is_empty() {
            let bytes = if several { bytes.clone() } else { std::mem::take(&mut bytes) };
            inbox.feed(Feed { bytes, frames });
        }
        if let Some(message) = message {
            inbox.push(Input::Message(message));
        }
    }
}
