//! Which fields a host's records can have: so that a query for one that no record has is found out before it shows an
//! empty screen.
//!
//! As text a schema is a list of paths, one a line: `response.status`; `request.headers.*` where any name is possible;
//! `request.questions[].name` for the items of a list; a `?` at the end where nobody knows what lies below.

use crate::{
    nearest,
    path::Step,
    record::{Record, Value},
};
use std::collections::{BTreeMap, BTreeSet};

/// The fields that records can have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    root: Shape,
    /// Every path to a value, as a query has it.
    paths: Vec<String>,
}

/// What can stand at a place. Records of different kinds meet in one shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shape {
    /// Nobody knows what lies below.
    unknown: bool,
    fields: BTreeMap<String, Shape>,
    /// What stands under any name.
    any: Option<Box<Shape>>,
    /// What the items of a list are.
    item: Option<Box<Shape>>,
}

/// Deepest record that is looked at.
const DEPTH: usize = 16;

impl Schema {
    /// Reads the list of paths. Empty lines and those that begin with `#` are passed over.
    pub fn parse(text: &str) -> Self {
        let mut schema = Schema::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let path = line.trim_end_matches('?');
            let mut shape = &mut schema.root;
            for part in path.split('.') {
                let name = part.trim_end_matches("[]");
                shape = match name {
                    "*" => shape.any.get_or_insert_default(),
                    name => shape.fields.entry(name.to_owned()).or_default(),
                };
                for _ in 0..(part.len() - name.len()) / 2 {
                    shape = shape.item.get_or_insert_default();
                }
            }
            shape.unknown |= line.ends_with('?');
            schema.paths.push(path.replace("[]", ".*"));
        }
        schema
    }

    /// Adds the paths of a record to `paths`, as [`parse`](Self::parse) reads them. What its types can have but this
    /// record has not is added as unknown below.
    pub fn learn(paths: &mut BTreeSet<String>, record: &dyn Record) {
        learn_record(paths, "", record, 0);
        // What one record does not show another may.
        let known: BTreeSet<String> = paths.iter().filter(|path| !path.ends_with('?')).cloned().collect();
        paths.retain(|path| {
            let Some(bare) = path.strip_suffix('?') else { return true };
            let below = |known: &String| {
                known.strip_prefix(bare).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            !known.iter().any(below)
        });
    }

    /// Every path to a value, as a query has it: `request.headers.*`.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// The names of the fields below a path of names, in which `*` stands for an item or any name; none where the path
    /// does not exist.
    pub fn fields_of<'s>(&'s self, path: &[&str]) -> impl Iterator<Item = &'s str> {
        let below = path.iter().try_fold(&self.root, |shape, name| {
            let any = shape.any.as_deref();
            if *name == "*" { shape.item.as_deref().or(any) } else { shape.fields.get(*name).or(any) }
        });
        below.into_iter().flat_map(|shape| shape.fields.keys().map(String::as_str))
    }

    /// Whether some record can have something at the end of these steps.
    pub(crate) fn has(&self, steps: &[Step]) -> bool {
        leads(&self.root, steps)
    }

    /// The real paths that are meant most likely by one that does not exist, at most three.
    pub(crate) fn meant(&self, steps: &[Step]) -> Vec<String> {
        // The longest beginning that exists, and a sibling of the name after it.
        let good = (0..steps.len()).rev().find(|end| steps.get(..*end).is_some_and(|start| self.has(start)));
        let names = |steps: &[Step]| -> Option<Vec<String>> {
            steps
                .iter()
                .map(|step| if let Step::Key(name) = step { Some(name.to_string()) } else { None })
                .collect()
        };
        let good = good.unwrap_or(0);
        if let (Some(start), Some(Step::Key(wrong))) = (steps.get(..good).and_then(names), steps.get(good)) {
            let start_of: Vec<&str> = start.iter().map(String::as_str).collect();
            if let Some(near) = nearest::nearest(wrong, self.fields_of(&start_of)) {
                let rest = steps.get(good + 1..).and_then(names).unwrap_or_default();
                let path = start.into_iter().chain([near.to_owned()]).chain(rest).collect::<Vec<_>>();
                return vec![path.join(".")];
            }
        }
        let Some(Step::Key(last)) = steps.iter().rev().find(|step| matches!(step, Step::Key(_))) else {
            return Vec::new();
        };
        // The same name elsewhere, or one like it; where several are, those that begin as it was typed.
        let named = |path: &&str| path.rsplit('.').next().is_some_and(|name| name.eq_ignore_ascii_case(last));
        let mut found: Vec<&str> = self.paths().filter(named).collect();
        if found.is_empty() {
            let names = self.paths().filter_map(|path| path.rsplit('.').next()).filter(|name| *name != "*");
            let Some(near) = nearest::nearest(last, names) else { return Vec::new() };
            found = self.paths().filter(|path| path.rsplit('.').next() == Some(near)).collect();
        }
        let shared = |path: &str| {
            let same = |(step, name): &(&Step, &str)| matches!(step, Step::Key(key) if **key == **name);
            steps.iter().zip(path.split('.')).take_while(same).count()
        };
        let most = found.iter().map(|path| shared(path)).max().unwrap_or(0);
        found.retain(|path| shared(path) == most);
        found.into_iter().take(3).map(str::to_owned).collect()
    }
}

