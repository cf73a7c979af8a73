//! What may be typed next: for editors.

use crate::{
    FUNCTIONS, Language, Options, Source,
    lexer::{self, Kind as Token},
};
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
    /// A name of KFL2.
    Variable,
    /// A helper, called on a field or alone.
    Helper,
    /// A value that a field has.
    Value,
}

/// Most suggestions.
const MOST: usize = 100;

/// Helpers that are called on a field.
const ON_FIELDS: &[&str] = &["contains", "endsWith", "json", "startsWith", "xml"];

/// KFL2's functions that are called on a value, and those that stand alone.
const METHODS: [&[&str]; 2] = [
    &["all", "contains", "endsWith", "exists", "filter", "map", "matches", "size", "startsWith"],
    &["double", "duration", "int", "map_get", "now", "size", "string", "timestamp"],
];

/// Suggests what may stand at byte `cursor` of a query: in the first spelling, unless the options ask for KFL2.
pub fn complete(text: &str, cursor: usize, options: &Options<'_>) -> Completion {
    let cursor = text.floor_char_boundary(cursor.min(text.len()));
    let before = text.get(..cursor).unwrap_or_default();
    let second = options.language == Language::V2;
    if let Some(open) = open_text(before, if second { "\"'" } else { "\"" }) {
        return Completion {
            span: open + 1..cursor,
            suggestions: Vec::new(),
            values_of: compared(before.get(..open).unwrap_or_default())
                .and_then(|field| if second { path_of(&field, options) } else { Some(field) }),
        };
    }
    let start = path_start(before);
    let path = before.get(start..).unwrap_or_default();
    if second {
        return Completion { span: start..cursor, suggestions: variables(path, options), values_of: None };
    }
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

/// What may stand for the beginning of a name of KFL2: variables, and functions called on a value or alone.
fn variables(path: &str, options: &Options<'_>) -> Vec<Suggestion> {
    let fits = |text: &str| text.get(..path.len()).is_some_and(|start| start.eq_ignore_ascii_case(path));
    let names = options.variables.iter().map(|variable| (variable.name.to_owned(), SuggestionKind::Variable));
    let (object, functions) = match path.rsplit_once('.') {
        Some((object, _)) => (format!("{object}."), METHODS[0]),
        None => (String::new(), METHODS[1]),
    };
    let functions = functions.iter().map(|name| (format!("{object}{name}("), SuggestionKind::Helper));
    let suggestion = |(text, kind)| Suggestion { text, kind, about: String::new() };
    names.chain(functions).filter(|(text, _)| fits(text)).take(MOST).map(suggestion).collect()
}

/// The path of the fields that a variable of KFL2 reads first.
fn path_of(name: &str, options: &Options<'_>) -> Option<String> {
    let variable = options.variables.iter().find(|variable| variable.name == name)?;
    match variable.source {
        Source::Paths(paths) => paths.first().map(|path| (*path).to_owned()),
        Source::Times(..) | Source::Query(_) => None,
    }
}

/// Where the text begins that is still open at the end; `quotes` are what a text may stand between.
fn open_text(before: &str, quotes: &str) -> Option<usize> {
    let (mut open, mut escaped) = (None, false);
    for (at, c) in before.char_indices() {
        match open {
            Some(_) if c == '\\' && !escaped => {
                escaped = true;
                continue;
            }
            Some((_, quote)) if c == quote && !escaped => open = None,
            None if quotes.contains(c) => open = Some((at, c)),
            _ => {}
        }
        escaped = false;
    }
    open.map(|(at, _)| at)
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
    let tokens = lexer::tokens_with(before, lexer::Escapes::Kept).ok()?;
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
    use crate::{Kind, Schema, Variable};

    fn run(text: &str) -> String {
        run_in(Language::Any, text)
    }

    fn run_in(language: Language, text: &str) -> String {
        let schema =
            Schema::parse("request.method\nrequest.headers.*\nrequest.questions[].name\nresponse.status");
        let macros = &[("redis", "protocol == \"redis\"")];
        let paths: &[_] = &[("status", "response.status"), ("src.ip", "request.source")];
        let of = |&(name, ref path)| Variable {
            name,
            kind: Kind::Text,
            source: Source::Paths(std::slice::from_ref(path)),
        };
        let variables: Vec<Variable> = paths.iter().map(of).collect();
        let options =
            Options { schema: Some(&schema), variables: &variables, language, ..Options::new(macros, 0) };
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
        for (text, expected) in [
            ("dns && s|", "7..8 status src.ip size( string( None"),
            (
                "!src.|",
                "1..5 src.ip src.all( src.contains( src.endsWith( src.exists( src.filter( src.map( \
              src.matches( src.size( src.startsWith( None",
            ),
            ("src.ip.st|", "0..9 src.ip.startsWith( None"),
            ("true && src.ip == '10.|", "19..22  Some(\"request.source\")"),
            ("src.ip.contains(\"1|", "17..18  Some(\"request.source\")"),
            ("redis && other == '|", "19..19  None"),
        ] {
            assert_eq!(run_in(Language::V2, text), expected, "{text}");
        }
        let everything = complete("é", 1, &Options::new(&[], 0));
        assert_eq!(everything.span, 0..0);
    }
}
