//! How variables are written.

use api::messages::Env;
use serde_json::Value;

/// Variables as a file has them: a JSON object, or `NAME=value` a line, where `#` begins a comment.
pub fn variables(text: &str) -> Result<Env, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("it is not a JSON object: {error}"));
    }
    let mut env = Env::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = variable(line).ok_or_else(|| {
            format!("line {number} is not NAME=value; write one variable a line, or a JSON object")
        })?;
        env.insert(name, Value::String(value));
    }
    Ok(env)
}

/// `NAME=value`; quotes around the whole value are not part of it.
pub fn variable(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|&quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)));
    (!name.is_empty()).then(|| (name.to_owned(), unquoted.unwrap_or(value).to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_json_or_lines() {
        let lines = "# a comment\n\nA=1\n B = two words \nC=\"quoted \"\nD='{\"x\":1}'\nE=\nF=a=b";
        let expected =
            json!({"A": "1", "B": "two words", "C": "quoted ", "D": "{\"x\":1}", "E": "", "F": "a=b"});
        assert_eq!(Value::Object(variables(lines).unwrap()), expected);
        let json = r#" {"A": 1, "B": {"c": [true]}}"#;
        assert_eq!(Value::Object(variables(json).unwrap()), json!({"A": 1, "B": {"c": [true]}}));
        assert!(variables("A=1\nno sign").unwrap_err().contains("line 2"));
        assert!(variables("{\"A\": }").unwrap_err().contains("line 1 column"));
    }
}
