//! Scripts that run at the hub: those that define `onHubAction`, called when a script anywhere calls `hub.action`.
//!
//! They run in a script host of the hub's own, which is there only while there is such a script. Whether a script is
//! one is told by its text: what never says the name cannot define it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use api::messages::{ConsoleLine, Env, LineKind};
use scripting::{
    About, Answer, Feeder, Hook, Host, Launch, Options, Request, Stats,
    wire::{Line, LineKind as WireKind},
};
use serde_json::{Value, json};
use tracing::warn;

use super::Console;
use crate::lock;

/// The hub's own script host.
#[derive(Debug)]
pub(crate) struct Actions {
    feeder: Feeder,
    loaded: Mutex<(BTreeMap<u32, String>, Env)>,
    /// Calls that no script heard.
    unheard: AtomicU64,
    directory: PathBuf,
}

/// Numbers the directories of the hubs of one process.
static HUBS: AtomicU64 = AtomicU64::new(0);

impl Actions {
    /// Gets ready, on the runtime at hand. `program` is ours, and knows `script-host`, which is told `args` besides.
    pub(super) fn new(program: &Path, args: Vec<OsString>, console: Arc<Console>) -> io::Result<Self> {
        let name = format!("kubeshark-hub-{}-{}", process::id(), HUBS.fetch_add(1, Relaxed));
        let directory = std::env::temp_dir().join(name);
        // What scripts write may hold what was captured.
        DirBuilder::new().mode(0o700).recursive(true).create(&directory)?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let about = About {
            node: "hub".into(),
            ip: String::new(),
            run_id: since.as_secs(),
            data_dir: directory.clone(),
        };
        let args = [vec!["script-host".into()], args].concat();
        let launch = Launch { program: program.to_owned(), args };
        let itself = Arc::new(HubHost::default());
        let write = Arc::new(move |line: Line| console.write("hub", &written(line)));
        let runtime = tokio::runtime::Handle::current();
        let feeder =
            Feeder::new(launch, about, Options::default(), Arc::clone(&itself) as _, runtime, write)?;
        // It knows the feeder that it serves, weakly: whoever drops the hub's ends the host.
        drop(itself.feeder.set(feeder.downgrade()));
        Ok(Self { feeder, loaded: Mutex::default(), unheard: AtomicU64::new(0), directory })
    }

    /// These are the hub's scripts now.
    pub(super) fn set(&self, scripts: BTreeMap<u32, String>, env: &Env) {
        let wanted: BTreeMap<_, _> =
            scripts.into_iter().filter(|(_, code)| code.contains(Hook::OnHubAction.name())).collect();
        let mut loaded = lock(&self.loaded);
        if loaded.1 != *env {
            self.feeder.set_env(env.clone());
            loaded.1.clone_from(env);
        }
        for index in loaded.0.keys().filter(|index| !wanted.contains_key(index)) {
            self.feeder.unload(*index);
        }
        for (index, code) in wanted.iter().filter(|(index, code)| loaded.0.get(index) != Some(code)) {
            self.feeder.load(*index, code);
        }
        loaded.0 = wanted;
    }

    /// A script called `hub.action`.
    pub(super) fn call(&self, action: &str, object: Value) {
        if self.feeder.wants().has(Hook::OnHubAction) {
            self.feeder.hub_action(action, object);
        } else {
            self.unheard.fetch_add(1, Relaxed);
        }
    }

    /// Calls that no script heard.
    pub(crate) fn unheard(&self) -> u64 {
        self.unheard.load(Relaxed)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.feeder.stats()
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            warn!(%error, directory = %self.directory.display(), "What scripts wrote cannot be removed");
        }
    }
}

/// The hub, as helpers see it.
#[derive(Default)]
struct HubHost {
    feeder: OnceLock<scripting::WeakFeeder>,
}

impl Host for HubHost {
    fn ask(&self, request: Request) -> Answer {
        let answer = match request {
            // Outside a cluster nothing is chosen, and everything is looked at.
            Request::Targets => Ok(json!({ "excluded": [], "targets": [] })),
            Request::NameResolutionHistory => Ok(json!({})),
            Request::HubAction { action, object } => {
                if let Some(feeder) = self.feeder.get().and_then(scripting::WeakFeeder::upgrade) {
                    feeder.hub_action(&action, object);
                }
                Ok(Value::Null)
            }
            _ => Err("packets are kept by workers, not by the hub".to_owned()),
        };
        Box::pin(async { answer })
    }
}

fn written(line: Line) -> ConsoleLine {
    let kind = match line.kind {
        WireKind::Log => LineKind::Log,
        WireKind::Error => LineKind::Error,
        WireKind::Clear => LineKind::Clear,
    };
    ConsoleLine { script: line.script, kind, text: line.text }
}
