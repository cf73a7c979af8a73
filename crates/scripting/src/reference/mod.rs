//! What scripts can be and can call, from the tables [`HOOKS`] and `HELPERS`: for editors, and for the documentation.

use std::fmt::Write as _;

use crate::{HOOKS, helpers, helpers::Helper};

/// What no table has: the types of arguments, `env`, timers.
const TYPES: &str = include_str!("types.d.ts");

/// TypeScript's declarations of everything that a script has: `kubeshark.d.ts`.
pub fn declarations() -> String {
    let mut out = TYPES.to_owned();
    out.push_str("\n/** The functions that a script may define. */\ninterface Hooks {\n");
    for row in &HOOKS {
        comment(&mut out, 1, row.doc);
        let _infallible = writeln!(out, "    {};", row.signature);
    }
    out.push_str("}\n");
    let mut globals = Members::default();
    for helper in helpers::all() {
        globals.add(&helper.name.split('.').collect::<Vec<_>>(), helper);
    }
    for (name, members) in &globals.inner {
        let _infallible = write!(out, "\ndeclare const {name}: {{\n");
        members.write(&mut out, 1);
        out.push_str("};\n");
    }
    out
}

/// Every hook and helper, in Markdown: the reference in `docs/scripting.md`.
pub fn markdown() -> String {
    let mut out = String::from("### Hooks\n\n");
    for row in &HOOKS {
        let _infallible = writeln!(out, "- `{}`: {}", row.signature, row.doc);
    }
    let mut last = "";
    for helper in helpers::all() {
        let global = helper.name.split('.').next().unwrap_or_default();
        if global != last {
            let _infallible = write!(out, "\n### {global}\n\n");
            last = global;
        }
        let _infallible = writeln!(out, "- `{}`: {}", helper.signature, helper.doc);
    }
    out
}

/// The members of an object: functions, and objects of their own.
#[derive(Default)]
struct Members {
    functions: Vec<&'static Helper>,
    inner: Vec<(String, Members)>,
}

impl Members {
    fn add(&mut self, path: &[&str], helper: &'static Helper) {
        match path {
            [] | [_] => self.functions.push(helper),
            [first, rest @ ..] => self.inner(first).add(rest, helper),
        }
    }

    fn inner(&mut self, name: &str) -> &mut Self {
        let at = self.inner.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.inner.push((name.to_owned(), Self::default()));
            self.inner.len() - 1
        });
        &mut self.inner[at].1
    }

    fn write(&self, out: &mut String, depth: usize) {
        let indent = "    ".repeat(depth);
        for helper in &self.functions {
            comment(out, depth, helper.doc);
            let name = helper.name.rsplit('.').next().unwrap_or_default();
            let rest = helper.signature.strip_prefix(helper.name).unwrap_or_default();
            let _infallible = writeln!(out, "{indent}{name}{rest};");
        }
        for (name, members) in &self.inner {
            let _infallible = writeln!(out, "{indent}{name}: {{");
            members.write(out, depth + 1);
            let _infallible = writeln!(out, "{indent}}};");
        }
    }
}

/// A comment above a member.
fn comment(out: &mut String, depth: usize, text: &str) {
    let indent = "    ".repeat(depth);
    // A schedule may hold what ends a comment.
    let text = text.replace("*/", "*\u{200b}/");
    let mut line = format!("{indent}/**");
    for word in text.split(' ') {
        if line.len() + word.len() > 116 {
            out.push_str(&line);
            out.push('\n');
            line = format!("{indent} *");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _infallible = writeln!(out, "{line} */");
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, env, fs, path::PathBuf};

    use super::*;

    /// Compares a file of the checkout with what it should hold; with `UPDATE_GOLDEN=1`, writes that.
    fn holds(path: &str, expected: impl FnOnce(&str) -> String) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        let found = fs::read_to_string(&path).unwrap_or_default();
        let expected = expected(&found);
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &expected).unwrap();
        } else {
            assert!(
                found == expected,
                "{} does not say what the tables say: UPDATE_GOLDEN=1 cargo test --release -p kubeshark-scripting reference",
                path.display()
            );
        }
    }

    #[test]
    fn editors_are_told_what_the_tables_say() {
        holds("scripts/kubeshark.d.ts", |_| declarations());
    }

    #[test]
    fn the_guide_says_what_the_tables_say() {
        const BEGIN: &str = "<!-- From the tables HOOKS and HELPERS: -->\n";
        const END: &str = "<!-- That was all of them. -->\n";
        holds("docs/scripting.md", |found| {
            let (before, rest) = found.split_once(BEGIN).expect("a place for the reference");
            let (_, after) = rest.split_once(END).expect("an end of the reference");
            format!("{before}{BEGIN}\n{}\n{END}{after}", markdown())
        });
    }

    /// The types name what entries have: no more at their top, and no less.
    #[test]
    fn items_are_declared_as_they_come() {
        let captures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures");
        let members = |name: &str| {
            let body = TYPES.split_once(&format!("interface {name} {{\n")).unwrap().1;
            let body = body.split_once("\n}\n").unwrap().0;
            let names = body.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
            let names = names.filter_map(|line| line.trim().split_once(':'));
            let names = names.map(|(name, _)| name.trim_end_matches('?').to_owned());
            names.filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric())).collect::<Vec<_>>()
        };
        let mut seen = BTreeMap::<&str, Vec<String>>::new();
        for case in fs::read_dir(captures).unwrap().flatten() {
            let entries = fs::read_to_string(case.path().join("entries.json")).unwrap_or_default();
            for entry in entries.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            {
                let (ask, answer) = match entry["protocol"]["name"].as_str() {
                    Some("http") => ("HttpRequest", "HttpResponse"),
                    Some("dns") => ("DnsRequest", "DnsResponse"),
                    other => panic!("the types do not know {other:?}"),
                };
                for (name, value) in [
                    ("Item", &entry),
                    ("Endpoint", &entry["src"]),
                    (ask, &entry["request"]),
                    (answer, &entry["response"]),
                ] {
                    let declared = members(name);
                    for key in value.as_object().into_iter().flat_map(|object| object.keys()) {
                        assert!(declared.contains(key), "{name} has no {key}");
                        seen.entry(name).or_default().push(key.clone());
                    }
                }
            }
        }
        for (name, seen) in seen {
            for key in members(name) {
                assert!(seen.contains(&key), "no entry has {name}.{key}");
            }
        }
    }
}
