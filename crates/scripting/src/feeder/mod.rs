//! The worker's side: starts the script host, feeds it, and starts it again.
//!
//! Whoever captures never waits here: what does not fit into the queue is dropped and counted. The host is there only
//! while there are scripts.

mod child;
mod state;
mod stats;

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use api::messages::Job;
use serde_json::{Map, Value};

pub use stats::{HookStats, ScriptState, ScriptStats, Stats};

use state::Inner;

use crate::{
    About, Hook, Hooks, Host, Options,
    wire::{JobRequest, Kind, Line, PacketInfo, ToScripts},
};

/// How long a request about jobs is waited for.
const JOBS_PATIENCE: Duration = Duration::from_secs(5);

/// How the script host is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program: usually this one.
    pub program: PathBuf,
    /// Its arguments: usually `script-host`.
    pub args: Vec<OsString>,
}

/// Where console lines go. Called on one thread; must not wait.
pub type Console = Arc<dyn Fn(Line) + Send + Sync>;

/// Feeds scripts. Its clones feed the same ones; when the last is dropped, the script host ends.
#[derive(Clone)]
pub struct Feeder(Arc<Handle>);

struct Handle(Arc<Inner>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl std::fmt::Debug for Feeder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Feeder").field(&self.stats()).finish()
    }
}

/// A feeder that does not keep its script host.
#[derive(Clone)]
pub struct WeakFeeder(Weak<Handle>);

impl WeakFeeder {
    /// The feeder, if it is still there.
    pub fn upgrade(&self) -> Option<Feeder> {
        self.0.upgrade().map(Feeder)
    }
}

impl Feeder {
    /// Gets ready; the host starts with the first script. Requests of helpers are answered by `host` on `runtime`.
    ///
    /// # Errors
    ///
    /// The system gives no thread, or no file in memory.
    pub fn new(
        launch: Launch,
        about: About,
        options: Options,
        host: Arc<dyn Host>,
        runtime: tokio::runtime::Handle,
        console: Console,
    ) -> std::io::Result<Self> {
        let inner = Arc::new(Inner::new(about, options, host, runtime, console));
        child::supervise(launch, Arc::clone(&inner))?;
        Ok(Self(Arc::new(Handle(inner))))
    }

    /// For those whom it serves itself.
    pub fn downgrade(&self) -> WeakFeeder {
        WeakFeeder(Arc::downgrade(&self.0))
    }

    fn inner(&self) -> &Inner {
        &self.0.0
    }

    // === scripts

    /// Loads a script; one with this index is replaced. Its strikes are forgotten.
    pub fn load(&self, index: u32, code: &str) {
        self.inner().load(index, code);
    }

    /// Forgets a script.
    pub fn unload(&self, index: u32) {
        self.inner().unload(index);
    }

    /// Replaces `env`. Running scripts see it without being loaded anew; one whose top level threw has another try.
    pub fn set_env(&self, env: Map<String, Value>) {
        self.inner().set_env(env);
    }

    // === hooks

    /// The hooks that scripts define: nothing else needs to be fed. Costs one load.
    pub fn wants(&self) -> Hooks {
        Hooks(self.inner().hooks.load(Ordering::Relaxed))
    }

    /// An entry is complete. Entries of which a half is missing are no business of scripts, and left out.
    pub fn entry(&self, entry: &api::Entry) {
        let is_whole = !entry.flags.request_missing && !entry.flags.response_missing;
        if is_whole && self.wants().has(Hook::OnItemCaptured) {
            self.inner().feed(Hook::OnItemCaptured, Kind::Entry, 1, |out| {
                api::write_full(out, &api::View::whole(entry));
            });
        }
    }

    /// An entry is complete, and this is its JSON.
    pub fn entry_json(&self, json: &[u8]) {
        if self.wants().has(Hook::OnItemCaptured) {
            self.inner().feed(Hook::OnItemCaptured, Kind::Entry, 1, |out| out.extend_from_slice(json));
        }
    }

    /// Packets were captured.
    pub fn packets(&self, packets: &[PacketInfo]) {
        if !packets.is_empty() && self.wants().has(Hook::OnPacketCaptured) {
            self.inner().feed(Hook::OnPacketCaptured, Kind::Packets, packets.len() as u64, |out| {
                for packet in packets {
                    out.extend_from_slice(&packet.record());
                }
            });
        }
    }

    /// An entry is about to be shown to a watcher: its JSON as scripts changed it. `None`: as it is, because no script
    /// changes it, or none in time, which is counted.
    pub async fn queried(&self, json: &[u8]) -> Option<Vec<u8>> {
        if !self.wants().has(Hook::OnItemQueried) {
            return None;
        }
        self.inner().query(json).await
    }

    /// A pod came (`ADDED`), changed (`MODIFIED`) or went (`DELETED`).
    pub fn pod_event(&self, event: &str, pod: Value) {
        if self.wants().has(Hook::OnPodEvent) {
            self.inner().tell(&ToScripts::Pod { event: event.to_owned(), pod });
        }
    }

    /// A script somewhere called `hub.action`.
    pub fn hub_action(&self, action: &str, object: Value) {
        if self.wants().has(Hook::OnHubAction) {
            self.inner().tell(&ToScripts::HubAction { action: action.to_owned(), object });
        }
    }

    // === what there is to see

    /// Does something with jobs; the jobs as they are then, or a sentence why not.
    pub async fn jobs(&self, request: JobRequest) -> Result<Vec<Job>, String> {
        let Some(receiver) = self.inner().ask_jobs(request) else { return Ok(Vec::new()) };
        match tokio::time::timeout(JOBS_PATIENCE, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("the script host ended".to_owned()),
            Err(_) => Err("the script host is busy".to_owned()),
        }
    }

    /// Bytes of events that wait for the script host. What comes when they are [`Options::queue_bytes`] is dropped.
    pub fn queued_bytes(&self) -> usize {
        self.inner().queued_bytes()
    }

    /// Counters, and how the scripts stand.
    pub fn stats(&self) -> Stats {
        self.inner().stats()
    }
}
