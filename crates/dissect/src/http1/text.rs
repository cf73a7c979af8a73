//! One text and its parts: a message keeps its strings in a single allocation.

use kfl::{List, Record, Value};

/// A part of a [`Text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(super) fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// Text that [`Span`]s point into.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(
            String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    pub(super) fn get(&self, span: Span) -> &str {
        self.0.get(span.range()).unwrap_or_default()
    }

    pub(super) fn push(&mut self, text: &str) -> Span {
        let start = self.0.len();
        self.0.push_str(text);
        Span::new(start, self.0.len())
    }

    /// The part of a span that `part` covers, where `part` was cut out of that span's text.
    pub(super) fn within(&self, span: Span, part: &str) -> Span {
        let offset = (part.as_ptr() as usize).saturating_sub(self.get(span).as_ptr() as usize);
        let start = span.range().start + offset;
        Span::new(start, start + part.len())
    }

    pub(super) fn heap_size(&self) -> usize {
        self.0.capacity()
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

/// Names and values, sorted by name; every name once.
pub(super) struct Map<'a> {
    pub(super) text: &'a Text,
    pub(super) rows: &'a [(Span, Span)],
}

impl Map<'_> {
    pub(super) fn find(&self, name: &str) -> Option<Span> {
        let at = self.rows.binary_search_by(|(key, _)| self.text.get(*key).cmp(name)).ok()?;
        self.rows.get(at).map(|(_, value)| *value)
    }
}

impl Record for Map<'_> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        self.find(key).map(|value| Value::text(self.text.get(value)))
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, value) in self.rows {
            visit(self.text.get(*name), Value::text(self.text.get(*value)));
        }
    }
}

/// Names and values, sorted by name; a name that stands more than once has a list of values.
pub(super) struct MultiMap<'a> {
    pub(super) text: &'a Text,
    pub(super) rows: &'a [(Span, Span)],
}

impl<'t> MultiMap<'t> {
    pub(super) fn groups(&self) -> impl Iterator<Item = (&'t str, &'t [(Span, Span)])> {
        let text = self.text;
        self.rows
            .chunk_by(move |(a, _), (b, _)| text.get(*a) == text.get(*b))
            .filter_map(move |group| group.first().map(|(name, _)| (text.get(*name), group)))
    }

    fn value(&self, group: &'t [(Span, Span)]) -> Value<'t> {
        match group {
            [(_, value)] => Value::text(self.text.get(*value)),
            rows => Value::List(kfl::Lent::Made(Box::new(Values { text: self.text, rows }))),
        }
    }
}

impl Record for MultiMap<'_> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        let start = self.rows.partition_point(|(name, _)| self.text.get(*name) < key);
        let rest = self.rows.get(start..)?;
        let len = rest.partition_point(|(name, _)| self.text.get(*name) <= key);
        let group = rest.get(..len).filter(|group| !group.is_empty())?;
        Some(self.value(group))
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, group) in self.groups() {
            visit(name, self.value(group));
        }
    }
}

struct Values<'a> {
    text: &'a Text,
    rows: &'a [(Span, Span)],
}

impl List for Values<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.rows.get(index).map(|(_, value)| Value::text(self.text.get(*value)))
    }
}

/// Parts of a text, in order.
pub(super) struct Texts<'a>(pub(super) Vec<&'a str>);

impl List for Texts<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|text| Value::text(text))
    }
}
