//! Every case that the language is known by: `cases.json`, whose origin is in `NOTICE`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use base64::{Engine, engine::general_purpose::STANDARD};
use kfl::{Filter, Language, Options, Record};
use serde_json::Value;

const MACROS: &[(&str, &str)] = &[
    ("http", "protocol.abbr == \"HTTP\""),
    ("http2", "protocol.abbr == \"HTTP/2\""),
    ("grpc", "protocol.abbr == \"gRPC\""),
    ("gql", "protocol.abbr == \"GQL\""),
    ("dns", "protocol.abbr == \"DNS\""),
    ("amqp", "protocol.name == \"amqp\""),
    ("kafka", "protocol.name == \"kafka\""),
    ("redis", "protocol.name == \"redis\""),
];

/// 2026-01-01 00:00 UTC.
const NOW: i64 = 1_767_225_600_000;

const OPTIONS: Options<'static> = Options { language: Language::V1, ..Options::new(MACROS, NOW) };

#[test]
fn all_cases() {
    let file: Value = serde_json::from_str(include_str!("cases.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let failures: Vec<String> = cases
        .iter()
        .enumerate()
        .filter_map(|(index, case)| {
            let fault = check(case, &file["docs"]).err()?;
            Some(format!("{index} {}: {fault}", case["query"]))
        })
        .collect();
    assert_eq!(cases.len(), 579);
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn check(case: &Value, docs: &Value) -> Result<(), String> {
    let query = case["query"].as_str().unwrap();
    let compiled = Filter::new(query, &OPTIONS);
    if case["kind"] == "error" {
        let error = compiled.err().ok_or("was accepted")?;
        return match case["reference-error"].as_str() {
            Some(reference) => same_error(&error, reference, query),
            None => Ok(()),
        };
    }
    let filter = compiled.map_err(|error| error.render(query))?;
    let doc = document(case, docs);
    same("truth", &case["expect"], &Value::from(filter.matches(&doc)))?;
    same("limit", &case["limit"], &filter.limit().map_or(Value::Null, Value::from))?;
    let altered: Value = serde_json::from_str(&kfl::json::to_string(&filter.altered(&doc))).unwrap();
    match case.get("redacted-body") {
        Some(body) => same_body(body, &altered["response"]["body"]),
        // What no alteration is named for stays as it was.
        None => same("record", case.get("newDoc").unwrap_or(&doc), &altered),
    }
}

fn document(case: &Value, docs: &Value) -> Value {
    let mut doc = match &case["doc"] {
        Value::String(name) => docs[name].clone(),
        own => own.clone(),
    };
    if doc["timestamp"] == "@now-2s" {
        doc["timestamp"] = Value::from(NOW - 2_000);
    }
    doc
}

fn same(what: &str, expected: &Value, found: &Value) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: expected {expected}, found {found}")) }
}

fn same_body(expected: &Value, found: &Value) -> Result<(), String> {
    let plain = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        STANDARD.decode(text).map_or(text.to_owned(), |bytes| String::from_utf8(bytes).unwrap())
    };
    assert_eq!(
        STANDARD.decode(expected.as_str().unwrap()).is_ok(),
        STANDARD.decode(found.as_str().unwrap()).is_ok()
    );
    same("body", &Value::from(plain(expected)), &Value::from(plain(found)))
}

/// The position in the text as typed, and the first clause of the message.
fn same_error(error: &kfl::Error, reference: &str, query: &str) -> Result<(), String> {
    let macros = MACROS.iter().any(|(word, _)| query.contains(word));
    let clause = reference.split(" (expected").next().unwrap();
    let (position, message) = clause.split_once(": ").unwrap();
    let found = error.to_string();
    let close = if macros { true } else { found.starts_with(position) && found.contains(message) };
    if close { Ok(()) } else { Err(format!("expected {clause}, found {found}")) }
}

#[test]
fn a_position_counts_in_the_text_as_typed() {
    for (query, expected) in [("http http2", "1:6"), ("http and", "1:9"), ("http and s == r\"(\"", "1:15")] {
        let error = Filter::new(query, &OPTIONS).err().unwrap();
        assert_eq!(format!("{}:{}", error.line(), error.column()), expected, "{query}");
    }
}

#[test]
fn an_altered_record_is_shared_where_it_is_not_touched() {
    let doc: Value = serde_json::json!({"a": {"b": "secret"}, "c": [{"d": 1}]});
    let filter = Filter::new("redact(\"a.b\")", &Options::new(&[], 0)).unwrap();
    let altered = filter.altered(&doc);
    let Some(kfl::Value::List(kfl::Lent::Borrowed(list))) = altered.get("c") else { panic!("not lent on") };
    assert!(std::ptr::addr_eq(list, doc["c"].as_array().unwrap()));
}
