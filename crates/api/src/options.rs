//! What every query about entries has in common.

use std::sync::LazyLock;

use kfl::{Matcher, Options, Schema};

use crate::{MACROS, VARIABLES};

/// Every path that an entry of any protocol can have. The file is made from real entries by the test that checks it
/// (`UPDATE_GOLDEN=1 cargo test -p kubeshark-tests --test kfl`), so that it never differs from what entries print.
static FIELDS: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("fields.txt")));

/// The options of a query about entries that is asked at `now`, in milliseconds since the Unix epoch.
pub fn options(now: i64) -> Options<'static> {
    Options { variables: VARIABLES, ..Options::new(MACROS, now) }
}

/// The same, so that `explain` also warns of fields that no entry has.
pub fn explaining(now: i64) -> Options<'static> {
    Options { schema: Some(&FIELDS), ..options(now) }
}

/// Answers queries about entries that come as text, as scripts ask them: of an [`Entry`](crate::Entry) as it is, or of
/// any JSON that was made of one.
pub fn matcher() -> Matcher {
    Matcher::new(options(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_asks_with_macros_and_either_spelling() {
        let mut matcher = matcher();
        let altered = serde_json::json!({
            "protocol": {"abbr": "HTTP", "name": "http"}, "response": {"status": 500}, "mine": [1, 2],
        });
        for (query, expected) in [
            ("http and response.status == 500 and mine[1] == 2", true),
            ("http && status_code >= 500", true),
            ("dns", false),
        ] {
            assert_eq!(matcher.matches(Some(query), &altered, 0), Ok(expected), "{query}");
        }
        let error = matcher.validate("http and", 0).unwrap_err();
        assert!(error.to_string().starts_with("1:9: unexpected token"), "{error}");
    }
}
