//! Looking at one place of a record from outside of a query: for whoever shows records in other forms.

use crate::{
    ast::{Kind, Selector},
    json, parser,
    path::{self, Flow, Step, visit_record},
    record::{Record, Value},
    value,
};

/// A place in a record, written as a query's selector: `request.headers["Host"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Box<[Step]>);

impl Path {
    /// Reads a path; `None` where the text is none, or one with a call.
    pub fn parse(text: &str) -> Option<Self> {
        match parser::parse(text).ok()??.kind {
            Kind::Selector(Selector { path, call: None }) => Some(Path(path::steps(&path))),
            _ => None,
        }
    }

    pub(crate) fn into_steps(self) -> Box<[Step]> {
        self.0
    }

    /// The place around it; `None` for a field of the record itself.
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        (!parent.is_empty()).then(|| Path(parent.into()))
    }

    /// The field of this name beside it.
    #[must_use]
    pub fn sibling(&self, name: &str) -> Self {
        let mut steps = self.0.to_vec();
        steps.pop();
        steps.push(Step::Key(name.into()));
        Path(steps.into())
    }

    /// The text of the first value there, as `==` compares it; `None` where there is none.
    pub fn text_in(&self, record: &dyn Record) -> Option<String> {
        self.first(record, |value| value::form(value).into_owned())
    }

    /// The first value there as JSON; `None` where there is none.
    pub fn json_in(&self, record: &dyn Record) -> Option<String> {
        self.first(record, json::value_to_string)
    }

    fn first<T>(&self, record: &dyn Record, read: impl Fn(&Value<'_>) -> T) -> Option<T> {
        let mut found = None;
        path::done(visit_record(record, &self.0, 0, &mut |value| {
            found = Some(read(value));
            Flow::Break(())
        }));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_one_place() {
        let record = serde_json::json!({"a": {"x-y": [1, {"b": "t"}]}});
        for (text, json, plain) in [
            ("a[\"x-y\"]", Some(r#"[1,{"b":"t"}]"#), Some("")),
            ("a.nothing", None, None),
            ("a.*", Some(r#"[1,{"b":"t"}]"#), Some("")),
            ("a..b", Some("\"t\""), Some("t")),
        ] {
            let path = Path::parse(text).unwrap();
            assert_eq!(path.json_in(&record).as_deref(), json, "{text}");
            assert_eq!(path.text_in(&record).as_deref(), plain, "{text}");
        }
        for text in ["", "a.contains(\"b\")", "a ==", "1"] {
            assert_eq!(Path::parse(text), None, "{text}");
        }
        let path = Path::parse("a.b.c").unwrap();
        assert_eq!(path.parent(), Path::parse("a.b"));
        assert_eq!(Some(path.sibling("d")), Path::parse("a.b.d"));
        assert_eq!(Path::parse("a").unwrap().parent(), None);
    }
}
