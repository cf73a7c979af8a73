//! Regexes of RE2's syntax, within a budget.

use crate::limits;
use regex::{Regex, RegexBuilder};
use std::{borrow::Cow, collections::HashMap};

/// The regexes of one query: each built once, all together of bounded size.
#[derive(Default)]
pub(crate) struct Regexes {
    built: HashMap<String, Regex>,
    spent: usize,
}

impl Regexes {
    /// Bytes that all of them may have, as compiled.
    pub(crate) fn size(&self) -> usize {
        self.spent
    }

    /// The regex of this pattern, or why there is none.
    pub(crate) fn build(&mut self, pattern: &str) -> Result<Regex, String> {
        if let Some(regex) = self.built.get(pattern) {
            return Ok(regex.clone());
        }
        let translated = translate(pattern);
        // A compiled regex does not tell its size, but it is built only if it keeps a limit: the least of these.
        let mut limit = 1 << 12;
        loop {
            let room = limits::REGEXES.saturating_sub(self.spent);
            let result = RegexBuilder::new(&translated)
                .octal(true)
                .size_limit(limit)
                .dfa_size_limit(limits::REGEX)
                .build();
            match result {
                Ok(_) if limit > room => {
                    return Err("the regexes of this query are too large together".to_owned());
                }
                Ok(regex) => {
                    self.spent += limit;
                    self.built.insert(pattern.to_owned(), regex.clone());
                    return Ok(regex);
                }
                Err(regex::Error::CompiledTooBig(_)) if limit < limits::REGEX => limit *= 4,
                Err(regex::Error::CompiledTooBig(_)) => return Err("the regex is too large".to_owned()),
                Err(error) => return Err(reason(&error)),
            }
        }
    }
}

/// The last line of the message: the lines before it draw a pattern that is not quite what was typed.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// RE2's syntax in that of the `regex` crate: braces that repeat nothing are plain, and so is in a class what the
/// crate would read as a nested class or a set operation.
fn translate(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains(['{', '[']) {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut class = false;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '\\' => escape_length(rest),
            '[' if !class => {
                class = true;
                class_opening(rest)
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => rest.find(":]").unwrap_or(0) + 2,
            ']' if class => {
                class = false;
                1
            }
            '[' | '&' | '~' if class => {
                out.push('\\');
                1
            }
            '{' if !class && !repeats(rest) => {
                out.push('\\');
                1
            }
            other => other.len_utf8(),
        };
        let (head, tail) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        out.push_str(head);
        rest = tail;
    }
    Cow::Owned(out)
}

/// `\` and what it escapes, braces of `\x{10FFFF}` and `\p{Greek}` included.
fn escape_length(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    let escaped = chars.next();
    let length = 1 + escaped.map_or(0, char::len_utf8);
    if matches!(escaped, Some('x' | 'p' | 'P')) && chars.next() == Some('{') {
        return rest.find('}').map_or(length, |end| end + 1);
    }
    length
}

/// `[`, with the `^` and the plain `]` that may come first.
fn class_opening(rest: &str) -> usize {
    ["[^]", "[]", "[^", "["]
        .iter()
        .find(|opening| rest.starts_with(**opening))
        .map_or(1, |opening| opening.len())
}

/// Whether a repetition like `{2}`, `{2,}` or `{2,3}` starts here.
fn repeats(rest: &str) -> bool {
    let Some((inside, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match inside.split_once(',') {
        Some((low, high)) => digits(low) && (high.is_empty() || digits(high)),
        None => digits(inside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_re2() {
        for (pattern, text, expected) in [
            ("^/users/{id}$", "/users/{id}", true),
            ("^a{2}$", "aa", true),
            ("^a{2,3}$", "aaaa", false),
            ("^[[]$", "[", true),
            ("^[a&&b]+$", "a&b", true),
            ("^[]a]+$", "]a", true),
            ("^[^]a]+$", "b", true),
            ("^[[:digit:]]+$", "42", true),
            ("^\\x{41}\\101$", "AA", true),
            ("^\\\\$", "\\", true),
        ] {
            let regex = Regexes::default().build(pattern).unwrap();
            assert_eq!(regex.is_match(text), expected, "{pattern}");
        }
    }

    #[test]
    fn refuses() {
        for (pattern, expected) in [
            ("(", "unclosed group"),
            ("[a", "unclosed character class"),
            ("(?:(?:a{900}){900})", "the regex is too large"),
        ] {
            assert_eq!(Regexes::default().build(pattern).unwrap_err(), expected, "{pattern}");
        }
    }

    #[test]
    fn keeps_the_budget() {
        let mut regexes = Regexes::default();
        let refused =
            (0..200).filter_map(|n| regexes.build(&format!("x{n}(abc){{900}}{{10}}")).err()).count();
        assert!(refused > 100, "{refused}");
    }
}
