#![doc = include_str!("../README.md")]

mod ask;
mod ast;
mod check;
mod code;
mod compile;
mod complete;
mod document;
mod error;
mod explain;
mod functions;
pub mod json;
mod key;
mod lexer;
mod limits;
mod lookup;
mod matcher;
mod nearest;
mod parser;
mod path;
#[doc(hidden)]
pub mod print;
mod program;
mod record;
mod redact;
mod regexes;
mod schema;
mod v2;
mod value;

pub use ask::{Answer, Ask};
pub use compile::{Language, Options};
pub use complete::{Completion, Suggestion, SuggestionKind, complete};
pub use error::Error;
pub use explain::{Explanation, Field, explain};
pub use functions::{FUNCTIONS, Function};
pub use key::{Key, Way};
#[doc(hidden)]
pub use key::{Names, slots};
pub use lookup::Path;
pub use matcher::Matcher;
pub use nearest::nearest;
pub use print::write_record;
pub use record::{Lend, Lent, List, OrNull, Record, Value, View};
#[doc(hidden)]
pub use record::{ascending, place};
pub use redact::{Altered, REDACTED};
pub use schema::Schema;
pub use v2::{Kind, Source, Variable};

use program::Run;

/// A query, compiled once, for any number of records and threads.
pub struct Filter {
    spelling: Spelling,
}

enum Spelling {
    First(compile::Compiled),
    /// `None` lets everything through.
    Second(Option<v2::Program>),
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
        let spelling = in_any(text, options, compile_first, compile_second)?;
        Ok(Filter { spelling })
    }

    /// Whether the query lets this record through.
    pub fn matches(&self, record: &dyn Record) -> bool {
        match &self.spelling {
            Spelling::First(compiled) => match (&compiled.code, &compiled.program) {
                (Some(code), _) => code.passes(record),
                (None, Some(program)) => Run::new(record).truth(program).unwrap_or(false),
                (None, None) => true,
            },
            Spelling::Second(program) => program.as_ref().is_none_or(|program| program.matches(record)),
        }
    }

    /// The spelling that the query was read in.
    pub fn language(&self) -> Language {
        match &self.spelling {
            Spelling::First(_) => Language::V1,
            Spelling::Second(_) => Language::V2,
        }
    }

    /// Whether the query's meaning changes with the moment it is compiled at: it says `now()`, `hours(-1)` or the like.
    pub fn is_timed(&self) -> bool {
        self.reads().now
    }

    /// Bytes that its compiled regexes may have at most; nearly all of what a filter can be large by.
    fn regexes(&self) -> usize {
        self.reads().regexes
    }

    fn reads(&self) -> compile::Reads {
        match &self.spelling {
            Spelling::First(compiled) => compiled.reads,
            Spelling::Second(program) => program.as_ref().map(|program| program.reads).unwrap_or_default(),
        }
    }

    /// How many records the query asks for with `limit`; the host counts.
    pub fn limit(&self) -> Option<u64> {
        match &self.spelling {
            Spelling::First(compiled) => compiled.limit,
            Spelling::Second(_) => None,
        }
    }

    /// Whether the query may hide something in the records it gives: it has a `redact`.
    pub fn alters(&self) -> bool {
        matches!(&self.spelling, Spelling::First(compiled) if compiled.alters)
    }

    /// The record as the query shows it, whether or not it lets it through.
    pub fn altered<'a>(&'a self, record: &'a dyn Record) -> Altered<'a> {
        let mut run = Run::new(record);
        if let Spelling::First(compile::Compiled { program: Some(program), alters: true, .. }) =
            &self.spelling
        {
            // Only what is hidden on the way matters here.
            run.truth(program);
        }
        Altered::new(record, run.hidden())
    }
}

fn compile_first(text: &str, options: &Options<'_>) -> Result<Spelling, error::Fault> {
    parser::parse(text).and_then(|expr| compile::compile(expr.as_ref(), options)).map(Spelling::First)
}

fn compile_second(text: &str, options: &Options<'_>) -> Result<Spelling, error::Fault> {
    v2::compile(text, options).map(Spelling::Second)
}

type Reader<T> = fn(&str, &Options<'_>) -> Result<T, error::Fault>;

/// Reads a text in the spelling that the options ask for. Where they leave it open, the first that makes sense of it
/// counts; where neither does, the fault is that of the spelling in which it seems to be written.
fn in_any<T>(text: &str, options: &Options<'_>, first: Reader<T>, second: Reader<T>) -> Result<T, Error> {
    let result = match options.language {
        Language::V1 => first(text, options),
        Language::V2 => second(text, options),
        Language::Any => first(text, options).or_else(|fault| {
            if options.variables.is_empty() {
                return Err(fault);
            }
            second(text, options).map_err(|other| if v2::looks_like(text) { other } else { fault })
        }),
    };
    result.map_err(|fault| Error::locate(fault, text))
}
