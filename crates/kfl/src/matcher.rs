//! Queries that come as text with every record, as a script asks them: compiled once, and kept.

use crate::{Error, Filter, Options, Record};
use std::collections::HashMap;

/// Answers queries that come as text. The last used ones are kept compiled, so that the same text asked of record after
/// record costs a look-up.
///
/// ```
/// let mut matcher = kfl::Matcher::new(kfl::Options::new(&[], 0));
/// let record = serde_json::json!({"response": {"status": 500}});
/// assert_eq!(matcher.matches(Some("response.status == 500"), &record, 0), Ok(true));
/// assert_eq!(matcher.matches(Some(""), &record, 0), Ok(true));
/// assert_eq!(matcher.matches(None, &record, 0), Ok(false));
///
/// let error = matcher.validate("response.status ==", 0).unwrap_err();
/// assert!(error.to_string().starts_with("1:19: unexpected token"), "{error}");
/// ```
pub struct Matcher {
    options: Options<'static>,
    kept: HashMap<Box<str>, Kept>,
    /// Bytes that those kept may have.
    size: usize,
    /// Counts the questions.
    asked: u64,
}

struct Kept {
    /// What is wrong with a query is kept too: a script may ask again and again.
    result: Result<Filter, Error>,
    /// The moment that it was compiled at.
    now: i64,
    size: usize,
    /// The question that used it last.
    used: u64,
}

/// Most queries that are kept.
const QUERIES: usize = 128;

/// Most bytes that those kept may have together.
const SIZE: usize = 16 << 20;

/// Bytes that a byte of text is taken to become: the densest texts are long paths, `a.a.a.a`, of 40.
const GROWTH: usize = 64;

impl Matcher {
    /// A matcher of queries with these options, whose moment is not used.
    pub fn new(options: Options<'static>) -> Self {
        Matcher { options, kept: HashMap::new(), size: 0, asked: 0 }
    }

    /// Whether the query lets the record through, asked at `now` (milliseconds since 1970 UTC). No query lets nothing
    /// through, the empty query everything; `limit` and `redact` are true, and do nothing here.
    pub fn matches(&mut self, query: Option<&str>, record: &dyn Record, now: i64) -> Result<bool, Error> {
        let Some(query) = query else { return Ok(false) };
        self.with(query, now, |filter| filter.matches(record))
    }

    /// Whether the query makes sense.
    pub fn validate(&mut self, query: &str, now: i64) -> Result<(), Error> {
        self.with(query, now, |_| ())
    }

    fn with<T>(&mut self, text: &str, now: i64, ask: impl FnOnce(&Filter) -> T) -> Result<T, Error> {
        self.asked += 1;
        if let Some(kept) = self.kept.get_mut(text)
            && (kept.now == now || !kept.result.as_ref().is_ok_and(Filter::is_timed))
        {
            kept.used = self.asked;
            return kept.result.as_ref().map(ask).map_err(Error::clone);
        }
        let result = Filter::new(text, &Options { now, ..self.options });
        let answer = result.as_ref().map(ask).map_err(Error::clone);
        self.keep(text, result, now);
        answer
    }

    fn keep(&mut self, text: &str, result: Result<Filter, Error>, now: i64) {
        if let Some(old) = self.kept.remove(text) {
            self.size -= old.size;
        }
        let size = text.len() * GROWTH + result.as_ref().map_or(0, Filter::regexes);
        if size > SIZE {
            return;
        }
        while self.kept.len() >= QUERIES || self.size + size > SIZE {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(text, _)| text.clone());
            let Some(old) = oldest.and_then(|text| self.kept.remove(&text)) else { break };
            self.size -= old.size;
        }
        self.size += size;
        self.kept.insert(text.into(), Kept { result, now, size, used: self.asked });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Source, Variable};
    use serde_json::json;

    const VARIABLES: &[Variable] =
        &[Variable { name: "at", kind: Kind::Time, source: Source::Paths(&["timestamp"]) }];

    fn matcher() -> Matcher {
        Matcher::new(Options {
            variables: VARIABLES,
            ..Options::new(&[("late", "timestamp < seconds(-1)")], 0)
        })
    }

    #[test]
    fn answers_as_filters_do() {
        let mut matcher = matcher();
        let record = json!({"a": {"b": "x"}, "timestamp": 10_000});
        for _ in 0..2 {
            for (query, now, expected) in [
                (None, 0, Ok(false)),
                (Some(""), 0, Ok(true)),
                (Some("a.b == \"x\""), 0, Ok(true)),
                (Some("a.b == \"y\""), 0, Ok(false)),
                (Some("a.b =="), 0, Err("1:7: unexpected token")),
                (Some("a.b.startswith(\"x\")"), 0, Err("1:5: unknown helper startswith()")),
                // What `now` means is not kept, in either spelling, nor in a macro.
                (Some("timestamp > seconds(-5)"), 14_000, Ok(true)),
                (Some("timestamp > seconds(-5)"), 16_000, Ok(false)),
                (Some("late"), 10_500, Ok(false)),
                (Some("late"), 12_000, Ok(true)),
                (Some("at > now() - duration('5s') && true"), 14_000, Ok(true)),
                (Some("at > now() - duration('5s') && true"), 16_000, Ok(false)),
            ] {
                let found = matcher.matches(query, &record, now).map_err(|error| error.to_string());
                match (found, expected) {
                    (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{query:?}"),
                    (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{found}"),
                    (found, expected) => panic!("{query:?}: {found:?}, not {expected:?}"),
                }
            }
        }
        assert!(matcher.validate("a.b == r\"(\"", 0).is_err());
        assert!(matcher.validate("a.b == r\"(x)\"", 0).is_ok());
        // What has no fields has none that a query asks for.
        assert_eq!(matcher.matches(Some("a"), &serde_json::Value::Null, 0), Ok(false));
    }

    #[test]
    fn keeps_the_last_used_within_bounds() {
        let mut matcher = matcher();
        let record = json!({"n": 7});
        for n in 0..3 * QUERIES {
            assert_eq!(matcher.matches(Some("n == 7"), &record, 0), Ok(true));
            assert_eq!(matcher.matches(Some(&format!("n == {n}")), &record, 0), Ok(n == 7));
        }
        assert_eq!(matcher.kept.len(), QUERIES);
        assert!(matcher.kept.contains_key("n == 7") && !matcher.kept.contains_key("n == 6"));
        for n in 0..40 {
            let large = format!("n == r\"{n}([a-z]{{900}}){{9}}\"");
            assert_eq!(matcher.matches(Some(&large), &record, 0), Ok(false));
            assert!(matcher.size <= SIZE);
        }
        assert_eq!(matcher.size, matcher.kept.values().map(|kept| kept.size).sum::<usize>());
        let huge = format!("n == 7 or n == \"{}\"", "x".repeat(SIZE / GROWTH));
        assert_eq!(matcher.matches(Some(&huge), &record, 0), Ok(true));
        assert!(!matcher.kept.contains_key(&*huge));
    }
}
