//! Users' JavaScript: hooks, helpers, jobs.

mod engine;
pub mod helpers;
mod hook;
mod host;
mod json;
mod lazy;
mod options;
pub mod wire;

pub use engine::{Outgoing, title};
pub use hook::{Description, HOOKS, Hook, Hooks};
pub use host::{About, Answer, Host, Request};
pub use options::Options;
