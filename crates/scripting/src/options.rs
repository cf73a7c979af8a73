//! What scripts may use.

use serde::{Deserialize, Serialize};

/// Limits of the script host. Every one has a value; zero means none of it, not without end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// CPU time of one call of a hook, a job, a timer or of a script's top level, in milliseconds. Waiting is free.
    pub cpu_millis: u64,
    /// Iterations of the loops of one function call.
    pub loop_iterations: u64,
    /// Nested calls.
    pub recursion: usize,
    /// Values on JavaScript's stack.
    pub stack_values: usize,
    /// Bytes of memory of the whole host.
    pub memory_bytes: u64,
    /// Bytes of one script's source.
    pub source_bytes: usize,
    /// Nested brackets of a source.
    pub source_nesting: usize,
    /// Nested values of JSON that is written; of JSON that is read: 128.
    pub nesting: usize,
    /// Scripts.
    pub scripts: usize,
    /// Timers of one script.
    pub timers: usize,
    /// Jobs of one script.
    pub jobs: usize,
    /// Series of one host that `prometheus.*` may make.
    pub series: usize,
    /// Bytes that wait for the host: entries and packets that it has not taken yet.
    pub queue_bytes: usize,
    /// Bytes that wait for one script while it waits for an upload, or is slow.
    pub backlog_bytes: usize,
    /// Bytes of console lines and requests that wait for the host's parent.
    pub output_bytes: usize,
    /// Bytes that scripts may keep in the data directory, copies of streams and snapshots included.
    pub data_bytes: u64,
    /// Bytes of one console line; what is longer is cut.
    pub line_bytes: usize,
    /// How long a watcher's entry waits for `onItemQueried`, in milliseconds.
    pub query_millis: u64,
    /// After how many strikes a script is disabled until it is loaded anew.
    pub strikes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cpu_millis: 1_000,
            loop_iterations: 10_000_000,
            recursion: 400,
            stack_values: 100_000,
            memory_bytes: 512 << 20,
            source_bytes: 1 << 20,
            source_nesting: 500,
            nesting: 256,
            scripts: 256,
            timers: 10_000,
            jobs: 1_000,
            series: 10_000,
            queue_bytes: 16 << 20,
            backlog_bytes: 16 << 20,
            output_bytes: 4 << 20,
            data_bytes: 1 << 30,
            line_bytes: 64 << 10,
            query_millis: 50,
            strikes: 3,
        }
    }
}
