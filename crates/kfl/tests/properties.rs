//! What holds of every query, however long, deep or strange.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use kfl::{Filter, Options};
use proptest::prelude::*;
use serde_json::{Value, json};

const OPTIONS: Options<'static> = Options::new(&[("http", "protocol.name == \"http\"")], 1_000_000);

fn record() -> Value {
    json!({"a": 1, "b": "x", "c": [1, "two", null, {"d": 2.5}], "d": {"a": true, "b": {"c": "deep"}}, "e": null,
        "body": "{\"a\":[1,2],\"b\":\"x\"}", "protocol": {"name": "http"}})
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof!["\\.[a-e]", Just(".*".to_owned()), "\\.\\.[a-e]"];
    let bracket = prop_oneof!["\\[[0-3]\\]", "\\[\"[a-e]\"\\]"];
    ("[a-e]", prop::collection::vec(part, 0..3), prop::option::of(bracket)).prop_map(
        |(first, parts, bracket)| format!("{first}{}{}", parts.concat(), bracket.unwrap_or_default()),
    )
}

fn operand() -> impl Strategy<Value = String> {
    prop_oneof![
        path(),
        "-?[0-9]{1,3}",
        "[0-9]\\.[0-9]",
        "\"[a-z0-9 ]{0,4}\"",
        "'[a-z]{0,3}'",
        "r\"[a-z.*+?]{0,3}\"".prop_filter("a regex", |text| Filter::new(text, &OPTIONS).is_ok()),
        Just("true".to_owned()),
        Just("nil".to_owned()),
        Just("http".to_owned()),
        Just("now()".to_owned()),
        path().prop_map(|path| format!("{path}.contains(\"x\")")),
        Just("body.json().a[0]".to_owned()),
    ]
}

/// Queries that may be a little malformed in where blanks and parentheses stand, but are of the language.
fn query() -> impl Strategy<Value = String> {
    operand().prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|terms| terms.join(" and ")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|terms| terms.join("\tor\n")),
            (inner.clone(), prop::sample::select(&["==", "!=", "<", "<=", ">", ">=", "! ="]), inner.clone())
                .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
            inner.clone().prop_map(|inner| format!("! {inner}")),
            inner.clone().prop_map(|inner| format!("-{inner}")),
            inner.prop_map(|inner| format!("( {inner} /* c */)")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printing_and_parsing_gives_the_same_tree(query in query()) {
        let printed = kfl::normal(&query).unwrap();
        prop_assert_eq!(kfl::tree(&query).unwrap(), kfl::tree(&printed).unwrap());
        prop_assert_eq!(kfl::normal(&printed).unwrap(), printed);
    }

    #[test]
    fn what_is_printed_means_the_same(query in query()) {
        let printed = kfl::normal(&query).unwrap();
        let record = record();
        let (typed, printed) = (Filter::new(&query, &OPTIONS).unwrap(), Filter::new(&printed, &OPTIONS).unwrap());
        prop_assert_eq!(typed.matches(&record), printed.matches(&record));
    }

    #[test]
    fn the_order_in_which_terms_run_cannot_be_seen(query in query()) {
        // A `redact` keeps the terms in the order in which they were typed.
        let typed = Filter::new(&format!("({query}) and redact(\"nowhere\")"), &OPTIONS).unwrap();
        let sorted = Filter::new(&format!("({query})"), &OPTIONS).unwrap();
        let kept = Filter::new(&format!("redact(\"nowhere\") and ({query})"), &OPTIONS).unwrap();
        let record = record();
        prop_assert_eq!(sorted.matches(&record), typed.matches(&record));
        prop_assert_eq!(sorted.matches(&record), kept.matches(&record));
    }

    #[test]
    fn whatever_compiles_can_be_explained(query in query()) {
        prop_assert!(kfl::explain(&query, &OPTIONS).is_ok());
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        run(&text);
    }

    #[test]
    fn no_text_of_the_alphabet_panics(text in "[a-c0-2.\\[\\]()\"'`!=<>*&, \\n\\\\r/_-]{0,40}") {
        run(&text);
    }
}

fn run(text: &str) {
    match Filter::new(text, &OPTIONS) {
        Ok(filter) => {
            filter.matches(&record());
            assert!(kfl::explain(text, &OPTIONS).is_ok());
        }
        Err(error) => {
            assert!(error.span().end <= text.len());
            assert!(error.render(text).contains('^'));
        }
    }
}

