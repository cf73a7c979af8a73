//! Folders of scripts on this machine, brought to the release's `ConfigMap` and Secret.
//!
//! They stay there when this program ends: what runs in a cluster needs nobody's terminal.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

use hub::source::{Change, LOOK_PERIOD, SourceConfig, Sources};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use tracing::warn;

use crate::{
    exit::{Failure, Outcome},
    kubernetes::Cluster,
    scripts::Args,
    settings::Settings,
};

/// What a `ConfigMap` may hold, less what else is in ours, in bytes.
const ROOM: usize = 1_000_000;

/// What lies in the folders.
pub(super) struct Scripts {
    sources: Sources,
    watched: bool,
    /// By number, which a script keeps while its file is there.
    found: BTreeMap<u32, (PathBuf, Value)>,
    /// Variables of the settings, and those of the command line over them.
    env: Map<String, Value>,
    own_env: Map<String, Value>,
}

impl Scripts {
    /// Reads the folders of the settings and of the command line, and puts what is in them into the settings.
    pub(super) fn open(settings: &mut Settings, args: &Args) -> Result<Self, Failure> {
        let folders: Vec<_> = settings.script_folders().into_iter().chain(args.scripts.clone()).collect();
        let given = !folders.is_empty();
        let (sources, changes) =
            Sources::open(SourceConfig { folders, ..args.source() }).map_err(|error| Failure::of(&error))?;
        let own_env = settings.values()["scripting"]["env"].as_object().cloned().unwrap_or_default();
        let mut scripts = Self {
            watched: settings.is_on("scripting.watchScripts") && !sources.is_fixed(),
            sources,
            found: BTreeMap::new(),
            env: own_env.clone(),
            own_env,
        };
        scripts.note(changes);
        scripts.fits()?;
        if given {
            let list: Vec<_> = scripts.found.values().map(|(_, script)| script).collect();
            settings.set("scripting.scripts", json!(list));
        }
        for (name, value) in &scripts.env {
            settings.set_variable(name, value.clone());
        }
        Ok(scripts)
    }

    /// Brings every change to the cluster, for as long as it is asked to.
    pub(super) async fn watch(mut self, cluster: &Cluster) -> Outcome {
        if !self.watched {
            return std::future::pending().await;
        }
        loop {
            sleep(LOOK_PERIOD).await;
            let changes = self.sources.look();
            if changes.is_empty() {
                continue;
            }
            self.note(changes);
            match self.bring(cluster).await {
                Ok(()) => {
                    writeln!(io::stderr(), "kubeshark: the scripts have changed, and are in the cluster")?;
                }
                Err(failure) => warn!("The scripts in the cluster stay as they are: {}", failure.why()),
            }
        }
    }

    fn note(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Written { path, title, code } => {
                    let script = json!({"title": title, "code": code, "active": true});
                    let index = self.index(&path);
                    self.found.insert(index, (path, script));
                }
                Change::Moved { from, to } => {
                    let index = self.index(&from);
                    if let Some((path, script)) = self.found.get_mut(&index) {
                        script["title"] = json!(hub::source::name(&to));
                        *path = to;
                    }
                }
                Change::Removed(path) => self.found.retain(|_, (known, _)| *known != path),
                Change::Env(env) => {
                    self.env = self.own_env.clone();
                    self.env.extend(env);
                }
                Change::Unreadable(error) => warn!("{}", crate::exit::chain(&error)),
            }
        }
    }

    /// The number of a file's script, or the next.
    fn index(&self, path: &PathBuf) -> u32 {
        let known = self.found.iter().find(|(_, (known, _))| known == path).map(|(index, _)| *index);
        known.unwrap_or_else(|| self.found.keys().next_back().map_or(1, |last| last + 1))
    }

    /// As the `ConfigMap` has them.
    fn fits(&self) -> Result<String, Failure> {
        let scripts: Map<String, Value> =
            self.found.iter().map(|(index, (_, script))| (index.to_string(), script.clone())).collect();
        let text = Value::Object(scripts).to_string();
        if text.len() > ROOM {
            return Err(Failure::Failed(format!(
                "the scripts are {} bytes long, and a ConfigMap holds {ROOM}; deliver some of them with \
                 `kubeshark scripts FOLDER`",
                text.len()
            )));
        }
        Ok(text)
    }

    async fn bring(&self, cluster: &Cluster) -> Result<(), Failure> {
        let scripts = json!({"data": {"SCRIPTING_SCRIPTS": self.fits()?}});
        let env = json!({"stringData": {"SCRIPTING_ENV": Value::Object(self.env.clone()).to_string()}});
        let ours = PatchParams::default();
        let patched =
            cluster.api::<ConfigMap>().patch("kubeshark-config-map", &ours, &Patch::Merge(scripts)).await;
        patched.map_err(|error| cluster.failure(&error))?;
        let patched = cluster.api::<Secret>().patch("kubeshark-secret", &ours, &Patch::Merge(env)).await;
        patched.map(drop).map_err(|error| cluster.failure(&error))
    }
}
