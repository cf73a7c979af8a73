//! Hiding values: the helper is true, and what its paths lead to is hidden from then on.

use super::Function;
use crate::{limits, path::Step, program::Node, value::Datum};

pub(super) const FUNCTION: Function = Function {
    name: "redact",
    signature: "redact(\"request.headers['Authorization']\", \"..password\")",
    about: "true; hides the values at these paths in the records that the query gives",
    compile: |compiler, used| {
        used.no_tail()?;
        used.first()?;
        let mut paths = Vec::new();
        for argument in &used.call.arguments {
            // What is not a text, or not a path, has always been passed over.
            if let Node::Constant(constant) = compiler.enclosed(&argument.value)?
                && let Datum::Text(text) = constant.datum
                && let Path::Hides(steps) = path(&text)
            {
                paths.push(steps);
            }
        }
        compiler.alters = true;
        Ok(Node::Redact(paths.into()))
    },
};

/// What a text means as a path of `redact`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// It hides what these steps lead to.
    Hides(Box<[Step]>),
    /// It is a path, and hides nothing: a `*` at the end of a path with `..` never did.
    Inert,
    /// It is not a path.
    Unreadable,
}

/// Reads `a.b`, `$.a`, `a[0]`, `a['key']`, `a.*`, `a[*]`, `..a`, `body.json().a` and `body.xml().a`.
pub(crate) fn path(text: &str) -> Path {
    match steps(text) {
        None => Path::Unreadable,
        Some(steps) if steps.contains(&Step::Deep) && steps.last() == Some(&Step::Any) => Path::Inert,
        Some(mut steps) => {
            // A document without a path into it is the whole field.
            while matches!(steps.last(), Some(Step::Json | Step::Xml)) {
                steps.pop();
            }
            if steps.is_empty() { Path::Unreadable } else { Path::Hides(steps.into()) }
        }
    }
}

fn steps(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.strip_prefix('$').unwrap_or(text);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let deep = steps.iter().filter(|step| **step == Step::Deep).count();
        if steps.len() > limits::STEPS || deep > limits::DEEP {
            return None;
        }
        if let Some(bracket) = rest.strip_prefix('[') {
            rest = bracketed(bracket, &mut steps)?;
            continue;
        }
        let dotless = rest.trim_start_matches('.');
        let dots = rest.len() - dotless.len();
        if dots == 0 && !steps.is_empty() {
            return None;
        }
        if dots > 1 {
            steps.push(Step::Deep);
        }
        rest = match dotless.strip_prefix('[') {
            Some(bracket) if dots > 1 => bracketed(bracket, &mut steps)?,
            _ => named(dotless, &mut steps)?,
        };
    }
    Some(steps)
}

fn named<'t>(text: &'t str, steps: &mut Vec<Step>) -> Option<&'t str> {
    if let Some(rest) = text.strip_prefix('*') {
        steps.push(Step::Any);
        return Some(rest);
    }
    let end = text.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    let (step, rest) = match (name, rest.strip_prefix("()")) {
        ("json", Some(rest)) => (Step::Json, rest),
        ("xml", Some(rest)) => (Step::Xml, rest),
        _ => (Step::Key(name.into()), rest),
    };
    steps.push(step);
    Some(rest)
}

fn bracketed<'t>(text: &'t str, steps: &mut Vec<Step>) -> Option<&'t str> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (key, rest) = text.strip_prefix(quote)?.split_once(quote)?;
        steps.push(Step::Key(key.into()));
        return rest.strip_prefix(']');
    }
    let (inside, rest) = text.split_once(']')?;
    steps.push(if inside == "*" { Step::Any } else { Step::Index(inside.parse().ok()?) });
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> String {
        match path(text) {
            Path::Hides(steps) => format!("{steps:?}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn reads_paths() {
        for (text, expected) in [
            ("a.b", r#"[Key("a"), Key("b")]"#),
            ("$.a", r#"[Key("a")]"#),
            ("a[0].*", r#"[Key("a"), Index(0), Any]"#),
            ("a['x-y'][*]", r#"[Key("a"), Key("x-y"), Any]"#),
            ("...a", r#"[Deep, Key("a")]"#),
            ("..['K']", r#"[Deep, Key("K")]"#),
            ("b.json()..a", r#"[Key("b"), Json, Deep, Key("a")]"#),
            ("b.xml().a[1]", r#"[Key("b"), Xml, Key("a"), Index(1)]"#),
            ("b.json()", r#"[Key("b")]"#),
            ("..a.*", "Inert"),
            ("a.b-c", "Unreadable"),
            ("a[\\\"b\\\"]", "Unreadable"),
            ("a..", "Unreadable"),
            ("", "Unreadable"),
            ("$", "Unreadable"),
        ] {
            assert_eq!(run(text), expected, "{text}");
        }
    }
}
