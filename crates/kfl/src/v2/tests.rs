//! What KFL2 means, and what is refused.

use super::{Kind, Source, Variable};
use crate::{Filter, Language, Options, explain};
use serde_json::json;

const VARIABLES: &[Variable] = &[
    Variable { name: "http", kind: Kind::Bool, source: Source::Query("protocol == \"http\"") },
    Variable { name: "method", kind: Kind::Text, source: Source::Paths(&["request.method"]) },
    Variable { name: "status_code", kind: Kind::Int, source: Source::Paths(&["response.status"]) },
    Variable { name: "dst.port", kind: Kind::Int, source: Source::Paths(&["dst.port"]) },
    Variable { name: "dst.name", kind: Kind::Text, source: Source::Paths(&["dst.pod", "dst.name"]) },
    Variable { name: "names", kind: Kind::List, source: Source::Paths(&["dst.name", "questions.*.name"]) },
    Variable { name: "request.headers", kind: Kind::Map, source: Source::Paths(&["request.headers"]) },
    Variable { name: "timestamp", kind: Kind::Time, source: Source::Paths(&["timestamp"]) },
    Variable { name: "elapsed_time", kind: Kind::Int, source: Source::Times("elapsed", 1_000) },
];

fn options() -> Options<'static> {
    Options { variables: VARIABLES, language: Language::V2, ..Options::new(&[], 1_700_000_000_000) }
}

fn run(query: &str) -> Result<bool, String> {
    let record = json!({
        "protocol": "http", "timestamp": 1_699_999_940_000_i64, "elapsed": 7,
        "dst": {"port": "80", "name": "shop", "pod": ""},
        "questions": [{"name": "a.example"}, {"name": "b.example"}],
        "request": {"method": "GET", "headers": {"Host": "shop", "X-Id": "7"}},
        "response": {"status": 404},
    });
    let filter = Filter::new(query, &options()).map_err(|error| error.to_string())?;
    Ok(filter.matches(&record))
}

/// The short way through a query says what the long one does, whatever a field is and where it is missing.
#[test]
fn short_is_long() {
    let terms = [
        "http",
        "method == 'GET'",
        "method != ''",
        "'x' == method",
        "method in ['', '1', 'x']",
        "method.contains('1')",
        "method.startsWith('')",
        "method.endsWith('x')",
        "method.matches('^1?$')",
        "status_code == 0",
        "status_code != 1",
        "status_code < 1.5",
        "1 <= status_code",
        "status_code in [1, 2.5]",
        "!(status_code > -1)",
        "!http",
        "true",
        "method in []",
    ];
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-7),
        json!(2.5),
        json!(""),
        json!("x"),
        json!("1"),
        json!("2.5"),
        json!("NaN"),
        json!("GET"),
        json!([]),
        json!([1, "x"]),
        json!({"a": 1}),
    ];
    let mut queries: Vec<String> = terms.iter().map(|term| (*term).to_owned()).collect();
    for pair in terms.windows(3) {
        queries.push(pair.join(" && "));
        queries.push(format!("{} || !({} && {})", pair[0], pair[1], pair[2]));
    }
    let records = values.iter().flat_map(|value| {
        [
            json!({"protocol": value, "request": {"method": value}, "response": {"status": value}}),
            json!({"request": value}),
        ]
    });
    let records: Vec<_> = records.collect();
    for query in &queries {
        let program = super::compile(query, &options()).unwrap().unwrap();
        let code = program.code.as_ref().unwrap_or_else(|| panic!("{query} is not short"));
        for record in &records {
            assert_eq!(
                code.passes(|question: &crate::Question| crate::Record::find(
                    record,
                    question.way(),
                    &mut question.ask()
                )),
                super::truth(&program, record),
                "{query} on {record}"
            );
        }
    }
}

#[test]
fn holds() {
    for query in [
        "",
        " ",
        "// nothing",
        "http && status_code == 404",
        "status_code >= 400 && status_code < 500 || method == 'POST'",
        "!(method == \"POST\")",
        "method in ['GET', \"HEAD\"]",
        "dst.port == 80 && dst.port in [80, 8080]",
        "dst.name == 'shop' && dst.name + '.x' == 'shop.x'",
        "status_code / 100 == 4 && status_code % 100 == 4 && 2 * 3 - 1 == 5 && -1 < 0 && 1 + 2 * 3 == 7",
        "1 == 1.0 && 3 > 2.5 && 7 / 2 == 3 && 7.0 / 2 == 3.5",
        "http ? status_code == 404 : false",
        "request.headers['Host'] == 'shop' && request.headers.Host == \"shop\"",
        "map_get(request.headers, 'None', 'x') == 'x' && map_get(request.headers, 'X-Id', '') == '7'",
        "'Host' in request.headers && !('None' in request.headers)",
        "size(request.headers) == 2 && size(method) == 3 && method.size() == 3 && size([]) == 0",
        "method.matches('^G.T$') && matches(method, r\"^[A-Z]+\\w$\") && method.startsWith('G')",
        "method.endsWith('T') && method.contains('E') && contains(method, '')",
        "names == ['shop', 'a.example', 'b.example'] && names[1] == 'a.example' && 'shop' in names",
        "names.exists(n, n.endsWith('.example')) && !names.all(n, n.contains('.'))",
        "names.filter(n, n.contains('.')).map(n, size(n)) == [9, 9]",
        "timestamp > now() - duration('5m') && timestamp < timestamp('2023-11-14T22:13:20Z')",
        "now() - timestamp == duration('1m') && duration('1h30m') > duration('89m')",
        "elapsed_time == 7000 && int('7') == 7 && string(7) == '7' && double(1) == 1.0",
        // A missing value is the type's default.
        "map_get({'a': 1}, 'b', 2) == 2 && {'a': 1}.a == 1",
        // An error does not count where the other side decides.
        "request.headers['None'] == 'x' || true",
        "true || request.headers['None'] == 'x'",
        "!(false && 1 / 0 == 1) && !(1 / 0 == 1 && false)",
        "'\\u00e9\\n\\x41\\\\' == \"é\\nA\\\\\" && '\"' == \"\\\"\"",
        "method != null",
    ] {
        assert_eq!(run(query), Ok(true), "{query}");
    }
}

