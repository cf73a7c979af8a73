//! What is explained, and what is warned of.

use super::explain;
use crate::Options;

const OPTIONS: Options<'static> =
    Options { macros: &[("dns", "protocol.name == \"dns\""), ("all", "")], now: 10_000_000 };

fn warnings(query: &str) -> Vec<String> {
    explain(query, &OPTIONS).unwrap().warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn parentheses() {
    for (query, expected) in [
        ("", ""),
        ("a", "a"),
        ("a and b or c", "(a and b) or c"),
        ("a or b and !c == 1", "a or (b and (!c == 1))"),
        ("1 < 2 < 3", "1 < (2 < 3)"),
        ("(a or b) and dns", "(a or b) and dns"),
        ("a.contains(b == 1) and limit(3)", "a.contains(b == 1) and limit(3)"),
        ("body.json().a[0] == -1", "body.json().a[0] == -1"),
    ] {
        assert_eq!(explain(query, &OPTIONS).unwrap().grouped, expected);
    }
}

#[test]
fn moments_and_fields() {
    let found = explain("now > 5 and t > seconds(-10) and x.contains(y.z) and all and dns and dns", &OPTIONS)
        .unwrap();
    assert_eq!(found.moments, [("now".to_owned(), 10_000_000), ("seconds(-10)".to_owned(), 9_990_000)]);
    let fields: Vec<_> = found.fields.iter().map(|field| (field.path.as_str(), field.span.clone())).collect();
    assert_eq!(fields, [("t", 12..13), ("x", 33..48), ("y.z", 44..47), ("protocol.name", 61..64)]);
    assert_eq!(found.macros.len(), 2);
}

#[test]
fn traps() {
    for (query, expected) in [
        ("a == 1 and b == 2", vec![]),
        ("(a == 1) or !(b) or c", vec![]),
        ("dns or !dns or a.contains(\"x\") or !a.contains(\"x\") or c", vec![]),
        ("a == 1 or dns", vec!["1:1: where `a` is missing, what stands right of this `or` is not asked"]),
        ("!a", vec!["1:1: where `a` is missing this is false, as `a` alone is"]),
        ("a == nil", vec!["1:1: where `a` is missing this is false: nil is a null that is there"]),
        ("a > \"x\"", vec!["1:5: `>` compares numbers, and this text counts as 0"]),
        ("a > \"10\"", vec![]),
        ("a == 'x'", vec!["1:6: these quotes are part of the text, so it equals no plain word"]),
        ("a['x'] == 1", vec!["1:1: these quotes are part of the key"]),
        ("a[0][\"x\"] == 1", vec!["1:1: the key after the index is not used"]),
        ("a[0].nosuch(1)", vec!["1:1: unknown helper nosuch(): this is read as a missing field"]),
        ("record(\"x\")", vec!["1:1: there are no recordings, so this is false"]),
        ("a.json() == 1", vec!["1:1: json() without a path after it is false"]),
        (
            "a.json().b == 1 and dns",
            vec!["1:21: right of a path inside a document `dns` is read inside it, and is false"],
        ),
        ("(a.json().b == 1) and dns", vec![]),
        (
            "redact(\"a.b\", \"..a.*\", \"a-b\", c)",
            vec![
                "1:15: `*` after `..` hides nothing",
                "1:24: this is no path, and hides nothing",
                "1:31: this is no path, and hides nothing",
            ],
        ),
    ] {
        assert_eq!(warnings(query), expected, "{query}");
    }
}
