//! A tree to a program: macros put in, constants folded, regexes built, helpers resolved. Every fault that a query
//! can have is found here, before the first record.

use crate::{
    ast::{Expr, Kind, Operator, Part, Selector, literal_value},
    code::Code,
    document::Format,
    error::Fault,
    functions, parser,
    path::{self, Step},
    program::{Inside, Node, Selection, Test, compare},
    regexes::Regexes,
    schema::Schema,
    v2::Variable,
    value::{Constant, Datum},
};
use std::{collections::HashMap, ops::Range};

/// What every query of a host has in common.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Words that stand for expressions, such as `("http", "protocol.abbr == \"HTTP\"")`. A macro is replaced where it
    /// stands alone as a whole name, as if its expression stood there in parentheses; inside it no macro is replaced.
    pub macros: &'a [(&'a str, &'a str)],
    /// What `now()` means, in milliseconds since 1970 UTC.
    pub now: i64,
    /// Which spelling a query is in.
    pub language: Language,
    /// The names that KFL2 has for what the records hold; without any, no text is tried as KFL2.
    pub variables: &'a [Variable],
    /// What the records can have, to warn of what they cannot.
    pub schema: Option<&'a Schema>,
}

impl<'a> Options<'a> {
    /// Options with these macros and this moment: any language, no variables, no schema.
    pub const fn new(macros: &'a [(&'a str, &'a str)], now: i64) -> Self {
        Options { macros, now, language: Language::Any, variables: &[], schema: None }
    }
}

/// A spelling of the language. Its name is `v1`, `v2`, or nothing for either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Language {
    /// KFL as of 2023 where a text makes sense as that, else KFL2 where it makes sense as that.
    #[default]
    #[serde(rename = "")]
    Any,
    /// KFL as of 2023.
    #[serde(rename = "v1")]
    V1,
    /// KFL2.
    #[serde(rename = "v2")]
    V2,
}

/// What a query takes beside its record and its text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reads {
    /// It asks for the moment of [`Options::now`].
    pub(crate) now: bool,
    /// Bytes that its compiled regexes may have.
    pub(crate) regexes: usize,
}

/// A query ready to run.
pub(crate) struct Compiled {
    /// `None` lets everything through.
    pub(crate) program: Option<Node>,
    pub(crate) limit: Option<u64>,
    pub(crate) alters: bool,
    pub(crate) reads: Reads,
    /// The program as jumps, where that serves.
    pub(crate) code: Option<Code>,
}

pub(crate) fn compile(expr: Option<&Expr>, options: &Options<'_>) -> Result<Compiled, Fault> {
    let mut compiler = Compiler::new(options);
    let mut program = expr.map(|expr| compiler.node(expr)).transpose()?;
    // The whole query is a group, in whose terms a missing field and a false one are the same.
    if let (Some(node), false) = (&mut program, compiler.alters) {
        cheap_first(node);
    }
    let code = program.as_ref().and_then(Code::of);
    let reads = compiler.reads();
    Ok(Compiled { program, limit: compiler.limit, alters: compiler.alters, reads, code })
}

pub(crate) struct Compiler<'o> {
    pub(crate) options: &'o Options<'o>,
    pub(crate) limit: Option<u64>,
    pub(crate) alters: bool,
    regexes: Regexes,
    reads: Reads,
    /// The documents that the query reads, by the field that holds them.
    slots: HashMap<(Box<[Step]>, Format), usize>,
    /// Whether macros are replaced: not inside macros.
    macros: bool,
    /// Whether a path inside a document stands to the left, up to the nearest parentheses. Macros there have always
    /// been read inside the document, where they find nothing.
    shadowed: bool,
}

impl<'o> Compiler<'o> {
    pub(crate) fn new(options: &'o Options<'o>) -> Self {
        Compiler {
            options,
            regexes: Regexes::default(),
            slots: HashMap::new(),
            reads: Reads::default(),
            limit: None,
            alters: false,
            macros: true,
            shadowed: false,
        }
    }

    /// The moment of the query.
    pub(crate) fn now(&mut self) -> i64 {
        self.reads.now = true;
        self.options.now
    }

    pub(crate) fn reads(&self) -> Reads {
        Reads { regexes: self.regexes.size(), ..self.reads }
    }

