//! What values mean: their text, their number, their truth, and how they compare.
//!
//! Numbers compare with numbers exactly. Everything else is equal when the texts are equal, and ordered as numbers.

mod number;

pub(crate) use number::{Number, general};

use crate::record::{List, Record, Value};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{borrow::Cow, cmp::Ordering, net::IpAddr};

/// A value that has left its record: a constant, or one that a slower comparison needs whole.
#[derive(Debug, Clone)]
pub(crate) enum Datum {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Datum>),
    Record(Vec<(String, Datum)>),
}

/// A constant with every form that a comparison may ask for, made once.
#[derive(Debug, Clone)]
pub(crate) struct Constant {
    pub(crate) datum: Datum,
    form: String,
    /// The whole number that equals it, as a number or in its decimal form.
    whole: Option<i64>,
    /// The whole number of which `form` is the decimal form: a text that is one compares without being written out.
    decimal: Option<i64>,
    /// The address of which `form` is the usual form.
    address: Option<IpAddr>,
    number: Number,
}

impl Constant {
    pub(crate) fn new(datum: Datum) -> Self {
        let form = datum.form().into_owned();
        let decimal = form.parse::<i64>().ok().filter(|int| int.to_string() == form);
        let address = form.parse::<IpAddr>().ok().filter(|address| address.to_string() == form);
        let whole = match &datum {
            Datum::Int(int) => Some(*int),
            Datum::Float(float) => Number::Float(*float).whole(),
            _ => decimal,
        };
        Constant { whole, decimal, address, number: datum.number(), form, datum }
    }

    pub(crate) fn form(&self) -> &str {
        &self.form
    }

    pub(crate) fn number(&self) -> Number {
        self.number
    }
}

/// Whether one value, not looking into lists, equals the constant.
pub(crate) fn equals(value: &Value<'_>, constant: &Constant) -> bool {
    equals_plain(value, constant).unwrap_or_else(|| match (value, &constant.datum) {
        (Value::Float(_), Datum::Int(_) | Datum::Float(_)) => {
            number(value).compare(constant.number) == Some(Ordering::Equal)
        }
        // Encoding a body is dear, its length is not.
        (Value::Base64(bytes), _) => {
            bytes.len().div_ceil(3) * 4 == constant.form.len() && STANDARD.encode(bytes) == constant.form
        }
        _ => form(value) == constant.form.as_str(),
    })
}

/// The same of a value that owns nothing and whose text is at hand; `None` of any other.
#[inline]
pub(crate) fn equals_plain(value: &Value<'_>, constant: &Constant) -> Option<bool> {
    Some(match value {
        Value::Int(left) => constant.whole == Some(*left),
        Value::Text(Cow::Borrowed(left)) => *left == constant.form,
        Value::Digits(left) => constant.decimal == Some(i64::try_from(*left).ok()?),
        Value::Address(left) => constant.address.as_ref() == Some(*left),
        _ => return None,
    })
}

/// The text that equality and the helpers see. Lists and records have none.
pub(crate) fn form<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::Null => Cow::Borrowed("null"),
        Value::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
        Value::Int(int) => Cow::Owned(int.to_string()),
        Value::Float(float) => Cow::Owned(general(*float)),
        Value::Text(text) => Cow::Borrowed(text),
        Value::Digits(number) => Cow::Owned(number.to_string()),
        Value::Address(address) => Cow::Owned(address.to_string()),
        Value::Base64(bytes) => Cow::Owned(STANDARD.encode(bytes)),
        Value::List(_) | Value::Record(_) => Cow::Borrowed(""),
    }
}

/// The number that `<` and its like see: of a text the number it spells, else 0.
pub(crate) fn number(value: &Value<'_>) -> Number {
    match value {
        Value::Bool(truth) => Number::Int(i64::from(*truth)),
        Value::Int(int) => Number::Int(*int),
        Value::Float(float) => Number::Float(*float),
        Value::Text(text) => Number::spelt(text),
        Value::Digits(digits) => match i64::try_from(*digits) {
            Ok(int) => Number::Int(int),
            Err(_) => Number::spelt(&digits.to_string()),
        },
        Value::Address(address) => Number::spelt(&address.to_string()),
        Value::Base64(bytes) => Number::spelt(&STANDARD.encode(bytes)),
        Value::Null | Value::List(_) | Value::Record(_) => Number::Int(0),
    }
}

/// Whether a value alone lets a record through.
pub(crate) fn truth(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Record(_) => false,
        Value::Bool(truth) => *truth,
        Value::Int(int) => *int > 0,
        Value::Float(float) => *float > 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::Digits(_) | Value::Address(_) => true,
        Value::Base64(bytes) => !bytes.is_empty(),
        Value::List(list) => !list.is_empty(),
    }
}

