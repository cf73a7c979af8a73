//! Queries as they were typed.

use std::time::{SystemTime, UNIX_EPOCH};

use kfl::{Filter, Options};

use crate::exit::Failure;

/// Compiles a query with the macros of entries; its error shows the place with a caret.
pub(crate) fn compile(text: &str) -> Result<Filter, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    Filter::new(text, &api::options(now))
        .map_err(|error| Failure::Usage(format!("the query does not make sense\n{}", error.render(text))))
}
