//! The filter language: no text makes it panic or lie, and a compiled filter answers as the naive evaluator does.

#[expect(clippy::unwrap_used, reason = "a test may panic")]
#[path = "../../crates/kfl/tests/evaluator/mod.rs"]
mod evaluator;

use evaluator::Query;
use kfl::{Filter, Language, Options};
use serde_json::{Value, json};

/// A text as a query: printed and parsed again it is the same tree, what compiles can be explained, run and completed,
/// and what is refused is refused at a place in the text.
pub(crate) fn parse(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let record = json!({
        "protocol": {"abbr": "HTTP", "name": "http"}, "a": [1, {"b": "x"}], "src": {"ip": "10.0.0.1", "port": "80"},
        "request": {"method": "GET", "headers": {"Host": "h"}, "body": "eyJhIjp7ImIiOjF9fQ=="},
        "response": {"status": 200, "body": "<a><b>x</b></a>"}, "timestamp": 1, "elapsedTime": 3,
    });
    for language in [Language::Any, Language::V1, Language::V2] {
        let options = Options { language, ..api::explaining(1_700_000_000_000) };
        match Filter::new(&text, &options) {
            Ok(filter) => {
                let found = kfl::explain(&text, &options).expect("what compiles can be explained");
                assert_eq!(found.language, filter.language());
                let passes = filter.matches(&record);
                if language == Language::V2 && !found.grouped.is_empty() {
                    let again = Filter::new(&found.grouped, &options).expect("what is printed can be read");
                    assert_eq!(again.matches(&record), passes, "{text} and {}", found.grouped);
                }
                kfl::json::to_string(&filter.altered(&record));
            }
            Err(error) => {
                assert!(error.span().end <= text.len() && error.render(&text).contains('^'));
            }
        }
    }
    if let Ok(tree) = kfl::tree(&text) {
        let printed = kfl::normal(&text).expect("what has a tree can be printed");
        assert_eq!(kfl::tree(&printed).expect("what is printed can be read"), tree);
    }
    for cursor in [0, text.len() / 2, text.len(), text.len() + 9] {
        let found = kfl::complete(&text, cursor, &api::explaining(0));
        assert!(text.get(found.span).is_some());
    }
}

/// Bytes as a query and a record: the filter and the naive evaluator agree.
pub(crate) fn eval(input: &[u8]) {
    let mut bytes = Bytes(input);
    let query = bytes.or(4);
    let record = json!({"a": bytes.value(3), "b": bytes.value(3), "c": bytes.value(2)});
    let text = evaluator::typed(&query);
    let options = Options { language: Language::V1, ..Options::new(&[], 0) };
    let Ok(filter) = Filter::new(&text, &options) else { panic!("{text} is refused") };
    let expected = evaluator::matches(&query, &record);
    assert_eq!(filter.matches(&record), expected, "{text} on {record}");
    // The way with a run and its state, which a redaction makes necessary.
    let kept = Filter::new(&format!("redact(\"nowhere\") and ({text})"), &options).expect("a query");
    assert_eq!(kept.matches(&record), expected, "{text} on {record}, in the order typed");
}

/// Decisions, a byte each; 0 when they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn below(&mut self, end: u8) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first % end
    }

    fn some<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = 2 + self.below(2);
        (0..count).map(|_| make(self)).collect()
    }

    fn or(&mut self, depth: u8) -> Query {
        if self.below(3) == 0 { Query::Or(self.some(|bytes| bytes.and(depth))) } else { self.and(depth) }
    }

    fn and(&mut self, depth: u8) -> Query {
        if self.below(3) == 0 { Query::And(self.some(|bytes| bytes.term(depth))) } else { self.term(depth) }
    }

    fn term(&mut self, depth: u8) -> Query {
        match self.below(6) {
            0 | 1 => {
                let operator = ["==", "!=", "<", "<=", ">", ">="][usize::from(self.below(6))];
                let left = self.side(depth);
                let right = if self.below(3) == 0 { self.side(depth) } else { Query::Literal(self.scalar()) };
                Query::Compare(Box::new(left), operator, Box::new(right))
            }
            2 => {
                let pattern = ["", "a", "b?1", "a0"][usize::from(self.below(4))];
                Query::Matches(Box::new(self.side(depth)), pattern.to_owned())
            }
            3 => Query::Not(Box::new(self.side(depth))),
            4 => Query::Contains(self.path(), ["", "a", "0", "als"][usize::from(self.below(4))].to_owned()),
            _ => self.side(depth),
        }
    }

    /// What may stand beside a comparison: a path, or anything in parentheses.
    fn side(&mut self, depth: u8) -> Query {
        if depth == 0 || self.below(2) == 0 {
            return Query::Path(self.path());
        }
        Query::Group(Box::new(self.or(depth - 1)))
    }

    fn path(&mut self) -> Vec<String> {
        let mut path = vec![["a", "b", "c", "d"][usize::from(self.below(4))].to_owned()];
        for _ in 0..self.below(3) {
            path.push(["a", "b", "*"][usize::from(self.below(3))].to_owned());
        }
        path
    }

    fn scalar(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => true.into(),
            2 => false.into(),
            3 => "".into(),
            4 => "a".into(),
            5 => "b1".into(),
            6 => "1".into(),
            7 => 2.5.into(),
            _ => i64::from(self.below(3)).into(),
        }
    }

    fn value(&mut self, depth: u8) -> Value {
        match self.below(4) {
            0 if depth > 0 => Value::from(self.some(|bytes| bytes.value(depth - 1))),
            1 if depth > 0 => json!({"a": self.value(depth - 1), "b": self.value(depth - 1)}),
            2 if depth > 0 => Value::Array(Vec::new()),
            _ => self.scalar(),
        }
    }
}
