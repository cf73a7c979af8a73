//! What the serving commands share: a runtime, and an end when the user asks for it.

use std::{future::Future, io};

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Failure, Outcome};

/// Runs a command that serves.
pub(crate) fn run(command: impl Future<Output = Outcome>) -> Outcome {
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
