//! Running a program on a record.
//!
//! What cannot be computed (a key that a map lacks, a division by zero) is an error, which `&&` and `||` survive where
//! their other side decides, as CEL has it; a query whose answer is an error does not let the record through.

use super::{
    Binary, Bound, Comprehension, Expr, Function, Kind, Node2, Program, Resolved, Source, value::Value2,
};
use crate::{
    key::Key,
    limits,
    path::{Flow, Step, done, visit_record},
    program::Run,
    record::{Record, Value},
    value::{Datum, Number, form, number},
};
use std::{borrow::Cow, cmp::Ordering};

/// The value cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Absent;

type Result2<'p> = Result<Value2<'p>, Absent>;

/// Most nodes that one record may cost.
const FUEL: usize = 1 << 20;

/// Whether a program lets a record through.
pub(crate) fn truth(program: &Program, record: &dyn Record) -> bool {
    let mut machine = Machine { variables: &program.variables, record, bound: Vec::new(), fuel: FUEL };
    machine.value(&program.root) == Ok(Value2::Bool(true))
}

struct Machine<'p, 'r> {
    variables: &'p [Bound],
    record: &'r dyn Record,
    bound: Vec<Value2<'p>>,
    fuel: usize,
}

impl<'p> Machine<'p, '_> {
    fn value(&mut self, expr: &'p Expr) -> Result2<'p> {
        self.fuel = self.fuel.checked_sub(1).ok_or(Absent)?;
        Ok(match &expr.kind {
            Node2::Null => Value2::Null,
            Node2::Bool(truth) => Value2::Bool(*truth),
            Node2::Int(int) => Value2::Int(*int),
            Node2::Float(float) => Value2::Float(*float),
            Node2::Text(text) => Value2::Text(Cow::Borrowed(text)),
            Node2::List(items) => {
                Value2::List(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)
            }
            Node2::Map(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| Ok((self.text(key)?, self.value(value)?)));
                Value2::Map(pairs.collect::<Result<_, _>>()?)
            }
            Node2::Variable(place) => self.variable(*place)?,
            Node2::Bound(depth) => self.bound.get(*depth).cloned().ok_or(Absent)?,
            Node2::Member(object, name) => self.item(object, name)?.ok_or(Absent)?,
            Node2::Index(object, index) => self.index(object, index)?,
            Node2::Do(function, arguments) => self.call(*function, arguments)?,
            Node2::Each(kind, list, body) => self.each(*kind, list, body)?,
            Node2::Matches(text, regex) => Value2::Bool(regex.is_match(&self.text(text)?)),
            Node2::Not(inner) => Value2::Bool(!self.truth(inner)?),
            Node2::Negate(inner) => match self.value(inner)? {
                Value2::Int(int) => Value2::Int(int.checked_neg().ok_or(Absent)?),
                Value2::Float(float) => Value2::Float(-float),
                Value2::Span(span) => Value2::Span(span.checked_neg().ok_or(Absent)?),
                _ => return Err(Absent),
            },
            Node2::And(terms) => Value2::Bool(self.chain(terms, false)?),
            Node2::Or(terms) => Value2::Bool(self.chain(terms, true)?),
            Node2::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            Node2::If(parts) => {
                let [condition, yes, no] = &**parts;
                let chosen = if self.truth(condition)? { yes } else { no };
                self.value(chosen)?
            }
            // The checker has replaced these.
            Node2::Name(_) | Node2::Call(..) => return Err(Absent),
        })
    }

    fn truth(&mut self, expr: &'p Expr) -> Result<bool, Absent> {
        match self.value(expr)? {
            Value2::Bool(truth) => Ok(truth),
            _ => Err(Absent),
        }
    }

    fn text(&mut self, expr: &'p Expr) -> Result<Cow<'p, str>, Absent> {
        match self.value(expr)? {
            Value2::Text(text) => Ok(text),
            _ => Err(Absent),
        }
    }

    /// `||` (`decisive` is true) or `&&`: one decisive term is the answer, whatever the others are.
    fn chain(&mut self, terms: &'p [Expr], decisive: bool) -> Result<bool, Absent> {
        let mut answer = Ok(!decisive);
        for term in terms {
            match self.truth(term) {
                Ok(truth) if truth == decisive => return Ok(decisive),
                Ok(_) => {}
                absent => answer = absent,
            }
        }
        answer
    }

    fn variable(&self, place: usize) -> Result2<'p> {
        let Bound { variable, source } = self.variables.get(place).ok_or(Absent)?;
        let paths = match source {
            Resolved::Query(node) => {
                return Ok(Value2::Bool(Run::new(self.record).truth(node).unwrap_or(false)));
            }
            Resolved::Paths(paths) => paths,
        };
        if variable.kind == Kind::List {
            return Ok(Value2::List(paths.iter().flat_map(|path| self.items(path)).collect()));
        }
        let mut found = None;
        for path in paths {
            self.visit(path, &mut |value| {
                found = Some(converted(value, variable.kind));
                Flow::Break(())
            });
            if found.as_ref().is_some_and(|value| !value.is_empty()) {
                break;
            }
        }
        Ok(match (found.unwrap_or_else(|| default(variable.kind)), variable.source) {
            (Value2::Int(int), Source::Times(_, factor)) => Value2::Int(int.saturating_mul(factor)),
            (value, _) => value,
        })
    }

    fn visit(&self, path: &[Step], visit: &mut dyn FnMut(&Value<'_>) -> Flow) {
        done(visit_record(self.record, path, 0, visit));
    }

    /// What a path leads to, lists item by item.
    fn items(&self, path: &[Step]) -> Vec<Value2<'p>> {
        let mut items = Vec::new();
        self.visit(path, &mut |value| {
            match Value2::of(Datum::of(value, limits::DOCUMENT_DEPTH)) {
                Value2::List(found) => items.extend(found),
                found if found.is_empty() => {}
                found => items.push(found),
            }
            Flow::Continue(())
        });
        items
    }

    /// What a map has under a key. Of a map of the record only this is read.
    fn item(&mut self, object: &'p Expr, key: &str) -> Result<Option<Value2<'p>>, Absent> {
        if let Node2::Variable(place) = object.kind
            && let Some(Bound { source: Resolved::Paths(paths), .. }) = self.variables.get(place)
        {
            let mut found = None;
            for path in paths {
                self.visit(path, &mut |value| {
                    if let Value::Record(map) = value {
                        found = map.field(Key::new(key)).map(|item| Datum::of(&item, limits::DOCUMENT_DEPTH));
                    }
                    Flow::Break(())
                });
            }
            return Ok(found.map(Value2::of));
        }
        match self.value(object)? {
            Value2::Map(pairs) => Ok(pairs.into_iter().find(|(name, _)| name == key).map(|(_, value)| value)),
            _ => Err(Absent),
        }
    }

    fn index(&mut self, object: &'p Expr, index: &'p Expr) -> Result2<'p> {
        match self.value(index)? {
            Value2::Text(key) => self.item(object, &key)?.ok_or(Absent),
            Value2::Int(place) => match self.value(object)? {
                Value2::List(mut items) => {
                    let place = usize::try_from(place).map_err(|_| Absent)?;
                    if place < items.len() { Ok(items.swap_remove(place)) } else { Err(Absent) }
                }
                _ => Err(Absent),
            },
            _ => Err(Absent),
        }
    }

    fn call(&mut self, function: Function, arguments: &'p [Expr]) -> Result2<'p> {
        let Some((first, rest)) = arguments.split_first() else { return Err(Absent) };
        if function == Function::MapGet {
            let [key, default] = rest else { return Err(Absent) };
            let key = self.text(key)?;
            return match self.item(first, &key)? {
                Some(found) => Ok(found),
                None => self.value(default),
            };
        }
        let value = self.value(first)?;
        Ok(match (function, value) {
            (Function::Time, Value2::Int(nanos)) => Value2::Time(nanos),
            (Function::Span, Value2::Int(nanos)) => Value2::Span(nanos),
            (Function::Size, Value2::Text(text)) => Value2::Int(text.chars().count() as i64),
            (Function::Size, Value2::List(items)) => Value2::Int(items.len() as i64),
            (Function::Size, Value2::Map(pairs)) => Value2::Int(pairs.len() as i64),
            (Function::ToInt, Value2::Float(float)) if float.abs() < 9e18 => Value2::Int(float as i64),
            (Function::ToInt, int @ Value2::Int(_)) => int,
            (Function::ToInt, Value2::Text(text)) => Value2::Int(text.parse().map_err(|_| Absent)?),
            (Function::ToInt, Value2::Time(nanos)) => Value2::Int(nanos.div_euclid(1_000_000_000)),
            (Function::ToDouble, Value2::Int(int)) => Value2::Float(int as f64),
            (Function::ToDouble, float @ Value2::Float(_)) => float,
            (Function::ToDouble, Value2::Text(text)) => Value2::Float(text.parse().map_err(|_| Absent)?),
            (Function::ToString, text @ Value2::Text(_)) => text,
            (Function::ToString, Value2::Int(int)) => Value2::Text(int.to_string().into()),
            (Function::ToString, Value2::Float(float)) => Value2::Text(float.to_string().into()),
            (Function::ToString, Value2::Bool(truth)) => Value2::Text(truth.to_string().into()),
            (Function::Contains | Function::StartsWith | Function::EndsWith, Value2::Text(text)) => {
                let part = self.text(rest.first().ok_or(Absent)?)?;
                Value2::Bool(match function {
                    Function::Contains => text.contains(&*part),
                    Function::StartsWith => text.starts_with(&*part),
                    _ => text.ends_with(&*part),
                })
            }
            _ => return Err(Absent),
        })
    }

    fn each(&mut self, kind: Comprehension, list: &'p Expr, body: &'p Expr) -> Result2<'p> {
        let items = match self.value(list)? {
            Value2::List(items) => items,
            Value2::Map(pairs) => pairs.into_iter().map(|(key, _)| Value2::Text(key)).collect(),
            _ => return Err(Absent),
        };
        let (mut answer, mut made) = (Ok(kind == Comprehension::All), Vec::new());
        for item in items {
            self.bound.push(item);
            let result = self.value(body);
            let item = self.bound.pop();
            match (kind, result) {
                (Comprehension::Exists, Ok(Value2::Bool(true))) => return Ok(Value2::Bool(true)),
                (Comprehension::All, Ok(Value2::Bool(false))) => return Ok(Value2::Bool(false)),
                (Comprehension::Filter, Ok(Value2::Bool(true))) => made.extend(item),
                (Comprehension::Map, Ok(value)) => made.push(value),
                (_, Ok(Value2::Bool(_))) => {}
                _ => answer = Err(Absent),
            }
        }
        match kind {
            Comprehension::Exists | Comprehension::All => answer.map(Value2::Bool),
            Comprehension::Filter | Comprehension::Map => answer.map(|_| Value2::List(made)),
        }
    }

    fn binary(&mut self, operator: Binary, left: &'p Expr, right: &'p Expr) -> Result2<'p> {
        if operator == Binary::In
            && let Node2::Variable(place) = right.kind
            && self.variables.get(place).is_some_and(|bound| bound.variable.kind == Kind::Map)
        {
            let key = self.text(left)?;
            return Ok(Value2::Bool(self.item(right, &key)?.is_some()));
        }
        let (left, right) = (self.value(left)?, self.value(right)?);
        let order =
            |holds: fn(Ordering) -> bool| left.order(&right).map(holds).map(Value2::Bool).ok_or(Absent);
        match operator {
            Binary::Equal => Ok(Value2::Bool(left.equals(&right))),
            Binary::Unequal => Ok(Value2::Bool(!left.equals(&right))),
            Binary::Less => order(Ordering::is_lt),
            Binary::LessOrEqual => order(Ordering::is_le),
            Binary::Greater => order(Ordering::is_gt),
            Binary::GreaterOrEqual => order(Ordering::is_ge),
            Binary::In => match (left, right) {
                (item, Value2::List(items)) => {
                    Ok(Value2::Bool(items.iter().any(|other| other.equals(&item))))
                }
                (Value2::Text(key), Value2::Map(pairs)) => {
                    Ok(Value2::Bool(pairs.iter().any(|(name, _)| *name == key)))
                }
                _ => Err(Absent),
            },
            arithmetic => compute(arithmetic, left, right),
        }
    }
}

