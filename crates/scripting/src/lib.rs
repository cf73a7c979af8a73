//! Users' JavaScript: hooks, helpers, jobs.

mod check;

pub use check::check;