impl Datum {
    pub(crate) fn of(value: &Value<'_>, depth: usize) -> Self {
        match value {
            Value::Null => Datum::Null,
            Value::Bool(truth) => Datum::Bool(*truth),
            Value::Int(int) => Datum::Int(*int),
            Value::Float(float) => Datum::Float(*float),
            Value::Text(text) => Datum::Text(text.clone().into_owned()),
            Value::Digits(_) | Value::Address(_) | Value::Base64(_) => Datum::Text(form(value).into_owned()),
            Value::List(_) | Value::Record(_) if depth == 0 => Datum::Null,
            Value::List(list) => {
                let items = (0..list.len()).filter_map(|index| list.at(index));
                Datum::List(items.map(|item| Datum::of(&item, depth - 1)).collect())
            }
            Value::Record(record) => {
                let mut fields = Vec::new();
                record.each(&mut |key, value| fields.push((key.to_owned(), Datum::of(&value, depth - 1))));
                Datum::Record(fields)
            }
        }
    }

    /// The same value as a host would lend it.
    pub(crate) fn lent(&self) -> Value<'_> {
        match self {
            Datum::Null => Value::Null,
            Datum::Bool(truth) => Value::Bool(*truth),
            Datum::Int(int) => Value::Int(*int),
            Datum::Float(float) => Value::Float(*float),
            Datum::Text(text) => Value::text(text),
            Datum::List(items) => Value::list(items),
            Datum::Record(fields) => Value::record(fields),
        }
    }

    pub(crate) fn form(&self) -> Cow<'_, str> {
        match self {
            Datum::Text(text) => Cow::Borrowed(text),
            Datum::List(_) | Datum::Record(_) => Cow::Borrowed(""),
            plain => Cow::Owned(form(&plain.lent()).into_owned()),
        }
    }

    pub(crate) fn number(&self) -> Number {
        number(&self.lent())
    }

    pub(crate) fn truth(&self) -> bool {
        truth(&self.lent())
    }

    /// `==` between two values: lists item by item against a single value, and as a whole against a list.
    pub(crate) fn equals(&self, other: &Datum) -> bool {
        match (self, other) {
            (Datum::List(left), Datum::List(right)) => same_items(left, right),
            (Datum::List(items), single) | (single, Datum::List(items)) => {
                items.iter().any(|item| item.equals_single(single))
            }
            (left, right) => left.equals_single(right),
        }
    }

    fn equals_single(&self, other: &Datum) -> bool {
        match (self, other) {
            (Datum::Int(_) | Datum::Float(_), Datum::Int(_) | Datum::Float(_)) => {
                self.number().compare(other.number()) == Some(Ordering::Equal)
            }
            (left, right) => left.form() == right.form(),
        }
    }

    /// The ordering operators: any item of a list against a single value, every pair of two lists.
    pub(crate) fn ordered(&self, other: &Datum, holds: fn(Ordering) -> bool) -> bool {
        let pair = |left: Number, right: Number| left.compare(right).is_some_and(holds);
        match (self, other) {
            (Datum::List(left), Datum::List(right)) => every_pair(left, right, holds),
            (Datum::List(items), single) => items.iter().any(|item| pair(item.number(), single.number())),
            (single, Datum::List(items)) => items.iter().any(|item| pair(single.number(), item.number())),
            (left, right) => pair(left.number(), right.number()),
        }
    }
}

/// Every pair holds when the extremes do, which takes one look at each item.
fn every_pair(left: &[Datum], right: &[Datum], holds: fn(Ordering) -> bool) -> bool {
    let numbers = |items: &[Datum]| items.iter().map(Datum::number).collect::<Vec<_>>();
    let extremes = |items: &[Number]| {
        let first = *items.first()?;
        items.iter().try_fold((first, first), |(low, high), item| {
            let low = if item.compare(low)? == Ordering::Less { *item } else { low };
            let high = if item.compare(high)? == Ordering::Greater { *item } else { high };
            Some((low, high))
        })
    };
    if left.is_empty() || right.is_empty() {
        return true;
    }
    let (Some(left), Some(right)) = (extremes(&numbers(left)), extremes(&numbers(right))) else {
        return false;
    };
    [left.0, left.1].iter().all(|l| [right.0, right.1].iter().all(|r| l.compare(*r).is_some_and(holds)))
}

fn same_items(left: &[Datum], right: &[Datum]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
}

/// Deep equality, by kind and content.
fn same(left: &Datum, right: &Datum) -> bool {
    match (left, right) {
        (Datum::List(left), Datum::List(right)) => same_items(left, right),
        (Datum::Record(left), Datum::Record(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|((name, value), (other, item))| name == other && same(value, item))
        }
        (Datum::Null, Datum::Null) => true,
        (Datum::Bool(left), Datum::Bool(right)) => left == right,
        (Datum::Text(left), Datum::Text(right)) => left == right,
        (Datum::Int(_) | Datum::Float(_), Datum::Int(_) | Datum::Float(_)) => left.equals_single(right),
        _ => false,
    }
}

impl List for Vec<Datum> {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.get(index).map(Datum::lent)
    }
}

impl Record for Vec<(String, Datum)> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        self.iter().find(|(name, _)| name == key).map(|(_, value)| value.lent())
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, value) in self {
            visit(name, value.lent());
        }
    }
}