fn compute<'p>(operator: Binary, left: Value2<'p>, right: Value2<'p>) -> Result2<'p> {
    use Value2::{Float, Int, List, Span, Text, Time};
    let whole = match operator {
        Binary::Add => i64::checked_add,
        Binary::Subtract => i64::checked_sub,
        Binary::Multiply => i64::checked_mul,
        Binary::Divide => i64::checked_div,
        _ => i64::checked_rem,
    };
    let float = |left: f64, right: f64| match operator {
        Binary::Add => Ok(left + right),
        Binary::Subtract => Ok(left - right),
        Binary::Multiply => Ok(left * right),
        Binary::Divide => Ok(left / right),
        _ => Err(Absent),
    };
    match (operator, left, right) {
        (_, Int(left), Int(right)) => whole(left, right).map(Int).ok_or(Absent),
        (_, Float(left), Float(right)) => float(left, right).map(Float),
        (_, Int(left), Float(right)) => float(left as f64, right).map(Float),
        (_, Float(left), Int(right)) => float(left, right as f64).map(Float),
        (Binary::Add, Text(left), Text(right)) => Ok(Text(left + right)),
        (Binary::Add, List(mut left), List(right)) => {
            left.extend(right);
            Ok(List(left))
        }
        (Binary::Subtract, Time(left), Time(right)) => whole(left, right).map(Span).ok_or(Absent),
        (Binary::Add | Binary::Subtract, Time(left), Span(right)) => {
            whole(left, right).map(Time).ok_or(Absent)
        }
        (Binary::Add, Span(left), Time(right)) => whole(left, right).map(Time).ok_or(Absent),
        (Binary::Add | Binary::Subtract, Span(left), Span(right)) => {
            whole(left, right).map(Span).ok_or(Absent)
        }
        _ => Err(Absent),
    }
}

