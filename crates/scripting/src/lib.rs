//! Users' JavaScript: hooks, helpers, jobs.

pub mod files;
