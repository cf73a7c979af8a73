//! A record with some values hidden: a view that changes what it is asked for and shares the rest.

use crate::{
    document::{self, Format},
    key::Key,
    path::Step,
    record::{Lent, List, Record, Value},
};
use std::borrow::Cow;

/// What stands in place of a redacted value.
pub const REDACTED: &str = "[REDACTED]";

/// The steps from where we are to what must be hidden.
pub(crate) type Way<'a> = &'a [Step];

/// A record as a filter with `redact` lets it be seen.
///
/// Nothing is copied: a field is looked up in the record below, and altered when it is asked for.
pub struct Altered<'a> {
    record: Lent<'a, dyn Record + 'a>,
    ways: Vec<Way<'a>>,
}

impl<'a> Altered<'a> {
    pub(crate) fn new(record: &'a dyn Record, ways: Vec<Way<'a>>) -> Self {
        Altered { record: Lent::Borrowed(record), ways }
    }

    /// Another form of the record, with the same hidden.
    #[must_use]
    pub fn likewise(&self, form: &'a dyn Record) -> Self {
        Altered::new(form, self.ways.clone())
    }

    /// Whether nothing is hidden: what a filter without `redact`, or one that did not come to it, leaves.
    pub fn is_unaltered(&self) -> bool {
        self.ways.is_empty()
    }
}

impl Record for Altered<'_> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        self.field(Key::new(key))
    }

    fn field(&self, key: Key<'_>) -> Option<Value<'_>> {
        Some(altered(self.record.field(key)?, down(&self.ways, &Place::Key(key.text()))))
    }

    fn keys(&self) -> Option<&'static [&'static str]> {
        self.record.keys()
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.record.each(&mut |key, value| visit(key, altered(value, down(&self.ways, &Place::Key(key)))));
    }
}

struct AlteredList<'a> {
    list: Lent<'a, dyn List + 'a>,
    ways: Vec<Way<'a>>,
}

impl List for AlteredList<'_> {
    fn len(&self) -> usize {
        self.list.len()
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        Some(altered(self.list.at(index)?, down(&self.ways, &Place::Index(index))))
    }
}

/// The value with what the ways lead to hidden.
pub(crate) fn altered<'a>(value: Value<'a>, ways: Vec<Way<'a>>) -> Value<'a> {
    if ways.is_empty() {
        return value;
    }
    if ways.iter().any(|way| way.is_empty()) {
        return Value::text(REDACTED);
    }
    match value {
        Value::Record(record) => Value::Record(Lent::Made(Box::new(Altered { record, ways }))),
        Value::List(list) => Value::List(Lent::Made(Box::new(AlteredList { list, ways }))),
        Value::Text(_) | Value::Digits(_) | Value::Address(_) | Value::Base64(_) => {
            altered_text(value, &ways)
        }
        plain => plain,
    }
}

fn altered_text<'a>(value: Value<'a>, ways: &[Way<'a>]) -> Value<'a> {
    let inside = |entry: &Step| -> Vec<Way<'a>> {
        ways.iter()
            .filter_map(|way| way.split_first())
            .filter(|(step, _)| *step == entry)
            .map(|(_, way)| way)
            .collect()
    };
    [(Step::Json, Format::Json), (Step::Xml, Format::Xml)].into_iter().fold(value, |value, (step, format)| {
        let ways = inside(&step);
        if ways.is_empty() {
            return value;
        }
        match document::redacted(&value, format, &ways) {
            Some(text) => Value::Text(Cow::Owned(text)),
            None => value,
        }
    })
}

enum Place<'p> {
    Key(&'p str),
    Index(usize),
}

/// What is left of each way after going down to a place.
fn down<'a>(ways: &[Way<'a>], place: &Place<'_>) -> Vec<Way<'a>> {
    let mut left = Vec::new();
    for way in ways {
        follow(way, place, &mut left);
    }
    left
}

fn follow<'a>(way: Way<'a>, place: &Place<'_>, left: &mut Vec<Way<'a>>) {
    // Two ways to the same steps are one: without this, every `..` would multiply them on the way down.
    let mut add = |way: Way<'a>| {
        if !left.iter().any(|known| std::ptr::eq(*known, way)) {
            left.push(way);
        }
    };
    match (way, place) {
        ([Step::Any, rest @ ..], _) => add(rest),
        ([Step::Key(wanted), rest @ ..], Place::Key(key)) if **wanted == **key => add(rest),
        ([Step::Index(wanted), rest @ ..], Place::Index(index)) if wanted == index => add(rest),
        ([Step::Deep, rest @ ..], _) => {
            add(way);
            follow(rest, place, left);
        }
        _ => {}
    }
}
