//! What a query can be.
//!
//! Parentheses are nodes of their own ([`Kind::Group`]), because they mean something: a missing field makes the
//! expression around it false up to the nearest pair.

use std::{
    fmt::{self, Display, Write as _},
    ops::Range,
};

/// A part of a query and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Two or more terms, of which one must be true.
    Or(Vec<Expr>),
    /// Two or more terms, of which all must be true.
    And(Vec<Expr>),
    /// `left == right` and the like. A chain groups to the right: `1 < 2 < 3` is `1 < (2 < 3)`.
    Compare(Operator, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Group(Box<Expr>),
    /// A number as typed.
    Number(String),
    /// A literal text as typed, quotes included.
    Text(String),
    /// The literal text after an `r`, quotes included.
    Regex(String),
    Bool(bool),
    Nil,
    Selector(Selector),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A path into the record, the helper called on it, and the path into what the helper made.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) path: Vec<Part>,
    pub(crate) call: Option<Call>,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) name_span: Range<usize>,
    pub(crate) arguments: Vec<Argument>,
    /// What stands after the closing parenthesis.
    pub(crate) tail: Vec<Part>,
    pub(crate) tail_span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct Argument {
    pub(crate) name: Option<String>,
    pub(crate) value: Expr,
}

/// One step of a path as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// `.name`
    Name(String),
    /// `.*`
    Any,
    /// `..`, whose target is the next part.
    Deep,
    /// `[0]`
    Index(u64),
    /// `["key"]`, as typed with its quotes, or `[*]`: a key that is a star.
    Key(String),
    /// A key straight after an index: the language reads it and does not use it.
    Unused(String),
}

impl Operator {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Operator::Equal => "==",
            Operator::Unequal => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
        }
    }

    /// The same comparison with its sides exchanged.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Operator::Less => Operator::Greater,
            Operator::LessOrEqual => Operator::GreaterOrEqual,
            Operator::Greater => Operator::Less,
            Operator::GreaterOrEqual => Operator::LessOrEqual,
            same => same,
        }
    }
}

/// The text between the quotes of a literal.
///
/// Escapes stay as they are. Only double quotes are taken off, and all of them; other quotes belong to the value.
pub(crate) fn literal_value(typed: &str) -> &str {
    if typed.starts_with('"') { typed.trim_matches('"') } else { typed }
}

/// The query again; parsing it gives the same tree.
impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Or(terms) => separated(f, terms, " or "),
            Kind::And(terms) => separated(f, terms, " and "),
            Kind::Compare(operator, left, right) => write!(f, "{left} {} {right}", operator.symbol()),
            Kind::Not(operand) => write!(f, "!{operand}"),
            Kind::Negate(operand) => write!(f, "-{operand}"),
            Kind::Group(inner) => write!(f, "({inner})"),
            Kind::Number(typed) | Kind::Text(typed) => f.write_str(typed),
            Kind::Regex(typed) => write!(f, "r{typed}"),
            Kind::Bool(value) => write!(f, "{value}"),
            Kind::Nil => f.write_str("nil"),
            Kind::Selector(selector) => write!(f, "{selector}"),
        }
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(f, &self.path, true)?;
        let Some(call) = &self.call else { return Ok(()) };
        if !self.path.is_empty() {
            f.write_char('.')?;
        }
        write!(f, "{}(", call.name)?;
        separated(f, &call.arguments, ", ")?;
        f.write_char(')')?;
        write_parts(f, &call.tail, false)
    }
}

impl Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        write!(f, "{}", self.value)
    }
}

fn separated(f: &mut fmt::Formatter<'_>, items: &[impl Display], separator: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// Writes a path; the first name of a path into the record has no dot before it.
pub(crate) fn write_parts(f: &mut impl fmt::Write, parts: &[Part], mut bare: bool) -> fmt::Result {
    for part in parts {
        match part {
            Part::Name(name) if bare => f.write_str(name)?,
            Part::Name(name) => write!(f, ".{name}")?,
            Part::Any if bare => f.write_char('*')?,
            Part::Any => f.write_str(".*")?,
            Part::Deep => f.write_str("..")?,
            Part::Index(index) => write!(f, "[{index}]")?,
            Part::Key(typed) | Part::Unused(typed) => write!(f, "[{typed}]")?,
        }
        bare = *part == Part::Deep;
    }
    Ok(())
}

/// The tree, a node a line, children indented.
pub(crate) fn tree(expr: &Expr) -> String {
    let mut out = String::new();
    draw(expr, 0, &mut out);
    out
}

fn draw(expr: &Expr, depth: usize, out: &mut String) {
    match &expr.kind {
        Kind::Or(terms) | Kind::And(terms) => {
            line(out, depth, if matches!(expr.kind, Kind::Or(_)) { "or" } else { "and" });
            for term in terms {
                draw(term, depth + 1, out);
            }
        }
        Kind::Compare(operator, left, right) => {
            line(out, depth, operator.symbol());
            draw(left, depth + 1, out);
            draw(right, depth + 1, out);
        }
        Kind::Not(inner) | Kind::Negate(inner) | Kind::Group(inner) => {
            line(
                out,
                depth,
                match expr.kind {
                    Kind::Not(_) => "not",
                    Kind::Negate(_) => "negate",
                    _ => "group",
                },
            );
            draw(inner, depth + 1, out);
        }
        Kind::Number(typed) => line(out, depth, &format!("number {typed}")),
        Kind::Text(typed) => line(out, depth, &format!("text {typed}")),
        Kind::Regex(typed) => line(out, depth, &format!("regex {typed}")),
        Kind::Bool(value) => line(out, depth, &value.to_string()),
        Kind::Nil => line(out, depth, "nil"),
        Kind::Selector(selector) => {
            line(out, depth, &format!("selector {:?}", selector.path));
            let Some(call) = &selector.call else { return };
            line(out, depth + 1, &format!("call {} {:?}", call.name, call.tail));
            for argument in &call.arguments {
                line(out, depth + 2, &format!("argument {}", argument.name.as_deref().unwrap_or("-")));
                draw(&argument.value, depth + 3, out);
            }
        }
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    out.extend(std::iter::repeat_n("  ", depth));
    out.push_str(text);
    out.push('\n');
}
