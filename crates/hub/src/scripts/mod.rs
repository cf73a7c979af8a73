//! The scripts of the cluster: where they come from, what workers are to run, what they write.
//!
//! ```text
//!   folders, env file ─▶ source ─┐             ┌─▶ link ══▶ worker      Scripts, whole, when something changed
//!   POST /scripts …   ─▶ routes ─┴─▶ Scripts ──┴─▶ link ══▶ worker
//!                                    console ◀──── link ◀══ worker      what scripts write
//! ```
//! The newest word counts, whether it comes from a file or from a request: a script of a folder that is changed by a
//! request stays so until its file changes.

mod actions;
mod check;
mod console;
pub(crate) mod release;
pub mod source;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use api::messages::{Env, Script, ToWorker};
use serde_json::Value;
use tokio::{sync::watch, time};
use tracing::{info, warn};

use self::actions::Actions;
pub(crate) use self::console::Console;
use self::{
    release::{Released, Written},
    source::{Change, LOOK_PERIOD, Sources},
};
use crate::{Limits, lock};

/// Why a script is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScriptError {
    #[error("there is no script {index}; there are [{known}]")]
    Unknown { index: u32, known: String },
    #[error("the script has {size} bytes, and may have {most}")]
    TooLarge { size: usize, most: usize },
    #[error("all scripts together would have {size} bytes, and may have {most}; remove one")]
    AllTooLarge { size: usize, most: usize },
    #[error("there are {0} scripts, which is the most; remove one")]
    TooMany(usize),
    #[error("the variables have {size} bytes as JSON, and may have {most}")]
    EnvTooLarge { size: usize, most: usize },
    #[error("the script cannot be read: {0}")]
    Syntax(String),
}

/// A script that the hub keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) title: String,
    pub(crate) code: String,
    /// Whether workers are to run it.
    pub(crate) active: bool,
    /// The file that it came from.
    pub(crate) path: Option<PathBuf>,
    /// What is wrong with the newest text of its file, of which the last good one stays.
    pub(crate) error: Option<String>,
}

/// What a request changes of a script; what it does not name stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edit {
    pub(crate) title: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) active: Option<bool>,
}

/// What a request wants of scripts.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// A new one; without a title, its first comment is one.
    Add { title: Option<String>, code: String, active: bool },
    /// Another text, or title, or state.
    Edit(u32, Edit),
    /// Its end.
    Remove(u32),
}

impl Order {
    fn code(&self) -> Option<&str> {
        match self {
            Self::Add { code, .. } => Some(code),
            Self::Edit(_, edit) => edit.code.as_deref(),
            Self::Remove(_) => None,
        }
    }
}

/// The hub's scripts.
#[derive(Debug)]
pub(crate) struct Scripts {
    inner: Mutex<Inner>,
    /// Counts the changes of what workers are to run.
    changed: watch::Sender<u64>,
    pub(crate) console: Arc<Console>,
    /// Where scripts run that define `onHubAction`.
    pub(crate) actions: Option<Actions>,
    limits: Limits,
    /// Our program, which parses scripts; without it they are taken as they are.
    program: Option<PathBuf>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    scripts: BTreeMap<u32, Kept>,
    /// Numbers are not given twice, so that a line of the console always means the same script.
    next: u32,
    env: Env,
    /// What the release says, where there is one: all scripts that come from no file are its.
    released: Option<Released>,
}

impl Scripts {
    /// No scripts yet; those that define `onHubAction` will run on the runtime at hand.
    pub(crate) fn new(limits: &Limits, program: Option<PathBuf>) -> Self {
        let console = Arc::new(Console::new(limits.console_bytes));
        let actions = program.as_deref().map(|program| Actions::new(program, Arc::clone(&console)));
        if let Some(Err(error)) = &actions {
            warn!(%error, "No script can run at the hub");
        }
        Self {
            inner: Mutex::default(),
            changed: watch::Sender::new(0),
            console,
            actions: actions.and_then(Result::ok),
            limits: limits.clone(),
            program,
        }
    }

    /// Tells whenever [`Scripts::delivery`] may differ from what it was.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What workers are to run.
    pub(crate) fn delivery(&self) -> ToWorker {
        let inner = lock(&self.inner);
        let runs = |kept: &Kept| inner.released.as_ref().is_none_or(|released| released.runs(&kept.title));
        let scripts =
            inner.scripts.iter().filter(|(_, kept)| kept.active && !kept.code.is_empty() && runs(kept));
        let scripts = scripts
            .map(|(&index, kept)| Script { index, title: kept.title.clone(), code: kept.code.clone() })
            .collect();
        ToWorker::Scripts { scripts, env: inner.env.clone() }
    }

    /// All scripts, by number.
    pub(crate) fn list(&self) -> BTreeMap<u32, Kept> {
        lock(&self.inner).scripts.clone()
    }

    /// The names of the variables: their values may be secret.
    pub(crate) fn names(&self) -> Vec<String> {
        lock(&self.inner).env.keys().cloned().collect()
    }

    /// Does what a request wants; gives the script's number. Waits for the parser.
    pub(crate) fn order(&self, order: Order) -> Result<u32, ScriptError> {
        self.check_order(&order)?;
        self.change(|inner, limits| inner.order(order, limits))
    }

