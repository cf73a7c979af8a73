//! A compiled query: what is left to do for each record.
//!
//! A truth is `Some(true)`, `Some(false)`, or `None`: a field was missing, and everything around it is false up to
//! the nearest parentheses.

use crate::{
    ast::{Operator, Part},
    document::{Document, Format},
    key::Name,
    limits,
    path::{self, Flow, Step, visit_record},
    record::{Record, Value},
    redact::{Altered, Way},
    value::{self, Constant, Datum},
};
use regex::Regex;
use std::{borrow::Cow, cmp::Ordering};

pub(crate) enum Node {
    Constant(Constant),
    /// A regex where none can match: alone, or against another.
    Regex(Regex),
    Or(Box<[Node]>),
    And(Box<[Node]>),
    Group(Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Select(Selection),
    /// A field against a constant or a regex: the common case, which builds nothing.
    Test(Selection, Test),
    Matches(Box<Node>, Regex, bool),
    Compare(Operator, Box<Node>, Box<Node>),
    /// A helper that looks at a text: `None` stands for no field at all.
    Text(Option<Selection>, TextTest, Box<Node>),
    /// `redact`, with the paths that it hides.
    Redact(Box<[Box<[Step]>]>),
    /// A field that no record has.
    Missing,
}

/// A place in a record, or in a document that one of its texts holds.
pub(crate) struct Selection {
    pub(crate) path: Box<[Step]>,
    pub(crate) document: Option<Inside>,
    /// The path, where it is of names and so leads to one value at most.
    pub(crate) names: Option<Box<[Name]>>,
}

#[derive(Clone)]
pub(crate) struct Inside {
    pub(crate) format: Format,
    /// Which of the query's documents this is: each is read once per record.
    pub(crate) slot: usize,
    pub(crate) path: Box<[Step]>,
}

impl Selection {
    /// A field of the record.
    pub(crate) fn field(parts: &[Part]) -> Self {
        Selection::new(path::steps(parts), None)
    }

    pub(crate) fn new(path: Box<[Step]>, document: Option<Inside>) -> Self {
        let names = if document.is_none() { path::names(&path) } else { None };
        Selection { path, document, names }
    }
}

pub(crate) enum Test {
    Compare(Operator, Constant),
    Matches(Regex, bool),
}

/// How a text stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

impl TextTest {
    pub(crate) fn holds(self, text: &str, part: &str) -> bool {
        match self {
            TextTest::Contains => text.contains(part),
            TextTest::StartsWith => text.starts_with(part),
            TextTest::EndsWith => text.ends_with(part),
        }
    }
}

/// One record under one filter.
pub(crate) struct Run<'r> {
    record: &'r dyn Record,
    hidden: Vec<Way<'r>>,
    documents: Vec<Slot>,
}

enum Slot {
    Unread,
    Read(Option<Document>),
}

impl<'r> Run<'r> {
    pub(crate) fn new(record: &'r dyn Record) -> Self {
        // Neither vector allocates before it is used.
        Run { record, hidden: Vec::new(), documents: Vec::new() }
    }

