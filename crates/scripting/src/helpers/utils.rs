//! `utils.*`.

use boa_engine::{JsResult, JsValue};
use serde_json::Value;

use super::{Call, Helper};

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "utils.nodeName",
        signature: "utils.nodeName(): string",
        doc: "The node's name; `hub` at the hub.",
        call: |call| Ok(call.text(&call.about().node.clone())),
    },
    Helper {
        name: "utils.json2Yaml",
        signature: "utils.json2Yaml(json: string): string",
        doc: "JSON as YAML. Throws if it is no JSON.",
        call: json_to_yaml,
    },
];

fn json_to_yaml(call: &mut Call<'_>) -> JsResult<JsValue> {
    let text = call.string(0)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| call.error(error))?;
    let mut yaml = String::new();
    write(&mut yaml, &value, 0);
    Ok(call.text(yaml.trim_start()))
}

/// Appends a value behind a key, a dash or nothing; ends with a line end.
fn write(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            for (key, value) in map {
                out.extend([indent.as_str(), &scalar(key), ":"]);
                write(out, value, depth + 1);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            for value in list {
                out.push_str(&indent);
                out.push('-');
                let start = out.len();
                write(out, value, depth + 1);
                // The first member stands behind its dash.
                let nested = format!("\n{indent}  ");
                if out[start..].starts_with(&nested) {
                    out.replace_range(start..start + nested.len(), " ");
                }
            }
        }
        Value::Object(_) => out.push_str(" {}\n"),
        Value::Array(_) => out.push_str(" []\n"),
        Value::String(text) => out.extend([" ", &scalar(text), "\n"]),
        other => out.extend([" ", &other.to_string(), "\n"]),
    }
}

/// Text, quoted where YAML would take it for something else. What JSON quotes, YAML reads.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "_-./ ".contains(char))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_yaml() {
        let value = serde_json::json!({
            "a": [1, {"b": "c", "d": [[2]]}, []], "e": {}, "f g": "yes", "h": "x: y", "i": null, "j": "two\nlines",
        });
        let mut yaml = String::new();
        write(&mut yaml, &value, 0);
        let expected = "\na:\n  - 1\n  - b: c\n    d:\n      -\n        - 2\n  - []\ne: {}\nf g: \"yes\"\nh: \"x: y\"\n\
                        i: null\nj: \"two\\nlines\"\n";
        assert_eq!(yaml, expected.replace("-\n        - 2", "- - 2"));
    }
}
