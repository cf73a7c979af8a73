//! Users' JavaScript: hooks, helpers, jobs.

mod check;
pub mod files;

pub use check::check;
