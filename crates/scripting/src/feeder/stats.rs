//! What the worker knows of its scripts, as `/status` and the metrics show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counters since the worker's start, and how the scripts stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    /// Whether the script host is there.
    pub is_running: bool,
    /// Its process, while there is one.
    pub process: Option<u32>,
    /// Bytes of memory that it uses.
    pub rss_bytes: u64,
    /// CPU time that it used, and those before it: milliseconds.
    pub cpu_millis: u64,
    /// How often it ended and was started again.
    pub restarts: u64,
    /// By the hook's name.
    pub hooks: BTreeMap<String, HookStats>,
    /// Entries whose watcher did not wait for `onItemQueried` any longer.
    pub queries_late: u64,
    /// Console lines that nobody took in time.
    pub lines_dropped: u64,
    /// By index.
    pub scripts: Vec<ScriptStats>,
    /// What `prometheus.*` counts, in Prometheus' text format.
    pub metrics: String,
}

/// Calls of a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HookStats {
    /// Handed to the queue.
    pub fed: u64,
    /// Dropped because the queue was full.
    pub queue_full: u64,
    /// Lost with a script host that ended.
    pub host_ended: u64,
    /// Calls that were dropped because a script waited for something, or was slow, and its backlog was full; an event
    /// that two scripts miss counts twice.
    pub backlog_full: u64,
}

/// One script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScriptStats {
    /// Its number.
    pub index: u32,
    /// Its first comment.
    pub title: String,
    /// How it stands.
    pub state: ScriptState,
    /// Why it is refused or disabled.
    pub why: Option<String>,
    /// How often it used more than it may.
    pub strikes: u32,
    /// Calls of hooks, jobs and timers.
    pub calls: u64,
    /// Calls that threw.
    pub errors: u64,
    /// Calls of hooks that its backlog had no room for.
    pub backlog_full: u64,
}

/// How a script stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScriptState {
    /// On its way to the script host.
    #[default]
    Loading,
    /// Its hooks are called.
    Loaded,
    /// Its top level threw.
    Refused,
    /// It had too many strikes.
    Disabled,
}
