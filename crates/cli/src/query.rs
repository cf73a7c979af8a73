//! Queries as they were typed.

use std::time::{SystemTime, UNIX_EPOCH};

use kfl::Filter;

use crate::exit::Failure;

/// Compiles a query about entries; its error shows the place with a caret.
pub(crate) fn compile(text: &str) -> Result<Filter, Failure> {
    Filter::new(text, &api::options(now())).map_err(|error| refused(&error, text))
}

/// The failure of a query that makes no sense.
pub(crate) fn refused(error: &kfl::Error, text: &str) -> Failure {
    Failure::Usage(format!("the query does not make sense\n{}", error.render(text)))
}

/// What `now()` means: milliseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
