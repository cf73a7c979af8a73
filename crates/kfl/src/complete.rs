//! What may be typed next: for editors.

use crate::{FUNCTIONS, Options, lexer, lexer::Kind as Token};
use std::ops::Range;

/// What may stand at the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The bytes that a suggestion replaces; up to the cursor.
    pub span: Range<usize>,
    /// What fits, the shortest first among equals of a kind.
    pub suggestions: Vec<Suggestion>,
    /// The cursor stands in a text that is compared with this field: its values may be suggested, beginning with what
    /// the span covers.
    pub values_of: Option<String>,
}

/// One suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What replaces the span.
    pub text: String,
    /// What it is.
    pub kind: SuggestionKind,
    /// A sentence about it; may be empty.
    pub about: String,
}

/// What a suggestion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuggestionKind {
    /// A field of the records.
    Field,
    /// A word that stands for a query.
    Macro,
    /// A helper, called on a field or alone.
    Helper,
    /// A value that a field has.
    Value,
}

/// Most suggestions.
const MOST: usize = 100;

/// Helpers that are called on a field.
const ON_FIELDS: &[&str] = &["contains", "endsWith", "json", "startsWith", "xml"];

/// Suggests what may stand at byte `cursor` of a query in the first spelling.
pub fn complete(text: &str, cursor: usize, options: &Options<'_>) -> Completion {
    let cursor = text.floor_char_boundary(cursor.min(text.len()));
    let before = text.get(..cursor).unwrap_or_default();
    if let Some(open) = open_text(before) {
        return Completion {
            span: open + 1..cursor,
            suggestions: Vec::new(),
            values_of: compared(before.get(..open).unwrap_or_default()),
        };
    }
    let start = path_start(before);
    let path = before.get(start..).unwrap_or_default();
    let (parent, word) = path.rsplit_once('.').unwrap_or(("", path));
    let parts: Vec<&str> = names(parent);
    let mut suggestions = Vec::new();
    let mut add = |text: &str, kind, about: &str| {
        let fits = text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if fits && suggestions.len() < MOST {
            suggestions.push(Suggestion { text: text.to_owned(), kind, about: about.to_owned() });
        }
    };
    for field in options.schema.iter().flat_map(|schema| schema.fields_of(&parts)) {
        add(field, SuggestionKind::Field, "");
    }
    if path.contains('.') {
        for function in FUNCTIONS.iter().filter(|function| ON_FIELDS.contains(&function.name)) {
            add(&format!("{}(", function.name), SuggestionKind::Helper, function.about);
        }
    } else {
        for (name, stands_for) in options.macros {
            add(name, SuggestionKind::Macro, stands_for);
        }
        for function in FUNCTIONS.iter().filter(|function| !ON_FIELDS.contains(&function.name)) {
            add(&format!("{}(", function.name), SuggestionKind::Helper, function.about);
        }
    }
    Completion { span: cursor - word.len()..cursor, suggestions, values_of: None }
}

/// Where the text begins that is still open at the end.
fn open_text(before: &str) -> Option<usize> {
    let (mut open, mut escaped) = (None, false);
    for (at, c) in before.char_indices() {
        match (open, c) {
            (Some(_), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(_), '"') if !escaped => open = None,
            (None, '"') => open = Some(at),
            _ => {}
        }
        escaped = false;
    }
    open
}

/// Where the path at the end begins: names, dots and closed brackets.
fn path_start(before: &str) -> usize {
    let mut start = before.len();
    let mut inside = false;
    for (at, c) in before.char_indices().rev() {
        match c {
            ']' if !inside => inside = true,
            '[' if inside => inside = false,
            _ if inside => {}
            c if c == '_' || c == '.' || c == '*' || c.is_alphanumeric() => {}
            _ => break,
        }
        start = at;
    }
    start
}

/// The names of a path; brackets and stars are `*`.
fn names(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, bracket) = part.split_once('[').map_or((part, false), |(name, _)| (name, true));
        names.push(name);
        if bracket {
            names.push("*");
        }
    }
    names
}

/// The field at the end of a text that goes on with the value that it is compared with: `a.b ==`, `a.b.contains(`.
fn compared(before: &str) -> Option<String> {
    let tokens = lexer::tokens(before).ok()?;
    let marks: Vec<_> = tokens.iter().rev().filter(|token| token.kind != Token::End).collect();
    let kind = |at: usize| marks.get(at).map(|token| token.kind);
    let end = match (kind(0)?, kind(1)) {
        (Token::Mark('='), Some(Token::Mark('=' | '!'))) => marks.get(1)?.span().start,
        (Token::Mark('('), Some(Token::Name)) if kind(2) == Some(Token::Mark('.')) => {
            marks.get(2)?.span().start
        }
        _ => return None,
    };
    let field = before.get(..end)?.trim_end();
    let path = field.get(path_start(field)..)?;
    crate::Path::parse(path).map(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schema;

    fn run(text: &str) -> String {
        let schema =
            Schema::parse("request.method\nrequest.headers.*\nrequest.questions[].name\nresponse.status");
        let macros = &[("redis", "protocol == \"redis\"")];
        let options = Options { schema: Some(&schema), ..Options::new(macros, 0) };
        let cursor = text.find('|').unwrap();
        let found = complete(&text.replace('|', ""), cursor, &options);
        let names: Vec<&str> = found.suggestions.iter().map(|suggestion| suggestion.text.as_str()).collect();
        format!("{}..{} {} {:?}", found.span.start, found.span.end, names.join(" "), found.values_of)
    }

    #[test]
    fn suggests() {
        for (text, expected) in [
            ("re|", "0..2 request response redis record( redact( None"),
            ("http and (re|", "10..12 request response redis record( redact( None"),
            ("request.m|ethod", "8..9 method None"),
            ("request.|", "8..8 headers method questions contains( endsWith( json( startsWith( xml( None"),
            ("request.questions[0].n|", "21..22 name None"),
            ("request.questions.*.n|", "20..21 name None"),
            ("request.headers[\"A\"].s|", "21..22 startsWith( None"),
            ("request.method == \"G|", "19..20  Some(\"request.method\")"),
            ("dns and request.method != \"|", "27..27  Some(\"request.method\")"),
            ("request.headers[\"A\"].contains(\"x|", "31..32  Some(\"request.headers[\\\"A\\\"]\")"),
            ("limit(\"|", "7..7  None"),
            ("\"a\\\"|", "1..4  None"),
            ("zz|", "0..2  None"),
        ] {
            assert_eq!(run(text), expected, "{text}");
        }
        let everything = complete("é", 1, &Options::new(&[], 0));
        assert_eq!(everything.span, 0..0);
    }
}