    /// Whether what a request wants can be parsed. Waits for the parser.
    pub(crate) fn check_order(&self, order: &Order) -> Result<(), ScriptError> {
        order.code().map_or(Ok(()), |code| self.check(code))
    }

    /// What the release would say once this was done, and the script's number; nothing is changed.
    pub(crate) fn rehearse(&self, released: &Released, order: Order) -> Result<(u32, Released), ScriptError> {
        let mut inner = lock(&self.inner).clone();
        inner.release(released.clone());
        let index = inner.order(order, &self.limits)?;
        let ours = inner.scripts.iter().filter(|(_, kept)| kept.path.is_none());
        let scripts = ours.map(|(&index, kept)| {
            let Kept { title, code, active, .. } = kept.clone();
            (index, Written { title, code, active })
        });
        Ok((index, Released { scripts: scripts.collect(), ..released.clone() }))
    }

    /// Takes over what the release says. Waits for the parser.
    pub(crate) fn release(&self, released: Released) {
        let known = lock(&self.inner).scripts.clone();
        let fresh = released
            .scripts
            .iter()
            .filter(|(index, written)| known.get(index).is_none_or(|kept| kept.code != written.code));
        let wrong: BTreeMap<u32, ScriptError> =
            fresh.filter_map(|(index, written)| Some((*index, self.check(&written.code).err()?))).collect();
        {
            let mut inner = lock(&self.inner);
            if inner.released.as_ref() == Some(&released) {
                return;
            }
            inner.release(released);
            for (index, error) in &wrong {
                if let Some(kept) = inner.scripts.get_mut(index) {
                    // The last good text goes on.
                    kept.code = known.get(index).map(|kept| kept.code.clone()).unwrap_or_default();
                    kept.error = Some(error.to_string());
                }
            }
        }
        for (index, error) in wrong {
            self.complain(&format!("script {index} of the release: {error}"));
        }
        self.tell();
    }

    /// Puts these variables in the place of all that there were.
    pub(crate) fn set_env(&self, env: Env) -> Result<(), ScriptError> {
        self.check_env(&env)?;
        self.change(|inner, _| {
            inner.env = env;
            Ok(())
        })
    }

    /// Whether the variables are not too many.
    pub(crate) fn check_env(&self, env: &Env) -> Result<(), ScriptError> {
        let size = serde_json::to_string(env).map_or(usize::MAX, |text| text.len());
        let most = self.limits.env_bytes;
        if size > most { Err(ScriptError::EnvTooLarge { size, most }) } else { Ok(()) }
    }

    /// Changes what is kept; tells it to the workers, if it came about.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Inner, &Limits) -> Result<T, ScriptError>,
    ) -> Result<T, ScriptError> {
        let done = change(&mut lock(&self.inner), &self.limits)?;
        self.tell();
        Ok(done)
    }

    /// Tells the workers, and the hub's own script host.
    fn tell(&self) {
        self.changed.send_modify(|changes| *changes += 1);
        if let (Some(actions), ToWorker::Scripts { scripts, env }) = (&self.actions, self.delivery()) {
            actions.set(scripts.into_iter().map(|script| (script.index, script.code)).collect(), &env);
        }
    }

    /// A script of a worker called `hub.action`.
    pub(crate) fn action(&self, action: &str, object: Value) {
        if let Some(actions) = &self.actions {
            actions.call(action, object);
        }
    }

    fn check(&self, code: &str) -> Result<(), ScriptError> {
        let (size, most) = (code.len(), self.limits.script_bytes);
        if size > most {
            return Err(ScriptError::TooLarge { size, most });
        }
        match &self.program {
            Some(program) => check::check(program, code).map_err(ScriptError::Syntax),
            None => Ok(()),
        }
    }

    /// Takes over what has changed on disk. Waits for the parser.
    pub(crate) fn apply(&self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Written { path, title, code } => self.written(&path, title, code),
                Change::Moved { from, to } => {
                    let mut inner = lock(&self.inner);
                    let moved = inner.scripts.values_mut().find(|kept| kept.path.as_ref() == Some(&from));
                    if let Some(kept) = moved {
                        info!(from = %from.display(), to = %to.display(), "A script's file has another name");
                        if scripting::title(&kept.code).is_empty() {
                            kept.title = source::name(&to);
                        }
                        kept.path = Some(to);
                    }
                }
                Change::Removed(path) => {
                    let index = lock(&self.inner).of(&path);
                    if let Some(index) = index {
                        info!(path = %path.display(), index, "A script's file is gone, and so is the script");
                        // It was there a moment ago; who removed it meanwhile wanted the same.
                        drop(self.order(Order::Remove(index)));
                    }
                }
                Change::Env(env) => {
                    if let Err(error) = self.set_env(env) {
                        self.complain(&format!("the variables stay as they were: {error}"));
                    }
                }
                Change::Unreadable(error) => self.complain(&error.to_string()),
            }
        }
    }

    fn written(&self, path: &Path, title: String, code: String) {
        let checked = self.check(&code);
        let size = code.len();
        let (index, result) = {
            let mut inner = lock(&self.inner);
            let index = inner.of(path);
            let checked = checked.and_then(|()| inner.room(&self.limits, index, size));
            match (index.and_then(|index| inner.scripts.get_mut(&index)), checked) {
                (Some(kept), Ok(())) => {
                    (kept.title, kept.code, kept.error) = (title, code, None);
                    (index, Ok(()))
                }
                (Some(kept), Err(error)) => {
                    kept.error = Some(error.to_string());
                    (index, Err(error))
                }
                (None, Ok(())) => {
                    let kept = Kept { title, code, active: true, path: Some(path.to_owned()), error: None };
                    (Some(inner.push(kept)), Ok(()))
                }
                // What never ran has a number all the same, so that it is seen what is wrong with it.
                (None, Err(error @ ScriptError::Syntax(_))) => {
                    let error_text = Some(error.to_string());
                    let kept = Kept {
                        title,
                        code: String::new(),
                        active: true,
                        path: Some(path.to_owned()),
                        error: error_text,
                    };
                    (Some(inner.push(kept)), Err(error))
                }
                (None, Err(error)) => (None, Err(error)),
            }
        };
        match result {
            Ok(()) => info!(path = %path.display(), index, "A script was read"),
            Err(error) => self.complain(&format!("{}: {error}", path.display())),
        }
        self.tell();
    }

    /// Tells people who follow the console that something is wrong with scripts.
    pub(crate) fn complain(&self, text: &str) {
        warn!("{text}");
        self.console.complain(text);
    }
}