    pub(crate) fn node(&mut self, expr: &Expr) -> Result<Node, Fault> {
        Ok(match &expr.kind {
            Kind::Or(terms) => folded(self.nodes(terms)?, true),
            Kind::And(terms) => folded(self.nodes(terms)?, false),
            Kind::Compare(operator, left, right) => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                comparison(*operator, left, right)
            }
            Kind::Not(inner) => match self.node(inner)? {
                Node::Constant(Constant { datum: Datum::Bool(truth), .. }) => constant(Datum::Bool(!truth)),
                unchanged @ Node::Constant(_) => unchanged,
                node => Node::Not(Box::new(node)),
            },
            Kind::Negate(inner) => match (&inner.kind, self.node(inner)?) {
                // A number that is typed is negated; a number of the record only if it has a fraction.
                (_, Node::Constant(Constant { datum: Datum::Float(float), .. })) => {
                    constant(Datum::Float(-float))
                }
                (kind, Node::Constant(Constant { datum: Datum::Int(int), .. })) if is_typed(kind) => {
                    constant(Datum::Int(int.saturating_neg()))
                }
                (_, unchanged @ Node::Constant(_)) => unchanged,
                (_, node) => Node::Negate(Box::new(node)),
            },
            Kind::Group(inner) => match self.enclosed(inner)? {
                unchanged @ Node::Constant(_) => unchanged,
                mut node => {
                    if !self.alters {
                        cheap_first(&mut node);
                    }
                    Node::Group(Box::new(node))
                }
            },
            Kind::Number(typed) => constant(number(typed)),
            Kind::Text(typed) => constant(Datum::Text(literal_value(typed).to_owned())),
            Kind::Regex(typed) => {
                let regex = self.regexes.build(literal_value(typed)).map_err(|reason| {
                    Fault::new(expr.span.clone(), format!("invalid regex: {reason}")).suggest(
                        "the syntax is RE2's; a character with a meaning stands in a class to be plain: [(]",
                    )
                })?;
                Node::Regex(regex)
            }
            Kind::Bool(truth) => constant(Datum::Bool(*truth)),
            Kind::Nil => constant(Datum::Null),
            Kind::Selector(selector) => self.selector(selector, &expr.span)?,
        })
    }

    /// What stands between parentheses, which keep the documents read inside them to themselves.
    pub(crate) fn enclosed(&mut self, expr: &Expr) -> Result<Node, Fault> {
        let shadowed = std::mem::take(&mut self.shadowed);
        let node = self.node(expr);
        self.shadowed = shadowed;
        node
    }

    fn nodes(&mut self, terms: &[Expr]) -> Result<Vec<Node>, Fault> {
        terms.iter().map(|term| self.node(term)).collect()
    }

    fn selector(&mut self, selector: &Selector, span: &Range<usize>) -> Result<Node, Fault> {
        if let Some(call) = &selector.call {
            return match functions::find(&call.name) {
                Some(function) => (function.compile)(self, &functions::Use { path: &selector.path, call }),
                // After a bracket an unknown helper has always been a field that is missing.
                None if selector.path.iter().any(|part| matches!(part, Part::Key(_) | Part::Index(_))) => {
                    Ok(Node::Missing)
                }
                None => Err(functions::unknown(call)),
            };
        }
        if let [Part::Name(name)] = selector.path.as_slice() {
            if let Some(expansion) = self.expansion(name) {
                return self.expand(name, expansion, span);
            }
            if name == functions::NOW {
                return Ok(constant(Datum::Int(self.now())));
            }
        }
        Ok(Node::Select(Selection::field(&selector.path)))
    }

    fn expansion(&self, name: &str) -> Option<&'o str> {
        self.options
            .macros
            .iter()
            .find(|(word, _)| self.macros && *word == name)
            .map(|(_, expansion)| *expansion)
    }

    fn expand(&mut self, name: &str, expansion: &str, span: &Range<usize>) -> Result<Node, Fault> {
        let misplaced = |fault: Fault| {
            Fault::new(span.clone(), format!("the macro `{name}` is not a query: {}", fault.message))
        };
        let expr = parser::parse(expansion).map_err(misplaced)?;
        let Some(expr) = expr else { return Ok(constant(Datum::Bool(true))) };
        self.macros = false;
        let node = self.enclosed(&expr).map_err(misplaced);
        self.macros = true;
        if self.shadowed {
            return node.map(|_| constant(Datum::Bool(false)));
        }
        Ok(Node::Group(Box::new(node?)))
    }

    /// What `inside` leads to in the document that the field at `parts` holds.
    pub(crate) fn document(&mut self, parts: &[Part], format: Format, inside: &[Part]) -> Selection {
        self.shadowed |= matches!(inside.first(), Some(Part::Name(_)));
        let path = path::steps(parts);
        let next = self.slots.len();
        let slot = *self.slots.entry((path.clone(), format)).or_insert(next);
        Selection::new(path, Some(Inside { format, slot, path: path::steps(inside) }))
    }
}