/// Compiles, runs and drops on a small stack; gives the answer or the error. What it costs is counted in `tests/growth`.
fn strain(text: String) -> Result<bool, String> {
    let work = move || {
        let answer = Filter::new(&text, &OPTIONS).map(|filter| filter.matches(&record()));
        answer.map_err(|error| error.message().to_owned())
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap()
}

#[test]
fn large_queries() {
    let mebibyte = 1 << 20;
    for (text, expected) in [
        (vec!["a == 1"; 10_000].join(" and "), Ok(true)),
        (vec!["a == 2"; 10_000].join(" or "), Ok(false)),
        (vec!["http"; 10_000].join(" and "), Ok(true)),
        ((0..10_000).map(|n| format!("b != r\"y{n}\"")).collect::<Vec<_>>().join(" and "), Ok(true)),
        (format!("{}a", "a and ".repeat(mebibyte / 6 - 1)), Ok(true)),
        (format!("\"{}\" == b", "x".repeat(mebibyte - 10)), Ok(false)),
        ("//".repeat(mebibyte / 2), Err("unexpected token \"<EOF>\" (expected a value)")),
        (" ".repeat(mebibyte + 1), Err("query too long: 1048577 bytes, at most 1048576")),
    ] {
        let shown = text.chars().take(30).collect::<String>();
        assert_eq!(strain(text), expected.map_err(str::to_owned), "{shown}");
    }
}

#[test]
fn deep_queries() {
    let too_deep = Err("nested too deeply: more than 100 levels".to_owned());
    for n in [90, 200, 100_000] {
        let expected = |answer: bool| if n < 100 { Ok(answer) } else { too_deep.clone() };
        assert_eq!(strain(format!("{}a{}", "(".repeat(n), ")".repeat(n))), expected(true));
        assert_eq!(strain(format!("{}true", "!".repeat(n))), expected(true));
        assert_eq!(strain(format!("{}1", "-".repeat(n))), expected(true));
        assert_eq!(strain(format!("true{}", " == true".repeat(n))), expected(true));
        assert_eq!(strain(format!("1{}", " <= 1".repeat(n))), expected(true));
        assert_eq!(strain(format!("{}a{}", "b.contains(".repeat(n), ")".repeat(n))).is_ok(), n < 100);
    }
    assert_eq!(
        strain(format!("a{}", ".a".repeat(100_000))),
        Err("path too long: more than 128 steps".to_owned())
    );
    assert!(
        strain(format!("a.contains({}1)", "1,".repeat(100_000)))
            .unwrap_err()
            .starts_with("too many arguments")
    );
    let deep = format!("a{}", "..a".repeat(4));
    assert_eq!(strain(deep), Err("too many `..`: more than 3 in one path".to_owned()));
    assert!(strain(format!("{}a == 1", "a.".repeat(120))).is_ok());
}

#[test]
fn regexes_that_backtracking_never_ends() {
    let long = json!({"text": "a".repeat(100_000) + "!"});
    for (pattern, expected) in
        [("(a*)*$", true), ("(a|a)*b", false), ("(a+)+$", false), ("^(([a-z])+.)+[A-Z]([a-z])+$", false)]
    {
        let filter = Filter::new(&format!("text == r\"{pattern}\""), &OPTIONS).unwrap();
        assert_eq!(filter.matches(&long), expected, "{pattern}");
    }
}

#[test]
fn hostile_documents() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide = format!("[{}0]", "0,".repeat(100_000));
    let record = json!({"deep": deep, "wide": wide, "xml": "<a>".repeat(100_000)});
    for (query, expected) in [
        ("deep.json()..x == 1", false),
        ("wide.json()[100000] == 0", true),
        ("wide.json()..x == 1", false),
        ("xml.xml().a == \"\"", false),
        ("redact(\"deep.json()..x\", \"wide.json()[5]\", \"xml.xml()..a\")", true),
    ] {
        let filter = Filter::new(query, &OPTIONS).unwrap();
        assert_eq!(filter.matches(&record), expected, "{query}");
        let altered: Value = serde_json::from_str(&kfl::json::to_string(&filter.altered(&record))).unwrap();
        assert_eq!(
            altered["wide"].as_str().unwrap().starts_with("[0,0,0,0,0,\"[REDACTED]\""),
            filter.alters()
        );
        assert_eq!(altered["deep"], record["deep"]);
    }
}
