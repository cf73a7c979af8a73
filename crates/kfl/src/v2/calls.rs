//! The functions of KFL2: what they are called with, and what they give.

use super::{
    Comprehension, Expr, Function, Node2,
    check::{Checked, Checker},
    value::{Sort, duration, timestamp},
};
use crate::{error::Fault, nearest};
use std::ops::Range;

/// Deepest nesting of `exists` and its like: each multiplies the work.
const NESTED: usize = 2;

const FUNCTIONS: &[&str] = &[
    "all",
    "contains",
    "double",
    "duration",
    "endsWith",
    "exists",
    "filter",
    "int",
    "map",
    "map_get",
    "matches",
    "now",
    "size",
    "startsWith",
    "string",
    "timestamp",
];

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        object: Option<Box<Expr>>,
        name: &str,
        mut arguments: Vec<Expr>,
        span: Range<usize>,
    ) -> Checked {
        let done = |kind, sort| Ok((Expr { kind, span: span.clone() }, sort));
        match (name, object) {
            ("now", None) if arguments.is_empty() => {
                self.reads.now = true;
                let now = self.options.now.saturating_mul(1_000_000);
                done(Node2::Do(Function::Time, vec![nanos(now)]), Sort::Time)
            }
            ("timestamp" | "duration", None) => {
                let [Expr { kind: Node2::Text(text), span: at }] = arguments.as_slice() else {
                    return Err(usage(name, &span));
                };
                let (read, function, sort) = match name {
                    "timestamp" => (timestamp(text), Function::Time, Sort::Time),
                    _ => (duration(text), Function::Span, Sort::Span),
                };
                let time = read.ok_or_else(|| usage(name, at))?;
                done(Node2::Do(function, vec![nanos(time)]), sort)
            }
            ("exists" | "all" | "filter" | "map", Some(list)) => self.each(name, *list, arguments, span),
            ("int" | "double" | "string", None) if arguments.len() == 1 => {
                let (argument, _) = self.expr(arguments.remove(0))?;
                let (function, sort) = match name {
                    "int" => (Function::ToInt, Sort::Number),
                    "double" => (Function::ToDouble, Sort::Number),
                    _ => (Function::ToString, Sort::Text),
                };
                done(Node2::Do(function, vec![argument]), sort)
            }
            ("size", object) => {
                arguments.splice(0..0, object.map(|object| *object));
                if arguments.len() != 1 {
                    return Err(usage(name, &span));
                }
                let argument = arguments.remove(0);
                let at = argument.span.clone();
                let (argument, sort) = self.expr(argument)?;
                if !matches!(sort, Sort::Any | Sort::Text | Sort::List | Sort::Map) {
                    return Err(Fault::new(at, format!("{} has no size", sort.name())));
                }
                done(Node2::Do(Function::Size, vec![argument]), Sort::Number)
            }
            ("contains" | "startsWith" | "endsWith" | "matches", object) => {
                arguments.splice(0..0, object.map(|object| *object));
                let Ok([text, part]) = <[Expr; 2]>::try_from(arguments) else {
                    return Err(usage(name, &span));
                };
                let text = self.of(text, Sort::Text)?;
                if name == "matches" {
                    let Node2::Text(pattern) = &part.kind else {
                        return Err(Fault::new(part.span, "the pattern must be written out, as a text"));
                    };
                    let regex = self.regexes.build(pattern).map_err(|reason| {
                        Fault::new(part.span.clone(), format!("invalid regex: {reason}"))
                    })?;
                    return done(Node2::Matches(Box::new(text), regex), Sort::Bool);
                }
                let part = self.of(part, Sort::Text)?;
                let function = match name {
                    "contains" => Function::Contains,
                    "startsWith" => Function::StartsWith,
                    _ => Function::EndsWith,
                };
                done(Node2::Do(function, vec![text, part]), Sort::Bool)
            }
            ("map_get", None) => {
                let Ok([map, key, default]) = <[Expr; 3]>::try_from(arguments) else {
                    return Err(usage(name, &span));
                };
                let map = self.of(map, Sort::Map)?;
                let key = self.of(key, Sort::Text)?;
                let (default, _) = self.expr(default)?;
                done(Node2::Do(Function::MapGet, vec![map, key, default]), Sort::Any)
            }
            _ if FUNCTIONS.contains(&name) => Err(usage(name, &span)),
            _ => {
                let fault = Fault::new(span.clone(), format!("unknown function {name}()"));
                Err(fault.suggest(match nearest::nearest(name, FUNCTIONS.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the functions are {}", FUNCTIONS.join(", ")),
                }))
            }
        }
    }

    fn each(&mut self, name: &str, list: Expr, arguments: Vec<Expr>, span: Range<usize>) -> Checked {
        let Ok([bound, body]) = <[Expr; 2]>::try_from(arguments) else { return Err(usage(name, &span)) };
        let Node2::Name(word) = bound.kind else { return Err(usage(name, &bound.span)) };
        let at = list.span.clone();
        let (list, sort) = self.expr(list)?;
        if !sort.fits(Sort::List) && sort != Sort::Map {
            return Err(Fault::new(at, format!("{} has no items", sort.name())));
        }
        if self.bound.len() == NESTED {
            return Err(Fault::new(
                span,
                format!("more than {NESTED} of exists, all, filter and map in one another"),
            ));
        }
        self.bound.push(word);
        let (kind, sort) = match name {
            "exists" => (Comprehension::Exists, Sort::Bool),
            "all" => (Comprehension::All, Sort::Bool),
            "filter" => (Comprehension::Filter, Sort::List),
            _ => (Comprehension::Map, Sort::List),
        };
        let body =
            if kind == Comprehension::Map { self.expr(body).map(|(body, _)| body) } else { self.truth(body) };
        self.bound.pop();
        Ok((Expr { kind: Node2::Each(kind, Box::new(list), Box::new(body?)), span }, sort))
    }
}

fn nanos(time: i64) -> Expr {
    Expr { kind: Node2::Int(time), span: 0..0 }
}

fn usage(name: &str, span: &Range<usize>) -> Fault {
    let how = match name {
        "now" => "now()",
        "timestamp" => "timestamp(\"2006-01-02T15:04:05Z\")",
        "duration" => "duration(\"1h30m\")",
        "map_get" => "map_get(map, \"key\", \"default\")",
        "size" => "size(x)",
        "int" | "double" | "string" => "int(x)",
        "exists" | "all" | "filter" | "map" => "list.exists(x, x == \"a\")",
        _ => "x.contains(\"a\")",
    };
    Fault::new(span.clone(), format!("{name}() is called wrongly")).suggest(format!("write it like `{how}`"))
}
