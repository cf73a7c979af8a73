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
    use std::{net::IpAddr, sync::Arc};

    use super::*;
    use crate::{Endpoint, Entry, Flags, Node, Protocol, Stream, UnixNanos};

    static PROTOCOL: Protocol = Protocol {
        abbr: "DNS",
        background_color: "#606060",
        font_size: 12,
        long_name: "Domain Name System",
        macro_name: "dns",
        name: "dns",
        ports: &["53"],
        priority: 4,
        reference_link: "",
        layer4: "udp",
        version: "",
        json: std::sync::OnceLock::new(),
    };

    fn entry() -> Entry {
        let end = |last, port| Endpoint::unnamed(IpAddr::from([10, 96, 0, last]), port);
        Entry {
            node: Arc::new(Node {
                ip: "10.0.0.1".into(),
                name: "one".into(),
                worker: "10.0.0.1:30001".into(),
            }),
            stream: Stream { number: 1, udp: true },
            index: 0,
            protocol: &PROTOCOL,
            src: end(9, 40_000),
            dst: end(10, 53),
            outgoing: false,
            at: UnixNanos(0),
            elapsed_nanos: 2_000_000,
            request: None,
            response: None,
            request_size: 0,
            response_size: 0,
            error: None,
            flags: Flags::default(),
        }
    }

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
        // An entry as it is, not made JSON before.
        for (query, expected) in [
            ("src.port == \"40000\" and dst.ip == \"10.96.0.10\"", true),
            ("dst.port == 53 && elapsed_time == 2000", true),
            ("dst.port == 80 && true", false),
            ("request.headers.Host == \"a\" or response != nil", false),
        ] {
            assert_eq!(matcher.matches(Some(query), &entry(), 0), Ok(expected), "{query}");
        }
        let error = matcher.validate("http and", 0).unwrap_err();
        assert!(error.to_string().starts_with("1:9: unexpected token"), "{error}");
    }
}
