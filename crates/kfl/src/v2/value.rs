//! What KFL2 computes with.

use crate::value::{Datum, Number};
use std::{borrow::Cow, cmp::Ordering};

/// A value of KFL2. Times and spans are in nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value2<'p> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'p, str>),
    List(Vec<Value2<'p>>),
    Map(Vec<(Cow<'p, str>, Value2<'p>)>),
    Time(i64),
    Span(i64),
}

/// The kind of a value, as far as it is known before there is a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Any,
    Null,
    Bool,
    Number,
    Text,
    List,
    Map,
    Time,
    Span,
}

impl Sort {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sort::Any => "anything",
            Sort::Null => "null",
            Sort::Bool => "a truth",
            Sort::Number => "a number",
            Sort::Text => "a text",
            Sort::List => "a list",
            Sort::Map => "a map",
            Sort::Time => "a time",
            Sort::Span => "a duration",
        }
    }

    /// Whether a value of this sort can stand where `wanted` is.
    pub(crate) fn fits(self, wanted: Sort) -> bool {
        self == wanted || self == Sort::Any || wanted == Sort::Any
    }
}

impl Value2<'_> {
    /// What lies in a record, as it is.
    pub(crate) fn of(datum: Datum) -> Self {
        match datum {
            Datum::Null => Value2::Null,
            Datum::Bool(truth) => Value2::Bool(truth),
            Datum::Int(int) => Value2::Int(int),
            Datum::Float(float) => Value2::Float(float),
            Datum::Text(text) => Value2::Text(Cow::Owned(text)),
            Datum::List(items) => Value2::List(items.into_iter().map(Value2::of).collect()),
            Datum::Record(fields) => Value2::Map(
                fields.into_iter().map(|(name, value)| (Cow::Owned(name), Value2::of(value))).collect(),
            ),
        }
    }

    /// Whether it is what a record has where it has nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Value2::Null) || matches!(self, Value2::Text(text) if text.is_empty())
    }

    fn number(&self) -> Option<Number> {
        match self {
            Value2::Int(int) => Some(Number::Int(*int)),
            Value2::Float(float) => Some(Number::Float(*float)),
            _ => None,
        }
    }

    /// `==`. Values of different kinds are different, but a number is a number.
    pub(crate) fn equals(&self, other: &Value2<'_>) -> bool {
        match (self, other) {
            (Value2::Null, Value2::Null) => true,
            (Value2::Bool(left), Value2::Bool(right)) => left == right,
            (Value2::Text(left), Value2::Text(right)) => left == right,
            (Value2::Time(left), Value2::Time(right)) | (Value2::Span(left), Value2::Span(right)) => {
                left == right
            }
            (Value2::List(left), Value2::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.equals(right))
            }
            (Value2::Map(left), Value2::Map(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, left)| {
                        right.iter().any(|(other, right)| key == other && left.equals(right))
                    })
            }
            (left, right) => left
                .number()
                .zip(right.number())
                .is_some_and(|(left, right)| left.compare(right) == Some(Ordering::Equal)),
        }
    }

    /// The order of two values of one kind that has one.
    pub(crate) fn order(&self, other: &Value2<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value2::Text(left), Value2::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
            (Value2::Bool(left), Value2::Bool(right)) => Some(left.cmp(right)),
            (Value2::Time(left), Value2::Time(right)) | (Value2::Span(left), Value2::Span(right)) => {
                Some(left.cmp(right))
            }
            (left, right) => left.number()?.compare(right.number()?),
        }
    }
}

/// `1h30m`, `-2.5s`, `100ms`, `7us`, `3ns` in nanoseconds.
pub(crate) fn duration(text: &str) -> Option<i64> {
    const UNITS: &[(&str, f64)] =
        &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mut total, mut parts) = (0.0, 0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at_checked(end)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += number.parse::<f64>().ok()? * nanos;
        (rest, parts) = (tail, parts + 1);
    }
    (parts > 0 && total < i64::MAX as f64).then(|| if negative { -(total as i64) } else { total as i64 })
}

/// RFC 3339 in nanoseconds since 1970.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let numbers = |text: &str, by: char| -> Option<Vec<i64>> {
        text.split(by)
            .map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?)
            .collect()
    };
    let [year, month, day] = numbers(date, '-')?.try_into().ok()?;
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(whole, ':')?.try_into().ok()?;
    let valid = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !valid || hour > 23 || minute > 59 || second > 60 || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse::<i64>().ok()?;
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let [hours, minutes] = numbers(zone.get(1..)?, ':')?.try_into().ok()?;
            (hours * 60 + minutes) * if zone.starts_with('-') { -60 } else { 60 }
        }
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years are taken to begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_spans_and_times() {
        for (text, expected) in [
            ("5m", Some(300_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("-1.5s", Some(-1_500_000_000)),
            ("10ms", Some(10_000_000)),
            ("5", None),
            ("", None),
            ("m", None),
            ("5x", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1_000_000_000)),
            ("2023-03-13T02:37:46.172+02:00", Some(1_678_667_866_172_000_000)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000_000_000)),
            ("2000-02-29", None),
            ("2000-13-01T00:00:00Z", None),
            ("99999-01-01T00:00:00Z", None),
        ] {
            assert_eq!(timestamp(text), expected, "{text}");
        }
    }
}
