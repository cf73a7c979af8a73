//! JSON as YAML.

use serde_json::Value;

/// A value as a YAML document.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0);
    out.trim_start().to_owned()
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
        let expected = "a:\n  - 1\n  - b: c\n    d:\n      -\n        - 2\n  - []\ne: {}\nf g: \"yes\"\nh: \"x: y\"\n\
                        i: null\nj: \"two\\nlines\"\n";
        assert_eq!(yaml(&value), expected.replace("-\n        - 2", "- - 2"));
    }
}
