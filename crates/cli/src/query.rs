//! Queries as they were typed.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use kfl::{Filter, Language, Options};

use crate::exit::Failure;

/// The spelling of the query of a command.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Spelling {
    /// The spelling of the query [default: v1 where it makes sense as that, else v2]
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lang {
    /// KFL as of 2023
    V1,
    /// KFL2
    V2,
}

impl Spelling {
    /// The options with this spelling.
    pub(crate) fn of(self, options: Options<'static>) -> Options<'static> {
        let language = match self.lang {
            None => Language::Any,
            Some(Lang::V1) => Language::V1,
            Some(Lang::V2) => Language::V2,
        };
        Options { language, ..options }
    }
}

/// Compiles a query about entries; its error shows the place with a caret.
pub(crate) fn compile(text: &str, spelling: Spelling) -> Result<Filter, Failure> {
    Filter::new(text, &spelling.of(api::options(now()))).map_err(|error| refused(&error, text))
}

/// The failure of a query that makes no sense.
pub(crate) fn refused(error: &kfl::Error, text: &str) -> Failure {
    Failure::Usage(format!("the query does not make sense\n{}", error.render(text)))
}

/// What `now()` means: milliseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