#[test]
fn does_not_hold() {
    for query in [
        "status_code == 500",
        "method == 'get'",
        "1 / 0 == 1",
        "names[9] == ''",
        "request.headers['None'] == ''",
        "9223372036854775807 + 1 == 0",
        "http && request.headers.None == 'x'",
        "method < 'A'",
        "-2 > -1",
        "!http",
        "http ? false : true",
        "[1][0] == 2",
        "{'a': 1}['b'] == 1",
        "int('x') == 0",
    ] {
        assert_eq!(run(query), Ok(false), "{query}");
    }
}

#[test]
fn is_refused() {
    for (query, expected) in [
        ("http &&", "1:8: unexpected token \"<EOF>\" (expected a value)"),
        ("http & http", "1:6: unexpected token \"&\" (expected an operator or the end)"),
        ("method", "1:1: this is a text, where a truth must stand"),
        ("status_code == '404'", "1:1: `==` does not go between a number and a text"),
        ("method && http", "1:1: this is a text, where a truth must stand"),
        ("staus_code == 1", "1:1: there is no variable `staus_code`"),
        ("method.match('a')", "1:1: unknown function match()"),
        ("method.matches('(')", "1:16: invalid regex: unclosed group"),
        ("method.matches(method)", "1:16: the pattern must be written out, as a text"),
        ("timestamp > 'x'", "1:1: `>` does not go between a time and a text"),
        ("duration('x') == duration('1s')", "1:10: duration() is called wrongly"),
        ("'\\q' == ''", "1:2: invalid char escape"),
        ("status_code.x == 1", "1:1: a number has no members such as `x`"),
        ("size(1) == 1", "1:6: a number has no size"),
        ("http ? true", "1:12: unexpected token \"<EOF>\" (expected `:` of `condition ? this : that`)"),
        ("names.exists(1, true)", "1:14: exists() is called wrongly"),
        ("99999999999999999999 == 1", "1:1: the number does not fit 64 bits"),
    ] {
        assert_eq!(run(query), Err(expected.to_owned()), "{query}");
    }
    assert!(
        run(&format!("{}http{}", "(".repeat(200), ")".repeat(200)))
            .unwrap_err()
            .contains("nested too deeply")
    );
    assert!(run(&format!("1 == {}1", "1 + ".repeat(5_000))).unwrap_err().contains("nested too deeply"));
    assert!(run(&format!("{}http", "!".repeat(5_000))).unwrap_err().contains("nested too deeply"));
    let nested = "names.all(a, names.all(b, names.all(c, a == b)))";
    assert!(run(nested).unwrap_err().contains("in one another"));
    assert_eq!(run(&vec!["http"; 10_000].join(" && ")), Ok(true));
}

#[test]
fn one_front_door() {
    let any = Options { language: Language::Any, ..options() };
    for (query, language) in [
        ("method == \"GET\"", Language::V1),
        ("status_code == 404 and true", Language::V1),
        ("status_code == 404 && true", Language::V2),
        ("method in [\"GET\"]", Language::V2),
        ("method.matches(\"G\")", Language::V2),
        ("http ? true : false", Language::V2),
        ("", Language::V1),
    ] {
        assert_eq!(Filter::new(query, &any).unwrap().language(), language, "{query}");
        assert_eq!(explain(query, &any).unwrap().language, language, "{query}");
    }
    // The fault is that of the spelling that was meant.
    for (query, expected) in [
        ("http and", "1:9: unexpected token \"<EOF>\" (expected a value)"),
        ("http && staus_code == 1", "1:9: there is no variable `staus_code`"),
    ] {
        assert_eq!(Filter::new(query, &any).err().unwrap().to_string(), expected);
    }
    let first = Options { language: Language::V1, ..options() };
    assert!(Filter::new("http && true", &first).is_err());
}

#[test]
fn is_explained() {
    let found = explain("http && status_code + 1 > 404 || method == 'x'", &options()).unwrap();
    assert_eq!(found.grouped, "(http && ((status_code + 1) > 404)) || (method == \"x\")");
    let fields: Vec<_> = found.fields.iter().map(|field| (field.path.as_str(), field.span.start)).collect();
    assert_eq!(fields, [("protocol", 0), ("response.status", 8), ("request.method", 33)]);
}