pub(crate) fn constant(datum: Datum) -> Node {
    Node::Constant(Constant::new(datum))
}

fn is_typed(kind: &Kind) -> bool {
    match kind {
        Kind::Number(_) => true,
        Kind::Negate(inner) | Kind::Group(inner) => is_typed(&inner.kind),
        _ => false,
    }
}

fn number(typed: &str) -> Datum {
    let digits: String = typed.chars().filter(|c| *c != '_').collect();
    match digits.parse::<i64>() {
        Ok(int) => Datum::Int(int),
        Err(_) => Datum::Float(digits.parse().unwrap_or(f64::INFINITY)),
    }
}

fn comparison(operator: Operator, left: Node, right: Node) -> Node {
    let equality = matches!(operator, Operator::Equal | Operator::Unequal);
    let negated = operator == Operator::Unequal;
    match (left, right) {
        (Node::Regex(_), Node::Regex(_)) if equality => constant(Datum::Bool(negated)),
        (Node::Select(selection), Node::Regex(regex)) | (Node::Regex(regex), Node::Select(selection))
            if equality =>
        {
            Node::Test(selection, Test::Matches(regex, negated))
        }
        (Node::Constant(text), Node::Regex(regex)) | (Node::Regex(regex), Node::Constant(text))
            if equality =>
        {
            constant(Datum::Bool(regex.is_match(text.form()) != negated))
        }
        (node, Node::Regex(regex)) | (Node::Regex(regex), node) if equality => {
            Node::Matches(Box::new(node), regex, negated)
        }
        (Node::Constant(left), Node::Constant(right)) => {
            constant(Datum::Bool(compare(operator, &left.datum, &right.datum)))
        }
        (Node::Select(selection), Node::Constant(right)) => {
            Node::Test(selection, Test::Compare(operator, right))
        }
        (Node::Constant(left), Node::Select(selection)) => {
            Node::Test(selection, Test::Compare(operator.flipped(), left))
        }
        (left, right) => Node::Compare(operator, Box::new(left), Box::new(right)),
    }
}

/// A chain without the constants that decide nothing, and without what stands after one that decides all.
fn folded(terms: Vec<Node>, decisive: bool) -> Node {
    let mut kept = Vec::with_capacity(terms.len());
    for term in terms {
        match term {
            Node::Constant(term) if term.datum.truth() != decisive => {}
            term @ Node::Constant(_) => {
                kept.push(term);
                break;
            }
            term => kept.push(term),
        }
    }
    match kept.as_slice() {
        [] => constant(Datum::Bool(!decisive)),
        [Node::Constant(_)] => constant(Datum::Bool(decisive)),
        _ if decisive => Node::Or(kept.into()),
        _ => Node::And(kept.into()),
    }
}

/// Sorts the terms of an `and` by cost. Right only where the chain is all of a group: there a missing field and a
/// false term come to the same, so the order cannot be seen.
fn cheap_first(node: &mut Node) {
    open(node);
    if let Node::And(terms) = node {
        // Nor can the parentheses of a term be seen.
        terms.iter_mut().for_each(open);
        terms.sort_by_key(cost);
    }
}

/// Takes parentheses off.
fn open(node: &mut Node) {
    while let Node::Group(inner) = node {
        *node = std::mem::replace(&mut **inner, Node::Missing);
    }
}

fn cost(node: &Node) -> u32 {
    match node {
        Node::Constant(_) | Node::Regex(_) | Node::Missing | Node::Redact(_) => 0,
        Node::Select(selection) | Node::Test(selection, Test::Compare(..)) => selection_cost(selection),
        Node::Test(selection, Test::Matches(..)) => selection_cost(selection).saturating_add(40),
        Node::Text(selection, _, argument) => {
            selection.as_ref().map_or(0, selection_cost).saturating_add(cost(argument)).saturating_add(20)
        }
        Node::Matches(inner, ..) => cost(inner).saturating_add(60),
        Node::Group(inner) | Node::Not(inner) | Node::Negate(inner) => cost(inner),
        Node::Compare(_, left, right) => cost(left).saturating_add(cost(right)).saturating_add(10),
        Node::Or(terms) | Node::And(terms) => terms.iter().map(cost).fold(0, u32::saturating_add),
    }
}

fn selection_cost(selection: &Selection) -> u32 {
    let walk = |step: &Step| match step {
        Step::Key(_) | Step::Index(_) => 1_u32,
        Step::Any => 20,
        Step::Deep => 500,
        Step::Json | Step::Xml => 0,
    };
    let path = selection.path.iter().map(walk).fold(0, u32::saturating_add);
    if selection.document.is_some() { path.saturating_add(1_000) } else { path }
}
