//! Queries and records made to cost more than they are long.

/// A query and a record as JSON, both of some size.
type Make = fn(usize) -> (String, String);

/// By name: the size at first, and what makes them. A query stays below what one argument of a program may have, 128 KiB.
pub(crate) const ALL: [(&str, usize, Make); 9] = [
    ("terms with and", 1000, |n| (vec!["a == 1"; n].join(" and "), one())),
    ("terms with or, of different fields", 1000, |n| (terms(n, " or "), one())),
    ("terms in parentheses, turned round", 1000, |n| (vec!["!(a != 1 or b)"; n].join(" and "), one())),
    ("terms of KFL2", 1000, |n| (vec!["(status_code == 0)"; n].join(" && "), one())),
    ("regexes", 50, |n| (regexes(n), one())),
    ("a regex that nests repetitions", 20_000, |n| nested("(a*)*b", n)),
    ("a regex that repeats a choice of equals", 20_000, |n| nested("^(a|a)+$", n)),
    ("everything below, in a wide record", 4000, |n| ("a..b == 2".to_owned(), wide(n))),
    ("everything below, in a document in a text", 4000, |n| {
        let text = serde_json::Value::String(wide(n));
        ("text.json()..b == 2".to_owned(), format!("{{\"text\":{text}}}"))
    }),
];

fn one() -> String {
    "{\"a\":1}".to_owned()
}

fn terms(n: usize, join: &str) -> String {
    let terms: Vec<String> = (0..n).map(|n| format!("f{n:05} == {n:05}")).collect();
    terms.join(join)
}

fn regexes(n: usize) -> String {
    let terms: Vec<String> = (0..n).map(|n| format!("b != r\"y{n:05}\"")).collect();
    terms.join(" and ")
}

fn nested(pattern: &str, n: usize) -> (String, String) {
    (format!("text == r\"{pattern}\""), format!("{{\"text\":\"{}!\"}}", "a".repeat(n)))
}

fn wide(n: usize) -> String {
    format!("{{\"a\":[{}0]}}", "{\"b\":1},".repeat(n))
}
