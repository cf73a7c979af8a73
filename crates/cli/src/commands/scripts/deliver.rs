//! `kubeshark scripts FOLDER`: brings a folder's scripts to a hub, and every change after that.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use hub::source::{Change, LOOK_PERIOD, Sources};
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Deliver;
use crate::{
    asking::{AskError, Hub},
    exit::{Failure, Outcome},
    serving,
};

/// How long it is from one look whether the hub is still the same to the next.
const CHECK_PERIOD: Duration = Duration::from_secs(3);

/// What is there, and what of it the hub has.
struct Delivery {
    hub: Hub,
    /// Title and text of each file.
    scripts: BTreeMap<PathBuf, (String, String)>,
    /// The hub's numbers for them.
    indexes: BTreeMap<PathBuf, u64>,
    /// What the hub does not have yet.
    due: BTreeSet<PathBuf>,
    /// Numbers that the hub is to forget.
    gone: Vec<u64>,
    /// Variables that the hub does not have yet.
    env_due: bool,
    env: Option<Value>,
    /// When the hub was started: one that was started anew has nothing.
    started: Value,
    /// A script was refused.
    refused: bool,
}

pub(super) async fn run(args: Deliver) -> Outcome {
    let Deliver { folders, env, hub, once } = args;
    let source = env.source(folders);
    // Without variables of our own, the hub's stay.
    let own_env = !source.env.is_empty() || source.env_file.is_some();
    let (mut sources, changes) = Sources::open(source).map_err(|error| Failure::of(&error))?;
    let mut delivery = Delivery {
        hub,
        scripts: BTreeMap::new(),
        indexes: BTreeMap::new(),
        due: BTreeSet::new(),
        gone: Vec::new(),
        env_due: false,
        env: None,
        started: Value::Null,
        refused: false,
    };
    delivery.note(changes, own_env)?;
    delivery.meet().await?;
    delivery.send().await?;
    delivery.hub.ask(Method::POST, "/api/scripts/done", None).await?;
    if once {
        return if delivery.refused { Err(Failure::Told) } else { Ok(()) };
    }
    say("Watching for changes. Press CTRL+C to quit; the scripts go on.")?;
    let watching = async {
        let (mut since, mut away) = (Duration::ZERO, false);
        loop {
            sleep(LOOK_PERIOD).await;
            since += LOOK_PERIOD;
            delivery.note(sources.look(), own_env)?;
            let check = since >= CHECK_PERIOD;
            if check {
                since = Duration::ZERO;
            } else if away {
                continue;
            }
            match delivery.catch_up(check).await {
                Ok(()) if away => say("The hub is back.")?,
                Err(error @ AskError::Away(..)) if !away => say(&format!("{error}; waiting for it"))?,
                _ => {}
            }
            away = delivery.is_due();
        }
    };
    tokio::select! {
        stopped = serving::asked_to_stop() => stopped.map_err(|error| Failure::of(&error)),
        outcome = watching => outcome,
    }
}

impl Delivery {
    /// Takes note of what has changed on disk.
    fn note(&mut self, changes: Vec<Change>, own_env: bool) -> io::Result<()> {
        for change in changes {
            match change {
                Change::Written { path, title, code } => {
                    self.due.insert(path.clone());
                    self.scripts.insert(path, (title, code));
                }
                Change::Moved { from, to } => {
                    if let Some(script) = self.scripts.remove(&from) {
                        self.scripts.insert(to.clone(), script);
                    }
                    if let Some(index) = self.indexes.remove(&from) {
                        self.indexes.insert(to.clone(), index);
                    }
                    if self.due.remove(&from) {
                        self.due.insert(to);
                    }
                }
                Change::Removed(path) => {
                    self.scripts.remove(&path);
                    self.due.remove(&path);
                    self.gone.extend(self.indexes.remove(&path));
                }
                Change::Env(env) if own_env => {
                    self.env = Some(Value::Object(env));
                    self.env_due = true;
                }
                Change::Env(_) => {}
                Change::Unreadable(error) => say(&format!("{error}"))?,
            }
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.env_due || !self.due.is_empty() || !self.gone.is_empty() || self.started.is_null()
    }

    /// Brings the hub what it lacks; with `check`, after a look whether it is still the one that has the rest.
    async fn catch_up(&mut self, check: bool) -> Result<(), AskError> {
        if check || self.started.is_null() {
            self.meet().await?;
        }
        self.send().await
    }

    /// A hub that was started since we last saw it has nothing of ours.
    async fn meet(&mut self) -> Result<(), AskError> {
        let known = std::mem::replace(&mut self.started, Value::Null);
        let status = self.hub.ask(Method::GET, "/api/status", None).await?;
        let started = status["hub"]["started"].clone();
        if started != known {
            self.indexes.clear();
            self.gone.clear();
            self.due.extend(self.scripts.keys().cloned());
            self.env_due = self.env.is_some();
            // What lies there under a name of ours is ours: it was delivered before.
            let listed = self.hub.ask(Method::GET, "/api/scripts", None).await?;
            for script in listed.as_array().into_iter().flatten() {
                let same =
                    |(title, _): &(String, String)| script["path"].is_null() && script["title"] == **title;
                let ours = self
                    .scripts
                    .iter()
                    .find(|(path, script)| same(script) && !self.indexes.contains_key(*path));
                if let (Some((path, _)), Some(index)) = (ours, script["index"].as_u64()) {
                    self.indexes.insert(path.clone(), index);
                }
            }
        }
        self.started = started;
        Ok(())
    }

    async fn send(&mut self) -> Result<(), AskError> {
        // Variables first, so that scripts find them when they are loaded.
        if let Some(env) = self.env.as_ref().filter(|_| self.env_due) {
            self.hub.ask(Method::POST, "/api/scripts/env", Some(env)).await?;
            self.env_due = false;
        }
        while let Some(index) = self.gone.last() {
            match self.hub.ask(Method::DELETE, &format!("/api/scripts/{index}"), None).await {
                // Somebody else has removed it.
                Ok(_) | Err(AskError::Refused { status: 404, .. }) => tell(&format!("removed {index}")),
                Err(error) => return Err(error),
            }
            self.gone.pop();
        }
        while let Some(path) = self.due.first().cloned() {
            self.deliver(&path).await?;
            self.due.remove(&path);
        }
        Ok(())
    }

    async fn deliver(&mut self, path: &PathBuf) -> Result<(), AskError> {
        let Some((title, code)) = self.scripts.get(path) else { return Ok(()) };
        let body = json!({ "title": title, "code": code });
        let mut known = self.indexes.get(path).copied();
        let answer = loop {
            let asked = match known {
                Some(index) => self.hub.ask(Method::PUT, &format!("/api/scripts/{index}"), Some(&body)).await,
                None => self.hub.ask(Method::POST, "/api/scripts", Some(&body)).await,
            };
            match asked {
                // Somebody else has removed it.
                Err(AskError::Refused { status: 404, .. }) if known.is_some() => known = None,
                other => break other,
            }
        };
        match answer {
            Ok(answer) => {
                if let Some(index) = answer["index"].as_u64() {
                    self.indexes.insert(path.clone(), index);
                    tell(&format!("{index:>3}  {title}  {}", path.display()));
                }
                Ok(())
            }
            Err(AskError::Refused { message, .. }) => {
                self.refused = true;
                tell(&format!("{} is not taken: {message}", path.display()));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{text}")
}

/// What went well, or not, with one script; the delivery goes on where nobody reads it.
fn tell(text: &str) {
    drop(say(text));
}
