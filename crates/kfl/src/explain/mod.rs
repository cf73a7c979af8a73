//! What a query means, for the person who wrote it.

mod warnings;

use crate::{
    Error, Options,
    ast::{Expr, Kind, Part, Selector, write_parts},
    compile::{self, Compiler},
    error::Fault,
    functions, parser,
    program::Node,
    value::Datum,
};
use std::{fmt::Write as _, ops::Range};

/// A query taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The query with every pair of parentheses that it implies. They show what belongs together and are not meant to
    /// be typed: typed parentheses also hold back what a missing field does.
    pub grouped: String,
    /// The macros that the query uses, and what each stands for.
    pub macros: Vec<(String, String)>,
    /// The moments that the query names (`now()`, `hours(-1)`), as typed, in milliseconds since 1970.
    pub moments: Vec<(String, i64)>,
    /// The fields that the query reads, those of its macros included, each once.
    pub fields: Vec<Field>,
    /// What is likely not meant. The query runs all the same.
    pub warnings: Vec<Error>,
}

/// A field that a query reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The path, as in a query.
    pub path: String,
    /// The bytes of the query that read it; those of the macro where a macro does.
    pub span: Range<usize>,
}

/// Takes a query apart. It fails as [`crate::Filter::new`] does.
pub fn explain(text: &str, options: &Options<'_>) -> Result<Explanation, Error> {
    let locate = |fault| Error::locate(fault, text);
    let Some(expr) = parser::parse(text).map_err(locate)? else { return Ok(Explanation::default()) };
    compile::compile(Some(&expr), options).map_err(locate)?;
    let mut reader =
        Reader { options, found: Explanation { grouped: grouped(&expr), ..Explanation::default() } };
    reader.read(&expr, None).map_err(locate)?;
    let faults = warnings::find(&expr, options);
    reader.found.warnings = faults.into_iter().map(locate).collect();
    Ok(reader.found)
}

struct Reader<'o> {
    options: &'o Options<'o>,
    found: Explanation,
}

impl Reader<'_> {
    /// `at` is the macro whose expression this is.
    fn read(&mut self, expr: &Expr, at: Option<&Range<usize>>) -> Result<(), Fault> {
        match &expr.kind {
            Kind::Or(terms) | Kind::And(terms) => terms.iter().try_for_each(|term| self.read(term, at)),
            Kind::Compare(_, left, right) => {
                self.read(left, at)?;
                self.read(right, at)
            }
            Kind::Not(inner) | Kind::Negate(inner) | Kind::Group(inner) => self.read(inner, at),
            Kind::Selector(selector) => self.selector(selector, expr, at),
            _ => Ok(()),
        }
    }

    fn selector(&mut self, selector: &Selector, expr: &Expr, at: Option<&Range<usize>>) -> Result<(), Fault> {
        let span = at.unwrap_or(&expr.span);
        if let (None, Some((word, expansion))) = (at, macro_of(selector, self.options)) {
            if !self.found.macros.iter().any(|(known, _)| known == word) {
                self.found.macros.push((word.to_owned(), expansion.to_owned()));
                if let Some(inner) = parser::parse(expansion)? {
                    self.read(&inner, Some(span))?;
                }
            }
            return Ok(());
        }
        if let Some(moment) = self.moment(expr)? {
            let typed = expr.to_string();
            if !self.found.moments.iter().any(|(known, _)| *known == typed) {
                self.found.moments.push((typed, moment));
            }
            return Ok(());
        }
        if !selector.path.is_empty() {
            let path = written(&selector.path);
            if !self.found.fields.iter().any(|field| field.path == path) {
                self.found.fields.push(Field { path, span: span.clone() });
            }
        }
        let arguments = selector.call.iter().flat_map(|call| &call.arguments);
        arguments.into_iter().try_for_each(|argument| self.read(&argument.value, at))
    }

    /// The moment that a selector stands for, if its value is one.
    fn moment(&self, expr: &Expr) -> Result<Option<i64>, Fault> {
        match Compiler::new(self.options).node(expr)? {
            Node::Constant(constant) => Ok(match constant.datum {
                Datum::Int(moment) => Some(moment),
                _ => None,
            }),
            _ => Ok(None),
        }
    }
}

/// The macro that a selector is.
fn macro_of<'o>(selector: &Selector, options: &Options<'o>) -> Option<(&'o str, &'o str)> {
    match (selector.path.as_slice(), &selector.call) {
        ([Part::Name(name)], None) => options.macros.iter().find(|(word, _)| word == name).copied(),
        _ => None,
    }
}

fn written(path: &[Part]) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    write_parts(&mut text, path, true).map_or_else(|_| String::new(), |()| text)
}

fn grouped(expr: &Expr) -> String {
    match &expr.kind {
        Kind::Or(terms) => terms.iter().map(operand).collect::<Vec<_>>().join(" or "),
        Kind::And(terms) => terms.iter().map(operand).collect::<Vec<_>>().join(" and "),
        Kind::Compare(operator, left, right) => {
            format!("{} {} {}", operand(left), operator.symbol(), operand(right))
        }
        Kind::Not(inner) => format!("!{}", operand(inner)),
        Kind::Negate(inner) => format!("-{}", operand(inner)),
        Kind::Group(inner) => format!("({})", grouped(inner)),
        Kind::Selector(selector) if selector.call.is_some() => call(selector),
        _ => expr.to_string(),
    }
}

fn operand(expr: &Expr) -> String {
    match &expr.kind {
        Kind::Or(_) | Kind::And(_) | Kind::Compare(..) => format!("({})", grouped(expr)),
        _ => grouped(expr),
    }
}

fn call(selector: &Selector) -> String {
    let Some(call) = &selector.call else { return selector.to_string() };
    let mut text = written(&selector.path);
    if !text.is_empty() {
        text.push('.');
    }
    let arguments: Vec<String> = call
        .arguments
        .iter()
        .map(|argument| match &argument.name {
            Some(name) => format!("{name}: {}", grouped(&argument.value)),
            None => grouped(&argument.value),
        })
        .collect();
    // Writing into a string cannot fail.
    let written = write!(text, "{}({})", call.name, arguments.join(", "))
        .and_then(|()| write_parts(&mut text, &call.tail, false));
    written.map_or_else(|_| String::new(), |()| text)
}

/// Whether a helper of this name exists.
fn is_helper(name: &str) -> bool {
    functions::find(name).is_some()
}

#[cfg(test)]
mod tests;
