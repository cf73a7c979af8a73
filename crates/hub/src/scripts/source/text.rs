//! What a script is called, and how variables are written.

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

/// What the first comment of a script says in its first line.
pub fn title(code: &str) -> Option<String> {
    let mut chars = code.char_indices().peekable();
    let mut quote = None;
    while let Some((at, char)) = chars.next() {
        match (quote, char) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), _) if open == char => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(char),
            (None, '/') => {
                let comment = match chars.peek() {
                    Some((_, '/')) => code[at + 2..].lines().next(),
                    Some((_, '*')) => code[at + 2..].split("*/").next(),
                    _ => None,
                };
                let Some(comment) = comment else { continue };
                let lines = comment
                    .lines()
                    .map(|line| line.trim_matches(|c: char| c.is_whitespace() || c == '*' || c == '/'));
                return lines.into_iter().find(|line| !line.is_empty()).map(str::to_owned);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_script_is_called_what_its_first_comment_says() {
        for (code, expected) in [
            ("// Alert on 5xx\nvar a;", Some("Alert on 5xx")),
            ("var url = 'http://x'; // After a URL", Some("After a URL")),
            ("/*\n * Two lines\n * of comment\n */", Some("Two lines")),
            ("/* One line */ var a;", Some("One line")),
            ("//\n// second", None),
            ("var a = \"\\\"//\"; 1 / 2; // last", Some("last")),
            ("var a = 1 / 2;", None),
            ("", None),
            ("/* never closed", Some("never closed")),
        ] {
            assert_eq!(title(code).as_deref(), expected, "{code}");
        }
    }

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
