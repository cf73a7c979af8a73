//! Packets go in, entries come out: the process of one node.
//!
//! From top to bottom: `capture` reads frames; `source` decodes them into batches; `rounds` takes batches through
//! 64 shards, each a flow table of crate `flow` whose handler is a `tap` with the sessions of crate `dissect`; what
//! they yield becomes entries. [`dissect()`] prints them; [`start`] keeps them in a bounded `store` and serves them.
//!
//! Capture, reassembly and dissection are parts of the worker; `flow` and `dissect` are crates of their own so that
//! they stay free of I/O and can be tested alone.

mod batch;
mod capture;
mod config;
mod dissect;
mod entries;
mod identity;
mod keeper;
mod ledger;
mod names;
mod overload;
mod privileges;
mod replay;
mod rounds;
mod scripts;
mod server;
mod source;
mod status;
mod store;
mod streams;
mod tap;
mod targets;
mod worker;

pub use capture::{CaptureError, CaptureStats, Input, Place};
pub use config::{Config, DEFAULT_PORT, DEFAULT_SCRIPT_BYTES, Limits, SourceConfig, StoreLimits};
pub use dissect::{DissectConfig, DissectError, Output, Progress, Report, dissect};
pub use entries::entries;
pub use ledger::Ledger;
pub use names::{Name, NameHistory, NameLimits};
pub use privileges::forbid_escalation;
pub use replay::{Backstage, Seen, replay};
pub use store::packets::{
    Download, PacketCounters, PacketLimits, Packets, PacketsError, PacketsStatus, Snapshot, What,
};
pub use worker::{Error, Running, start};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock. What these locks guard is consistent after every statement, so another holder's panic does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
