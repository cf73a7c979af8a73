//! What the worker and its script host say to each other.
//!
//! Two byte streams of frames: a length (4 bytes, little endian, of what follows), a kind (1 byte), a body.
//!
//! ```text
//!  kind          body                                    direction
//!  CONTROL       JSON of ToScripts or FromScripts        both
//!  ENTRY         JSON of one entry                       to the host
//!  PACKETS       records of 32 bytes (PacketInfo)        to the host
//!  QUERY         number (8 bytes), JSON of one entry     to the host, and back as the script changed it
//! ```

mod frame;
mod packet;

use api::messages::Job;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{About, HOOKS, Hooks, Options, Request};

pub use frame::{FrameError, Frames, Kind, MAX_FRAME, begin, end, frame};
pub use packet::PacketInfo;

/// What the parent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToScripts {
    /// The first message.
    Start {
        /// Where this is.
        about: About,
        /// What scripts may use.
        options: Options,
    },
    /// The scripts' `env`: replaces the one before.
    Env {
        /// Names and values.
        env: Map<String, Value>,
    },
    /// Load a script; one with this index is replaced.
    Load {
        /// Its number.
        index: u32,
        /// JavaScript.
        code: String,
    },
    /// Forget a script.
    Unload {
        /// Its number.
        index: u32,
    },
    /// A pod came, changed or went.
    Pod {
        /// `ADDED`, `MODIFIED`, `DELETED`.
        event: String,
        /// As Kubernetes has it.
        pod: Value,
    },
    /// Somebody called `hub.action`.
    HubAction {
        /// The action's name.
        action: String,
        /// What goes with it.
        object: Value,
    },
    /// Do something with jobs; answered by [`FromScripts::JobsDone`].
    Jobs {
        /// The request's number.
        id: u64,
        /// What.
        request: JobRequest,
    },
    /// The answer to [`FromScripts::Ask`].
    Answer {
        /// The request's number.
        id: u64,
        /// What was asked for, or a sentence why not.
        result: Result<Value, String>,
    },
    /// End: what is waiting for an upload is given a moment.
    Stop,
}

/// What the script host says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FromScripts {
    /// The hooks that scripts define: what else happens need not be told.
    Hooks {
        /// Which.
        hooks: Hooks,
    },
    /// A script's top level ran to its end.
    Loaded {
        /// Its number.
        index: u32,
        /// Its first comment.
        title: String,
    },
    /// A script was not loaded.
    Refused {
        /// Its number.
        index: u32,
        /// Its first comment.
        title: String,
        /// Why.
        why: String,
    },
    /// A line for the console.
    Console(Line),
    /// A helper asks the parent.
    Ask {
        /// The request's number.
        id: u64,
        /// What.
        request: Request,
    },
    /// A script used more than it may.
    Strike {
        /// Its number.
        index: u32,
        /// What it used up.
        why: String,
    },
    /// What became of a request for jobs.
    JobsDone {
        /// The request's number.
        id: u64,
        /// The jobs as they are now; or a sentence why not.
        result: Result<Vec<Job>, String>,
    },
    /// Counters, every second in which something happened.
    Report(Report),
}

/// A line of the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The node's name.
    pub node: String,
    /// The script's number.
    pub script: u32,
    /// What kind of line.
    pub kind: LineKind,
    /// What it says; may hold line ends.
    pub text: String,
}

/// Kinds of console lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LineKind {
    /// `console.log`.
    Log,
    /// `console.error`, and what scripts do wrong.
    Error,
    /// `console.clear`: the console is to be emptied.
    Clear,
}

/// `[<node>-<script>] text`, `[<node>-<script>:ERROR] text`.
impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let error = if self.kind == LineKind::Error { ":ERROR" } else { "" };
        write!(f, "[{}-{}{error}] {}", self.node, self.script, self.text)
    }
}

/// What can be done with jobs from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum JobRequest {
    /// Only the list.
    List,
    /// Run one now.
    Run {
        /// Its tag.
        tag: String,
    },
    /// Run all now.
    RunAll,
    /// Remove one.
    Remove {
        /// Its tag.
        tag: String,
    },
    /// Remove all.
    RemoveAll,
    /// Start the scheduler.
    Start,
    /// Stop the scheduler: jobs stay, but do not run.
    Stop,
}

/// What the host counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// Entries and packets taken from the pipe.
    pub taken: u64,
    /// Calls of each hook that the backlogs of scripts had no room for, in the order of [`HOOKS`].
    pub backlog_full: [u64; HOOKS.len()],
    /// One row for each script.
    pub scripts: Vec<ScriptReport>,
    /// Console lines that nobody took in time.
    pub lines_dropped: u64,
    /// What `prometheus.*` counts, in Prometheus' text format.
    pub metrics: String,
}

/// What was counted of one script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScriptReport {
    /// Its number.
    pub index: u32,
    /// Calls of hooks, jobs and timers.
    pub calls: u64,
    /// Calls that threw.
    pub errors: u64,
    /// Calls of hooks that its backlog had no room for.
    pub dropped: u64,
}
