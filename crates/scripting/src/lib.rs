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
mod rehearsal;
mod serve;
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
