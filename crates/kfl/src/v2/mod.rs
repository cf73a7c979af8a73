//! KFL2: the later spelling of the language, a subset of CEL (the Common Expression Language) on flat variables.
//!
//! A text becomes a tree ([`parse()`]), whose names are resolved against the host's [`Variable`]s and whose kinds are
//! checked ([`check`]); [`eval`] runs it. Lexer, fields, regexes and limits are those of the first spelling.

mod calls;
mod check;
mod eval;
mod parse;
mod print;
mod short;
#[cfg(test)]
mod tests;
mod value;

use crate::{
    code::Code,
    compile::{Options, Reads},
    error::Fault,
    explain::Field,
    lexer,
    path::Step,
    program::Node,
    record::Record,
    regexes::Regexes,
};
use regex::Regex;
use std::ops::Range;

use eval::truth;
pub(crate) use parse::parse;

/// A name that KFL2 gives to something of a host's records.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The name, which may have dots: `src.pod.name`.
    pub name: &'static str,
    /// What it is, and with that what it is where the record has nothing for it: `""`, 0, false, an empty list or map.
    pub kind: Kind,
    /// Where it comes from.
    pub source: Source,
}

/// What a variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number; a text that spells one counts as it.
    Int,
    /// A truth.
    Bool,
    /// A list.
    List,
    /// Names and values.
    Map,
    /// A point in time; in the record, milliseconds since 1970.
    Time,
}

/// Where a variable comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// Paths of the first spelling: the first that is there; for a list, all that they lead to and that is not empty.
    Paths(&'static [&'static str]),
    /// A path that leads to a number, and what that number is multiplied with.
    Times(&'static str, i64),
    /// A query of the first spelling: its answer.
    Query(&'static str),
}

/// A part of a query and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: Node2,
    pub(crate) span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Node2 {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    /// A name as typed; [`check`] makes a variable or a bound name of it, with the members that belong to it.
    Name(String),
    /// A variable, by its place in the program.
    Variable(usize),
    /// A name that a comprehension binds, by its depth.
    Bound(usize),
    Member(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    /// `object.name(arguments)`, or `name(arguments)`.
    Call(Option<Box<Expr>>, String, Vec<Expr>),
    /// A call that was resolved.
    Do(Function, Vec<Expr>),
    /// `list.exists(x, test)` and the like.
    Each(Comprehension, Box<Expr>, Box<Expr>),
    /// `matches` with a pattern that is written out.
    Matches(Box<Expr>, Regex),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    If(Box<[Expr; 3]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Contains,
    StartsWith,
    EndsWith,
    Size,
    MapGet,
    ToInt,
    ToDouble,
    ToString,
    /// Nanoseconds since 1970, as a time.
    Time,
    /// Nanoseconds, as a duration.
    Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comprehension {
    Exists,
    All,
    Filter,
    Map,
}

/// A query ready to run.
pub(crate) struct Program {
    pub(crate) root: Expr,
    pub(crate) variables: Vec<Bound>,
    pub(crate) reads: Reads,
    /// The same as tests and jumps, where that serves.
    pub(crate) code: Option<Code>,
}

/// A variable that a program reads, resolved.
pub(crate) struct Bound {
    pub(crate) variable: Variable,
    pub(crate) source: Resolved,
}

pub(crate) enum Resolved {
    Paths(Vec<Box<[Step]>>),
    Query(Box<Node>),
}

/// Whether a text uses signs that only KFL2 has.
pub(crate) fn looks_like(text: &str) -> bool {
    let Ok(tokens) = lexer::tokens_with(text, lexer::Escapes::Kept) else { return false };
    let word = |token: &lexer::Token| text.get(token.span()).unwrap_or_default();
    tokens.iter().any(|token| match token.kind {
        lexer::Kind::Mark(mark) => "&|?+%{/".contains(mark),
        lexer::Kind::Name => word(token) == "in",
        _ => false,
    })
}

/// Compiles a query; `None` for one without any.
pub(crate) fn compile(text: &str, options: &Options<'_>) -> Result<Option<Program>, Fault> {
    let Some(tree) = parse(text)? else { return Ok(None) };
    let mut checker = check::Checker::new(options, Regexes::default());
    let root = checker.root(tree)?;
    let reads = checker.reads();
    let code = short::code(&root, &checker.variables);
    Ok(Some(Program { root, variables: checker.variables, reads, code }))
}

/// The query with its parentheses, and the fields that it reads.
pub(crate) fn explain(text: &str, options: &Options<'_>) -> Result<(String, Vec<Field>), Fault> {
    let Some(tree) = parse(text)? else { return Ok(Default::default()) };
    let grouped = print::grouped(&tree);
    let mut checker = check::Checker::new(options, Regexes::default());
    checker.root(tree)?;
    Ok((grouped, checker.fields()))
}

impl Program {
    /// Whether the query lets this record through, by the evaluator.
    pub(crate) fn matches(&self, record: &dyn Record) -> bool {
        truth(self, record)
    }
}
