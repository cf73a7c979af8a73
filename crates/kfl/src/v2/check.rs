//! Names resolved and kinds checked, before the first record.

use super::{Binary, Bound, Expr, Kind, Node2, Resolved, Source, value::Sort};
use crate::{
    Options,
    compile::{Compiler, Reads},
    error::Fault,
    explain::Field,
    lookup::Path,
    nearest, parser,
    regexes::Regexes,
};
use std::ops::Range;

pub(super) struct Checker<'o> {
    pub(super) options: &'o Options<'o>,
    pub(super) regexes: Regexes,
    pub(super) reads: Reads,
    pub(super) variables: Vec<Bound>,
    /// Where each was first read.
    spans: Vec<Range<usize>>,
    /// The names that comprehensions bind, outermost first.
    pub(super) bound: Vec<String>,
}

pub(super) type Checked = Result<(Expr, Sort), Fault>;

impl<'o> Checker<'o> {
    pub(super) fn new(options: &'o Options<'o>, regexes: Regexes) -> Self {
        Checker {
            options,
            regexes,
            reads: Reads::default(),
            variables: Vec::new(),
            spans: Vec::new(),
            bound: Vec::new(),
        }
    }

    /// The paths that the variables read, each at the place that first did.
    pub(super) fn fields(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        for (bound, span) in self.variables.iter().zip(&self.spans) {
            let paths = match bound.variable.source {
                Source::Paths(paths) => paths.iter().map(|path| (*path).to_owned()).collect(),
                Source::Times(path, _) => vec![path.to_owned()],
                Source::Query(query) => crate::explain::fields(query, self.options),
            };
            for path in paths {
                if !fields.iter().any(|field| field.path == path) {
                    fields.push(Field { path, span: span.clone() });
                }
            }
        }
        fields
    }

    pub(super) fn root(&mut self, expr: Expr) -> Result<Expr, Fault> {
        self.truth(expr)
    }

    /// What the checked query reads beside its record.
    pub(super) fn reads(&self) -> Reads {
        Reads { regexes: self.reads.regexes + self.regexes.size(), ..self.reads }
    }

    pub(super) fn truth(&mut self, expr: Expr) -> Result<Expr, Fault> {
        self.of(expr, Sort::Bool).map_err(|fault| match fault.suggestion {
            None => fault.suggest("compare it with something"),
            Some(_) => fault,
        })
    }

    /// A part that must be of this sort.
    pub(super) fn of(&mut self, expr: Expr, wanted: Sort) -> Result<Expr, Fault> {
        let span = expr.span.clone();
        let (expr, sort) = self.expr(expr)?;
        if sort.fits(wanted) {
            return Ok(expr);
        }
        Err(Fault::new(span, format!("this is {}, where {} must stand", sort.name(), wanted.name())))
    }