impl Inner {
    fn order(&mut self, order: Order, limits: &Limits) -> Result<u32, ScriptError> {
        match order {
            Order::Add { title, code, active } => {
                self.room(limits, None, code.len())?;
                let title = title.unwrap_or_else(|| scripting::title(&code));
                Ok(self.push(Kept { title, code, active, path: None, error: None }))
            }
            Order::Edit(index, edit) => {
                self.room(limits, Some(index), edit.code.as_ref().map_or(0, String::len))?;
                let kept = self.get(index)?;
                if let Some(code) = edit.code {
                    kept.title = edit.title.unwrap_or_else(|| scripting::title(&code));
                    (kept.code, kept.error) = (code, None);
                } else if let Some(title) = edit.title {
                    kept.title = title;
                }
                kept.active = edit.active.unwrap_or(kept.active);
                Ok(index)
            }
            Order::Remove(index) => {
                self.get(index)?;
                self.scripts.remove(&index);
                Ok(index)
            }
        }
    }

    /// The release's scripts in the place of those that it had. A number that a file's script has is its.
    fn release(&mut self, released: Released) {
        self.scripts.retain(|index, kept| kept.path.is_some() || released.scripts.contains_key(index));
        for (&index, written) in &released.scripts {
            let Written { title, code, active } = written.clone();
            let title = if title.is_empty() { scripting::title(&code) } else { title };
            if self.scripts.get(&index).is_none_or(|kept| kept.path.is_none()) {
                self.scripts.insert(index, Kept { title, code, active, path: None, error: None });
            }
            self.next = self.next.max(index.saturating_add(1));
        }
        self.released = Some(released);
    }

    fn push(&mut self, kept: Kept) -> u32 {
        let index = self.next;
        self.next += 1;
        self.scripts.insert(index, kept);
        index
    }

    fn get(&mut self, index: u32) -> Result<&mut Kept, ScriptError> {
        let known = self.scripts.keys().map(u32::to_string).collect::<Vec<_>>().join(", ");
        self.scripts.get_mut(&index).ok_or(ScriptError::Unknown { index, known })
    }

    /// The script of a file.
    fn of(&self, path: &Path) -> Option<u32> {
        let found = self.scripts.iter().find(|(_, kept)| kept.path.as_deref() == Some(path));
        found.map(|(&index, _)| index)
    }

    /// Whether there is room for `size` bytes, in the place of a script or for a new one.
    fn room(&self, limits: &Limits, instead: Option<u32>, size: usize) -> Result<(), ScriptError> {
        if instead.is_none() && self.scripts.len() >= limits.scripts {
            return Err(ScriptError::TooMany(limits.scripts));
        }
        let others = self.scripts.iter().filter(|(index, _)| Some(**index) != instead);
        let size = size + others.map(|(_, kept)| kept.code.len()).sum::<usize>();
        let most = limits.scripts_bytes;
        if size > most { Err(ScriptError::AllTooLarge { size, most }) } else { Ok(()) }
    }
}

/// Looks at folders and env file again and again; returns only where nothing can change.
pub(crate) async fn follow(scripts: Arc<Scripts>, mut sources: Sources) {
    if sources.is_fixed() {
        return;
    }
    let mut period = time::interval(LOOK_PERIOD);
    period.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let theirs = Arc::clone(&scripts);
        let looked = tokio::task::spawn_blocking(move || {
            theirs.apply(sources.look());
            sources
        });
        match looked.await {
            Ok(returned) => sources = returned,
            Err(panic) => {
                scripts.complain(&format!("scripts are not followed any longer: {panic}"));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