fn leads(shape: &Shape, steps: &[Step]) -> bool {
    if shape.unknown {
        return true;
    }
    let below = || shape.fields.values().chain(shape.any.as_deref()).chain(shape.item.as_deref());
    match steps {
        // Also whatever a text may hold.
        [] | [Step::Json | Step::Xml, ..] => true,
        [Step::Key(name), rest @ ..] => {
            shape.fields.get(&**name).is_some_and(|field| leads(field, rest))
                || shape.any.as_deref().is_some_and(|any| leads(any, rest))
        }
        [Step::Index(_), rest @ ..] => shape.item.as_deref().is_some_and(|item| leads(item, rest)),
        [Step::Any, rest @ ..] => below().any(|shape| leads(shape, rest)),
        [Step::Deep, rest @ ..] => leads(shape, rest) || below().any(|shape| leads(shape, steps)),
    }
}

fn learn_record(paths: &mut BTreeSet<String>, at: &str, record: &dyn Record, depth: usize) {
    let dot = if at.is_empty() { "" } else { "." };
    let Some(keys) = record.keys() else {
        let path = format!("{at}{dot}*");
        record.each(&mut |_, value| learn_value(paths, &path, &value, depth + 1));
        paths.insert(path);
        return;
    };
    for key in keys {
        let path = format!("{at}{dot}{key}");
        match record.get(key) {
            Some(value) => learn_value(paths, &path, &value, depth + 1),
            None => drop(paths.insert(format!("{path}?"))),
        }
    }
}

fn learn_value(paths: &mut BTreeSet<String>, at: &str, value: &Value<'_>, depth: usize) {
    match value {
        Value::Null => drop(paths.insert(format!("{at}?"))),
        Value::Record(_) | Value::List(_) if depth > DEPTH => drop(paths.insert(format!("{at}?"))),
        Value::Record(record) => learn_record(paths, at, &**record, depth),
        Value::List(list) if list.is_empty() => drop(paths.insert(format!("{at}[]?"))),
        Value::List(list) => {
            for item in (0..list.len()).filter_map(|index| list.at(index)) {
                learn_value(paths, &format!("{at}[]"), &item, depth + 1);
            }
        }
        _ => drop(paths.insert(at.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::steps;

    fn run(text: &str) -> (bool, Vec<String>) {
        let schema = Schema::parse(
            "dst.pod?\nrequest.headers.*\nrequest.method\nrequest.questions[].name\nresponse.status\nsrc.ip",
        );
        let crate::ast::Kind::Selector(selector) = crate::parser::parse(text).unwrap().unwrap().kind else {
            panic!("{text} is no selector");
        };
        let steps = steps(&selector.path);
        (schema.has(&steps), if schema.has(&steps) { vec![] } else { schema.meant(&steps) })
    }

    #[test]
    fn knows_what_can_be() {
        for text in [
            "request",
            "request.headers",
            "request.headers[\"X\"]",
            "request.questions[3].name",
            "request.questions.*.name",
            "dst.pod.metadata.name",
            "src..ip",
            "request.*",
        ] {
            assert!(run(text).0, "{text}");
        }
        for (text, meant) in [
            ("response.staus", vec!["response.status"]),
            ("status", vec!["response.status"]),
            ("respons.status", vec!["response.status"]),
            ("request.questions.name", vec!["request.questions.*.name"]),
            ("src.ip.v4", vec![]),
            ("Method", vec!["request.method"]),
            ("quite..unlike", vec![]),
        ] {
            assert_eq!(run(text), (false, meant.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn learns_from_records() {
        struct Half(Option<i64>);
        crate::record! {
            impl Record for Half as half {
                "absent" => half.0.map(Value::Int),
                "list" => Value::Null,
            }
        }
        let mut paths = BTreeSet::new();
        Schema::learn(&mut paths, &Half(None));
        assert_eq!(paths.iter().collect::<Vec<_>>(), ["absent?", "list?"]);
        Schema::learn(&mut paths, &Half(Some(1)));
        Schema::learn(&mut paths, &serde_json::json!({"a": [{"b": 1}], "c": {}}));
        assert_eq!(paths.iter().collect::<Vec<_>>(), ["*", "*.*", "*[].*", "absent", "list?"]);
    }
}