/// A value of the record as a variable of this kind has it.
fn converted(value: &Value<'_>, kind: Kind) -> Value2<'static> {
    match kind {
        Kind::Text => match value {
            Value::Null => default(kind),
            value => Value2::Text(form(value).into_owned().into()),
        },
        Kind::Int => match number(value) {
            Number::Int(int) => Value2::Int(int),
            Number::Float(float) if float.is_nan() => default(kind),
            Number::Float(float) => Value2::Float(float),
        },
        Kind::Time => match number(value) {
            Number::Int(millis) => Value2::Time(millis.saturating_mul(1_000_000)),
            Number::Float(millis) => Value2::Time((millis * 1e6) as i64),
        },
        Kind::Bool => Value2::Bool(crate::value::truth(value)),
        Kind::Map | Kind::List => match Value2::of(Datum::of(value, limits::DOCUMENT_DEPTH)) {
            Value2::Null | Value2::Text(_) => default(kind),
            value => value,
        },
    }
}

fn default(kind: Kind) -> Value2<'static> {
    match kind {
        Kind::Text => Value2::Text(Cow::Borrowed("")),
        Kind::Int => Value2::Int(0),
        Kind::Bool => Value2::Bool(false),
        Kind::List => Value2::List(Vec::new()),
        Kind::Map => Value2::Map(Vec::new()),
        Kind::Time => Value2::Time(0),
    }
}
