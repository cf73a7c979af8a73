//! The traps of the language, found in a query before they are fallen into.

use super::{is_helper, macro_of, written};
use crate::{
    Options,
    ast::{Call, Expr, Kind, Operator, Part, Selector, literal_value},
    error::Fault,
    functions::{RedactPath, redact_path},
    path,
    v2::{Source, Variable},
    value::Number,
};

pub(super) fn find(expr: &Expr, options: &Options<'_>) -> Vec<Fault> {
    let mut reader = Reader { options, faults: Vec::new(), inside: false };
    reader.read(expr);
    reader.faults.sort_by_key(|fault| fault.span.start);
    reader.faults
}

struct Reader<'o> {
    options: &'o Options<'o>,
    faults: Vec<Fault>,
    /// Whether a path inside a document stands to the left, up to the nearest parentheses.
    inside: bool,
}

impl Reader<'_> {
    fn read(&mut self, expr: &Expr) {
        match &expr.kind {
            Kind::Or(terms) => {
                let left = terms.split_last().map(|(_, left)| left).unwrap_or_default();
                for term in left {
                    self.left_of_or(term);
                }
                self.all(terms);
            }
            Kind::And(terms) => self.all(terms),
            Kind::Compare(operator, left, right) => {
                self.compare(*operator, left, right);
                self.read(left);
                self.read(right);
            }
            Kind::Not(inner) => {
                self.not(expr, inner);
                self.read(inner);
            }
            Kind::Negate(inner) => self.read(inner),
            Kind::Group(inner) => self.enclosed(inner),
            Kind::Text(typed) if !typed.starts_with('"') => {
                self.warn(
                    expr,
                    "these quotes are part of the text, so it equals no plain word",
                    "use double quotes",
                );
            }
            Kind::Selector(selector) => self.selector(expr, selector),
            _ => {}
        }
    }

    fn all(&mut self, terms: &[Expr]) {
        for term in terms {
            self.read(term);
        }
    }

    fn warn(&mut self, expr: &Expr, message: impl Into<String>, suggestion: impl Into<String>) {
        self.faults.push(Fault::new(expr.span.clone(), message).suggest(suggestion.into()));
    }

    fn enclosed(&mut self, expr: &Expr) {
        let inside = std::mem::take(&mut self.inside);
        self.read(expr);
        self.inside = inside;
    }

    /// A missing field ends the whole expression, so the other side of `or` is never asked.
    fn left_of_or(&mut self, term: &Expr) {
        if let Some(field) = self.bare_field(term) {
            let message = format!("where `{field}` is missing, what stands right of this `or` is not asked");
            self.warn(term, message, format!("write `({term}) or …`"));
        }
    }

    fn not(&mut self, expr: &Expr, inner: &Expr) {
        if let Some(field) = self.bare_field(inner) {
            let message = format!("where `{field}` is missing this is false, as `{field}` alone is");
            self.warn(expr, message, format!("write `!({inner})`"));
        }
    }

    fn compare(&mut self, operator: Operator, left: &Expr, right: &Expr) {
        if !matches!(operator, Operator::Equal | Operator::Unequal) {
            for side in [left, right] {
                if let Kind::Text(typed) = &side.kind {
                    let spelt = literal_value(typed);
                    let is_zero = matches!(Number::spelt(spelt), Number::Float(float) if float == 0.0);
                    if is_zero && !spelt.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '-') {
                        let message =
                            format!("`{}` compares numbers, and this text counts as 0", operator.symbol());
                        self.warn(side, message, "texts have no order; compare with == or a regex");
                    }
                }
            }
        }
        for (field, nil) in [(left, right), (right, left)] {
            if let (Kind::Nil, Some(name)) = (&nil.kind, self.bare_field(field)) {
                let message = format!("where `{name}` is missing this is false: nil is a null that is there");
                self.warn(field, message, format!("for a missing or empty field write `!({field})`"));
            }
        }
    }

    fn selector(&mut self, expr: &Expr, selector: &Selector) {
        if let (None, Some((word, _)), true) = (&selector.call, macro_of(selector, self.options), self.inside)
        {
            let message =
                format!("right of a path inside a document `{word}` is read inside it, and is false");
            self.warn(
                expr,
                message,
                format!("write `{word} and …` first, or put parentheses around the document's term"),
            );
        }
        self.unknown(expr, selector);
        if selector.path.iter().any(|part| matches!(part, Part::Unused(_))) {
            self.warn(expr, "the key after the index is not used", "put it after a dot: `a[0].key`");
        }
        for typed in selector
            .path
            .iter()
            .filter_map(|part| if let Part::Key(typed) = part { Some(typed) } else { None })
        {
            if typed.starts_with(['\'', '`']) {
                self.warn(expr, "these quotes are part of the key", "use double quotes");
            }
        }
        let Some(call) = &selector.call else { return };
        for argument in &call.arguments {
            self.enclosed(&argument.value);
        }
        self.call(expr, call);
    }

    /// A field that no record of the host can have.
    fn unknown(&mut self, expr: &Expr, selector: &Selector) {
        let Some(schema) = self.options.schema else { return };
        let now = matches!(selector.path.as_slice(), [Part::Name(name)] if name == crate::functions::NOW);
        let steps = path::steps(&selector.path);
        if now || steps.is_empty() || macro_of(selector, self.options).is_some() || schema.has(&steps) {
            return;
        }
        let field = written(&selector.path);
        let variable = self.options.variables.iter().find(|variable| variable.name == field);
        let help = match (variable, schema.meant(&steps).as_slice()) {
            (Some(Variable { source: Source::Paths([path, ..]) | Source::Times(path, _), .. }), _) => {
                format!("in KFL2 it is a name of `{path}`; write that")
            }
            (_, []) => "the manual lists the fields; `..name` looks for one everywhere".to_owned(),
            (_, meant) => {
                let names: Vec<String> = meant.iter().map(|name| format!("`{name}`")).collect();
                format!("did you mean {}?", names.join(" or "))
            }
        };
        self.warn(expr, format!("no entry has a field `{field}`"), help);
    }

    fn call(&mut self, expr: &Expr, call: &Call) {
        match call.name.as_str() {
            "json" | "xml" if call.tail.is_empty() => {
                self.warn(
                    expr,
                    format!("{}() without a path after it is false", call.name),
                    "add a path: `.name`",
                );
            }
            "json" | "xml" => self.inside |= matches!(call.tail.first(), Some(Part::Name(_))),
            "record" => self.warn(expr, "there are no recordings, so this is false", "leave it out"),
            "redact" => {
                for argument in &call.arguments {
                    self.redacted(&argument.value);
                }
            }
            name if !is_helper(name) => {
                let message = format!("unknown helper {name}(): this is read as a missing field");
                self.warn(expr, message, "see `FUNCTIONS`, or the list in the manual");
            }
            _ => {}
        }
    }

    fn redacted(&mut self, argument: &Expr) {
        let path = match &argument.kind {
            Kind::Text(typed) => redact_path(literal_value(typed)),
            _ => RedactPath::Unreadable,
        };
        match path {
            RedactPath::Hides(steps) => {
                if let Some(schema) = self.options.schema.filter(|schema| !schema.has(&steps)) {
                    let help = match schema.meant(&steps).first() {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => "the manual lists the fields".to_owned(),
                    };
                    self.warn(argument, "no entry has a field at this path, so it hides nothing", help);
                }
            }
            RedactPath::Inert => {
                self.warn(
                    argument,
                    "`*` after `..` hides nothing",
                    "name the fields, or hide the parent: `..name`",
                );
            }
            RedactPath::Unreadable => {
                let help = "write a path in double quotes, with names like x-y in brackets: \"a['x-y']\"";
                self.warn(argument, "this is no path, and hides nothing", help);
            }
        }
    }

    /// A field that stands in this term outside parentheses and helpers, so that its absence ends the expression.
    fn bare_field(&self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            Kind::Or(terms) | Kind::And(terms) => terms.iter().find_map(|term| self.bare_field(term)),
            Kind::Compare(_, left, right) => self.bare_field(left).or_else(|| self.bare_field(right)),
            Kind::Not(inner) | Kind::Negate(inner) => self.bare_field(inner),
            Kind::Selector(selector) => {
                let plain = selector.call.is_none() && macro_of(selector, self.options).is_none();
                let now =
                    matches!(selector.path.as_slice(), [Part::Name(name)] if name == crate::functions::NOW);
                (plain && !now).then(|| selector.to_string())
            }
            _ => None,
        }
    }
}
