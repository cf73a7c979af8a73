//! Scripts between hub and worker: what is to run, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `scripting.env`: what scripts see as `env`.
pub type Env = Map<String, Value>;

/// A script that a worker is to run. While index and code stay, it is not loaded anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Its number at the hub. Scripts see an event in the order of their numbers.
    pub index: u32,
    /// What people call it.
    pub title: String,
    /// JavaScript.
    pub code: String,
}

/// A line that a script wrote to the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleLine {
    /// The script's number.
    pub script: u32,
    /// What kind of line.
    pub kind: LineKind,
    /// The text; it may have several lines.
    pub text: String,
}

/// Kinds of console lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineKind {
    /// `console.log`.
    Log,
    /// `console.error`, and what is wrong with the script itself.
    Error,
    /// `console.clear`: what was written before is not of interest any longer.
    Clear,
}

impl ConsoleLine {
    /// The line as users read it: `[node-0] text`, of an error `[node-0:ERROR] text`.
    pub fn of_node<'a>(&'a self, node: &'a str) -> impl fmt::Display + use<'a> {
        fmt::from_fn(move |f| {
            let mark = if self.kind == LineKind::Error { ":ERROR" } else { "" };
            write!(f, "[{node}-{}{mark}] {}", self.script, self.text)
        })
    }
}

/// How a script fares on one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScriptState {
    /// Its number.
    pub index: u32,
    /// Where it stands.
    pub phase: ScriptPhase,
    /// The last thing that went wrong with it as a whole: why it was not loaded, or stopped.
    pub error: Option<String>,
    /// How often it was stopped at a budget.
    pub strikes: u32,
    /// Calls of its hooks, jobs and timers.
    pub calls: u64,
    /// Calls of these that threw, or were stopped.
    pub failed: u64,
    /// Calls that were not made, because it could not keep up.
    pub dropped: u64,
}

/// Where a script stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScriptPhase {
    /// It waits for the script host.
    #[default]
    Waiting,
    /// It runs: its hooks are called.
    Loaded,
    /// Its top-level code threw, or cannot be read.
    Failed,
    /// It was stopped at a budget too often, and is not called any more until it changes.
    Disabled,
}

/// A scheduled job on one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its name.
    pub tag: String,
    /// The number of the script that scheduled it.
    pub script: u32,
    /// When it runs: six fields, seconds first.
    pub cron: String,
    /// How often it may run; 0 is without end.
    pub limit: u64,
    /// Runs that began.
    pub runs: u64,
    /// Runs that threw.
    pub failed: u64,
    /// `waiting`, `running`, `done` (its limit is reached) or `stopped` (the scheduler is).
    pub status: String,
    /// The last run, in milliseconds since the Unix epoch.
    pub last_run: Option<i64>,
    /// The next run, in milliseconds since the Unix epoch.
    pub next_run: Option<i64>,
}

/// What may be asked of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobCommand {
    /// Run now.
    Run,
    /// Never run again.
    Remove,
    /// Let the scheduler start jobs.
    Start,
    /// Keep the scheduler from starting jobs.
    Stop,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_lines_look_as_users_know_them() {
        let line = |kind| ConsoleLine { script: 3, kind, text: "a b".into() };
        assert_eq!(line(LineKind::Log).of_node("node").to_string(), "[node-3] a b");
        assert_eq!(line(LineKind::Error).of_node("node").to_string(), "[node-3:ERROR] a b");
    }
}
