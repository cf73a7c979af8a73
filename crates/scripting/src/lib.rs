#![doc = include_str!("../README.md")]

mod check;
mod engine;
mod feeder;
pub mod files;
pub mod helpers;
mod hook;
mod host;
mod json;
mod lazy;
mod options;
pub mod reference;
mod rehearsal;
mod serve;
mod usage;
pub mod wire;
mod yaml;

pub use check::check;
pub use engine::{Outgoing, title};
pub use feeder::{Console, Feeder, HookStats, Launch, ScriptState, ScriptStats, Stats, WeakFeeder};
pub use hook::{Description, HOOKS, Hook, Hooks};
pub use host::{About, Answer, Host, Request};
pub use options::Options;
pub use rehearsal::{Outcome, Rehearsal, Stage, rehearse};
pub use serve::{ServeError, serve};
pub use yaml::yaml;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock. What these locks guard is consistent after every statement, so another holder's panic does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