    pub(super) fn expr(&mut self, expr: Expr) -> Checked {
        let Expr { kind, span } = expr;
        let (kind, sort) = match kind {
            Node2::Null => (Node2::Null, Sort::Null),
            Node2::Bool(_) => (kind, Sort::Bool),
            Node2::Int(_) | Node2::Float(_) => (kind, Sort::Number),
            Node2::Text(_) => (kind, Sort::Text),
            Node2::List(items) => {
                let items = items.into_iter().map(|item| Ok(self.expr(item)?.0));
                (Node2::List(items.collect::<Result<_, Fault>>()?), Sort::List)
            }
            Node2::Map(pairs) => {
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| Ok((self.of(key, Sort::Text)?, self.expr(value)?.0)));
                (Node2::Map(pairs.collect::<Result<_, Fault>>()?), Sort::Map)
            }
            Node2::Name(_) | Node2::Member(..) => return self.place(&Expr { kind, span }),
            Node2::Index(object, index) => return self.index(*object, *index, span),
            Node2::Call(object, name, arguments) => return self.call(object, &name, arguments, span),
            Node2::Not(inner) => (Node2::Not(Box::new(self.truth(*inner)?)), Sort::Bool),
            Node2::Negate(inner) => return self.negate(*inner, span),
            Node2::And(terms) => (Node2::And(self.truths(terms)?), Sort::Bool),
            Node2::Or(terms) => (Node2::Or(self.truths(terms)?), Sort::Bool),
            Node2::Binary(operator, left, right) => return self.binary(operator, *left, *right, span),
            Node2::If(parts) => {
                let [condition, yes, no] = *parts;
                let condition = self.truth(condition)?;
                let ((yes, one), (no, other)) = (self.expr(yes)?, self.expr(no)?);
                let sort = if one == other { one } else { Sort::Any };
                (Node2::If(Box::new([condition, yes, no])), sort)
            }
            resolved => (resolved, Sort::Any),
        };
        Ok((Expr { kind, span }, sort))
    }

    fn truths(&mut self, terms: Vec<Expr>) -> Result<Vec<Expr>, Fault> {
        terms.into_iter().map(|term| self.truth(term)).collect()
    }

    /// A name, or a chain of members: the longest beginning that is a variable, and members of it.
    fn place(&mut self, expr: &Expr) -> Checked {
        let mut names = Vec::new();
        let span = expr.span.clone();
        let mut inner = expr;
        let base = loop {
            match &inner.kind {
                Node2::Name(name) => {
                    names.push(name.clone());
                    break None;
                }
                Node2::Member(object, name) => {
                    names.push(name.clone());
                    inner = object;
                }
                _ => break Some(inner.clone()),
            }
        };
        names.reverse();
        let (mut expr, mut sort, rest) = match base {
            Some(object) => {
                let (object, sort) = self.expr(object)?;
                (object, sort, 0)
            }
            None => self.named(&names, &span)?,
        };
        for name in names.get(rest..).unwrap_or_default() {
            if !sort.fits(Sort::Map) {
                let message = format!("{} has no members such as `{name}`", sort.name());
                return Err(Fault::new(span, message));
            }
            expr = Expr { kind: Node2::Member(Box::new(expr), name.clone()), span: span.clone() };
            sort = Sort::Any;
        }
        Ok((expr, sort))
    }

    fn named(&mut self, names: &[String], span: &Range<usize>) -> Result<(Expr, Sort, usize), Fault> {
        let first = names.first().map(String::as_str).unwrap_or_default();
        if let Some(depth) = self.bound.iter().rposition(|name| name == first) {
            return Ok((Expr { kind: Node2::Bound(depth), span: span.clone() }, Sort::Any, 1));
        }
        for end in (1..=names.len()).rev() {
            let name = names.get(..end).unwrap_or_default().join(".");
            let Some(variable) = self.options.variables.iter().find(|variable| variable.name == name) else {
                continue;
            };
            let known = self.variables.iter().position(|bound| bound.variable.name == name);
            let place = known.unwrap_or(self.variables.len());
            if known.is_none() {
                let source = self.resolve(variable.source, span)?;
                self.variables.push(Bound { variable: *variable, source });
                self.spans.push(span.clone());
            }
            let sort = match variable.kind {
                Kind::Text => Sort::Text,
                Kind::Int => Sort::Number,
                Kind::Bool => Sort::Bool,
                Kind::List => Sort::List,
                Kind::Map => Sort::Map,
                Kind::Time => Sort::Time,
            };
            return Ok((Expr { kind: Node2::Variable(place), span: span.clone() }, sort, end));
        }
        let typed = names.join(".");
        let fault = Fault::new(span.clone(), format!("there is no variable `{typed}`"));
        Err(match nearest::nearest(&typed, self.options.variables.iter().map(|variable| variable.name)) {
            Some(near) => fault.suggest(format!("did you mean `{near}`?")),
            None => fault,
        })
    }

    fn resolve(&mut self, source: Source, span: &Range<usize>) -> Result<Resolved, Fault> {
        let wrong = |what: &str| Fault::new(span.clone(), format!("the host's variable is wrong: {what}"));
        let path = |text: &str| Path::parse(text).map(Path::into_steps).ok_or_else(|| wrong(text));
        Ok(match source {
            Source::Paths(paths) => {
                Resolved::Paths(paths.iter().map(|text| path(text)).collect::<Result<_, _>>()?)
            }
            Source::Times(text, _) => Resolved::Paths(vec![path(text)?]),
            Source::Query(query) => {
                let tree = parser::parse(query)?.ok_or_else(|| wrong(query))?;
                let mut compiler = Compiler::new(self.options);
                let node = compiler.enclosed(&tree)?;
                let reads = compiler.reads();
                self.reads.now |= reads.now;
                self.reads.regexes += reads.regexes;
                Resolved::Query(Box::new(node))
            }
        })
    }

    fn index(&mut self, object: Expr, index: Expr, span: Range<usize>) -> Checked {
        let object_span = object.span.clone();
        let (object, sort) = self.expr(object)?;
        let wanted = match sort {
            Sort::List => Sort::Number,
            Sort::Map => Sort::Text,
            Sort::Any => Sort::Any,
            _ => return Err(Fault::new(object_span, format!("{} has no items", sort.name()))),
        };
        let index = self.of(index, wanted)?;
        Ok((Expr { kind: Node2::Index(Box::new(object), Box::new(index)), span }, Sort::Any))
    }

    fn negate(&mut self, inner: Expr, span: Range<usize>) -> Checked {
        let inner_span = inner.span.clone();
        let (inner, sort) = self.expr(inner)?;
        if !sort.fits(Sort::Number) && sort != Sort::Span {
            return Err(Fault::new(inner_span, format!("{} cannot be negated", sort.name())));
        }
        Ok((Expr { kind: Node2::Negate(Box::new(inner)), span }, sort))
    }

    fn binary(&mut self, operator: Binary, left: Expr, right: Expr, span: Range<usize>) -> Checked {
        let (left, one) = self.expr(left)?;
        let (right, other) = self.expr(right)?;
        let sort = match operator {
            Binary::Equal | Binary::Unequal => {
                (one.fits(other) || one == Sort::Null || other == Sort::Null).then_some(Sort::Bool)
            }
            Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
                (one.fits(other) && !matches!(one, Sort::List | Sort::Map | Sort::Null)).then_some(Sort::Bool)
            }
            Binary::In => (other.fits(Sort::List) || other == Sort::Map).then_some(Sort::Bool),
            Binary::Add => match (one, other) {
                (Sort::Any, any) | (any, Sort::Any) => Some(if any == Sort::Text { any } else { Sort::Any }),
                (Sort::Time, Sort::Span) | (Sort::Span, Sort::Time) => Some(Sort::Time),
                (Sort::Number | Sort::Text | Sort::List | Sort::Span, _) if one == other => Some(one),
                _ => None,
            },
            Binary::Subtract => match (one, other) {
                (Sort::Any, _) | (_, Sort::Any) => Some(Sort::Any),
                (Sort::Time, Sort::Time) => Some(Sort::Span),
                (Sort::Time, Sort::Span) => Some(Sort::Time),
                (Sort::Number | Sort::Span, _) if one == other => Some(one),
                _ => None,
            },
            Binary::Multiply | Binary::Divide | Binary::Remainder => {
                (one.fits(Sort::Number) && other.fits(Sort::Number)).then_some(Sort::Number)
            }
        };
        let Some(sort) = sort else {
            let what = operator.symbol();
            let fault =
                Fault::new(span, format!("`{what}` does not go between {} and {}", one.name(), other.name()));
            return Err(match (one, other) {
                (Sort::Number, Sort::Text) | (Sort::Text, Sort::Number) => {
                    fault.suggest("numbers stand without quotes, texts with them")
                }
                (Sort::Time, Sort::Text) => fault.suggest("write `timestamp(\"2006-01-02T15:04:05Z\")`"),
                _ => fault,
            });
        };
        Ok((Expr { kind: Node2::Binary(operator, Box::new(left), Box::new(right)), span }, sort))
    }
}
