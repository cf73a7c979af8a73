#![doc = include_str!("../README.md")]

mod ast;
mod compile;
mod document;
mod error;
mod explain;
mod functions;
pub mod json;
mod lexer;
mod limits;
mod nearest;
mod parser;
mod path;
#[doc(hidden)]
pub mod print;
mod program;
mod record;
mod redact;
mod regexes;
mod value;

pub use compile::Options;
pub use error::Error;
pub use explain::{Explanation, Field, explain};
pub use functions::{FUNCTIONS, Function};
pub use nearest::nearest;
pub use print::write_record;
#[doc(hidden)]
pub use record::ascending;
pub use record::{Lent, List, Record, Value};
pub use redact::Altered;

use program::Run;

/// A query, compiled once, for any number of records and threads.
pub struct Filter {
    compiled: compile::Compiled,
}

// A filter is shared between the threads that carry records.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Filter>();
};

/// The tree of a query as text, a node a line; empty for the empty query.
///
/// For tests and for people who work on the language: the form may change.
pub fn tree(text: &str) -> Result<String, Error> {
    let expr = parser::parse(text).map_err(|fault| Error::locate(fault, text))?;
    Ok(expr.as_ref().map(ast::tree).unwrap_or_default())
}

/// The query printed from its tree: without comments and needless blanks, parentheses as typed.
///
/// Parsing what is printed gives the same tree.
pub fn normal(text: &str) -> Result<String, Error> {
    let expr = parser::parse(text).map_err(|fault| Error::locate(fault, text))?;
    Ok(expr.map(|expr| expr.to_string()).unwrap_or_default())
}

impl Filter {
    /// Compiles a query. The empty text lets every record through.
    ///
    /// Every fault of a query is found here: what compiles runs, and cannot fail.
    pub fn new(text: &str, options: &Options<'_>) -> Result<Self, Error> {
        parser::parse(text)
            .and_then(|expr| compile::compile(expr.as_ref(), options))
            .map(|compiled| Filter { compiled })
            .map_err(|fault| Error::locate(fault, text))
    }

    /// Whether the query lets this record through.
    pub fn matches(&self, record: &dyn Record) -> bool {
        match &self.compiled.program {
            Some(program) => Run::new(record).truth(program).unwrap_or(false),
            None => true,
        }
    }

    /// How many records the query asks for with `limit`; the host counts.
    pub fn limit(&self) -> Option<u64> {
        self.compiled.limit
    }

    /// Whether the query may hide something in the records it gives: it has a `redact`.
    pub fn alters(&self) -> bool {
        self.compiled.alters
    }

    /// The record as the query shows it, whether or not it lets it through.
    pub fn altered<'a>(&'a self, record: &'a dyn Record) -> Altered<'a> {
        let mut run = Run::new(record);
        if let (Some(program), true) = (&self.compiled.program, self.compiled.alters) {
            // Only what is hidden on the way matters here.
            run.truth(program);
        }
        Altered::new(record, run.hidden())
    }
}