    /// What the redactions that ran leave visible.
    pub(crate) fn hidden(self) -> Vec<Way<'r>> {
        self.hidden
    }

    pub(crate) fn truth(&mut self, node: &'r Node) -> Option<bool> {
        match node {
            Node::Constant(constant) => Some(constant.datum.truth()),
            Node::Regex(_) => Some(false),
            Node::And(terms) => {
                for term in terms {
                    if !self.truth(term)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            Node::Or(terms) => {
                for term in terms {
                    if self.truth(term)? {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Node::Group(inner) => Some(self.truth(inner).unwrap_or(false)),
            Node::Not(inner) => self.not(inner),
            Node::Select(selection) => self.selected(selection, value::truth, |_| true, false),
            Node::Test(selection, test) => self.test(selection, test),
            Node::Matches(..) | Node::Compare(..) | Node::Negate(_) => {
                self.value(node).map(|datum| datum.truth())
            }
            Node::Text(selection, test, argument) => {
                Some(self.text_test(selection.as_ref(), *test, argument))
            }
            Node::Redact(paths) => {
                self.hidden.extend(paths.iter().map(|path| &**path));
                self.documents.clear();
                Some(true)
            }
            Node::Missing => None,
        }
    }

    fn value(&mut self, node: &'r Node) -> Option<Datum> {
        match node {
            Node::Constant(constant) => Some(constant.datum.clone()),
            Node::Regex(_) => Some(Datum::Text(String::new())),
            Node::Group(inner) => Some(self.value(inner).unwrap_or(Datum::Bool(false))),
            Node::Not(inner) => Some(match self.value(inner)? {
                Datum::Bool(truth) => Datum::Bool(!truth),
                unchanged => unchanged,
            }),
            Node::Negate(inner) => Some(match self.value(inner)? {
                Datum::Float(float) => Datum::Float(-float),
                unchanged => unchanged,
            }),
            Node::Select(selection) => self.datum(selection),
            Node::Matches(inner, regex, negated) => {
                let datum = self.value(inner)?;
                let matched = !matches!(datum, Datum::List(_)) && regex.is_match(&datum.form());
                Some(Datum::Bool(matched != *negated))
            }
            Node::Compare(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                Some(Datum::Bool(compare(*operator, &left, &right)))
            }
            _ => self.truth(node).map(Datum::Bool),
        }
    }

    /// `!` turns truths round and leaves everything else as it is.
    fn not(&mut self, inner: &'r Node) -> Option<bool> {
        match inner {
            Node::Select(selection) => {
                let turned = |value: &Value<'_>| match value {
                    Value::Bool(truth) => !truth,
                    other => value::truth(other),
                };
                self.selected(selection, turned, |_| true, false)
            }
            Node::Or(_) | Node::And(_) | Node::Test(..) | Node::Text(..) | Node::Redact(_) => {
                self.truth(inner).map(|truth| !truth)
            }
            _ => Some(match self.value(inner)? {
                Datum::Bool(truth) => !truth,
                other => other.truth(),
            }),
        }
    }

    fn test(&mut self, selection: &Selection, test: &Test) -> Option<bool> {
        match test {
            Test::Compare(Operator::Equal, constant) => self.equality(selection, constant),
            Test::Compare(Operator::Unequal, constant) => {
                self.equality(selection, constant).map(|truth| !truth)
            }
            Test::Compare(operator, constant) => {
                let holds = holds(*operator);
                let right = constant.number();
                let single = |value: &Value<'_>| value::number(value).compare(right).is_some_and(holds);
                self.selected(selection, |value| any_item(value, single), single, false)
            }
            Test::Matches(regex, negated) => {
                // A list matches no regex, whether it is a field or several fields.
                let single = |value: &Value<'_>| {
                    !matches!(value, Value::List(_)) && regex.is_match(&value::form(value)) != *negated
                        || matches!(value, Value::List(_)) && *negated
                };
                self.selected(selection, single, |_| false, *negated)
            }
        }
    }

    fn equality(&mut self, selection: &Selection, constant: &Constant) -> Option<bool> {
        let single = |value: &Value<'_>| value::equals(value, constant);
        self.selected(selection, |value| any_item(value, single), single, false)
    }

    /// The answer for what a selection finds: `one` judges a single value, `each` the items of several, of which any
    /// (with `empty` as the answer when none does) decides.
    fn selected(
        &mut self,
        selection: &Selection,
        one: impl Fn(&Value<'_>) -> bool,
        each: impl Fn(&Value<'_>) -> bool,
        empty: bool,
    ) -> Option<bool> {
        if let Some(names) = &selection.names
            && self.hidden.is_empty()
        {
            return path::single(self.record, names, one);
        }
        let (mut found, mut single, mut several) = (0_usize, false, empty);
        self.visit(selection, &mut |value| {
            if found == 0 {
                single = one(value);
            }
            several = several || each(value);
            found += 1;
            // Two are several, and a hit cannot be lost any more.
            if found > 1 && several { Flow::Break(()) } else { Flow::Continue(()) }
        });
        match found {
            0 if selection.document.is_some() => Some(one(&Value::Bool(false))),
            0 => None,
            1 => Some(single),
            _ => Some(several),
        }
    }

    fn datum(&mut self, selection: &Selection) -> Option<Datum> {
        let mut found = Vec::new();
        self.visit(selection, &mut |value| {
            found.push(Datum::of(value, limits::DOCUMENT_DEPTH));
            Flow::Continue(())
        });
        match found.len() {
            0 if selection.document.is_some() => Some(Datum::Bool(false)),
            0 | 1 => found.pop(),
            _ => Some(Datum::List(found)),
        }
    }

    fn text_test(&mut self, selection: Option<&Selection>, test: TextTest, argument: &'r Node) -> bool {
        let argument = match argument {
            Node::Constant(constant) => Cow::Borrowed(constant.form()),
            node => match self.value(node) {
                Some(datum) => Cow::Owned(datum.form().into_owned()),
                None => return false,
            },
        };
        // A missing field reads as the word false here, and several values as no text.
        let judged = selection.and_then(|selection| {
            self.selected(
                selection,
                |value| test.holds(&value::form(value), &argument),
                |_| false,
                test.holds("", &argument),
            )
        });
        judged.unwrap_or_else(|| test.holds("false", &argument))
    }

    fn visit(&mut self, selection: &Selection, visit: &mut dyn FnMut(&Value<'_>) -> Flow) {
        let Some(inside) = &selection.document else {
            self.visit_path(&selection.path, visit);
            return;
        };
        if self.documents.len() <= inside.slot {
            self.documents.resize_with(inside.slot + 1, || Slot::Unread);
        }
        if let Some(Slot::Unread) = self.documents.get(inside.slot) {
            let read = self.read(&selection.path, inside.format);
            if let Some(slot) = self.documents.get_mut(inside.slot) {
                *slot = Slot::Read(read);
            }
        }
        if let Some(Slot::Read(Some(document))) = self.documents.get(inside.slot) {
            document.visit_first(&inside.path, visit);
        }
    }

    fn read(&self, path: &[Step], format: Format) -> Option<Document> {
        let (mut found, mut document) = (0_usize, None);
        self.visit_path(path, &mut |value| {
            found += 1;
            document = if found == 1 { Document::read(value, format) } else { None };
            if found > 1 { Flow::Break(()) } else { Flow::Continue(()) }
        });
        document
    }

    fn visit_path(&self, path: &[Step], visit: &mut dyn FnMut(&Value<'_>) -> Flow) {
        path::done(if self.hidden.is_empty() {
            visit_record(self.record, path, 0, visit)
        } else {
            visit_record(&Altered::new(self.record, self.hidden.clone()), path, 0, visit)
        });
    }
}

pub(crate) fn any_item(value: &Value<'_>, holds: impl Fn(&Value<'_>) -> bool) -> bool {
    match value {
        Value::List(list) => (0..list.len()).filter_map(|index| list.at(index)).any(|item| holds(&item)),
        single => holds(single),
    }
}

/// What two whole values are to each other.
pub(crate) fn compare(operator: Operator, left: &Datum, right: &Datum) -> bool {
    match operator {
        Operator::Equal => left.equals(right),
        Operator::Unequal => !left.equals(right),
        ordering => left.ordered(right, holds(ordering)),
    }
}

#[inline]
pub(crate) fn holds(operator: Operator) -> fn(Ordering) -> bool {
    match operator {
        Operator::Less => Ordering::is_lt,
        Operator::LessOrEqual => Ordering::is_le,
        Operator::Greater => Ordering::is_gt,
        Operator::GreaterOrEqual => Ordering::is_ge,
        Operator::Equal => Ordering::is_eq,
        Operator::Unequal => Ordering::is_ne,
    }
}
