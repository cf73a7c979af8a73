//! Users' JavaScript: hooks, helpers, jobs.
