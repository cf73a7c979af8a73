//! What a query asks of a single field: a comparison, a regex, a text, made ready when the query is compiled.

use crate::{
    ast::Operator,
    program::{Test, TextTest, any_item, holds},
    record::Value,
    value::{self, Constant, Number},
};
use memchr::memmem::Finder;
use regex::Regex;
use std::borrow::Cow;

/// What a single field is asked.
#[derive(Clone)]
pub(crate) enum Check {
    /// Whether it lets a record through alone.
    Truth,
    /// The same with `!` before it.
    Untruth,
    Equal(Box<Constant>),
    /// Whether it equals one of these.
    OneOf(Box<[Constant]>),
    /// Orders that all hold, and the first and the last whole number for which they do.
    Order(Box<[(Operator, Number)]>, (i64, i64)),
    Matches(Regex),
    Contains(Box<Finder<'static>>),
    Text(TextTest, Box<str>),
    /// Whether one of these holds, of which those marked are turned round.
    Any(Vec<(Check, bool)>),
    /// Whether all hold.
    All(Vec<(Check, bool)>),
}

impl Check {
    /// A test as a check, and whether its answer is to be turned round.
    pub(crate) fn of(test: &Test) -> (Self, bool) {
        match test {
            Test::Compare(operator @ (Operator::Equal | Operator::Unequal), constant) => {
                (Check::equal(constant.clone()), *operator == Operator::Unequal)
            }
            Test::Compare(operator, constant) => (Check::order(*operator, constant.number()), false),
            Test::Matches(regex, negated) => (Check::Matches(regex.clone()), *negated),
        }
    }

    pub(crate) fn equal(constant: Constant) -> Self {
        Check::Equal(Box::new(constant))
    }

    pub(crate) fn text(test: TextTest, argument: &str) -> Self {
        match test {
            TextTest::Contains => Check::Contains(Box::new(Finder::new(argument).into_owned())),
            test => Check::Text(test, argument.into()),
        }
    }

    /// Whether it holds for a value that owns nothing and needs no conversion: nearly all that hosts lend.
    #[expect(clippy::inline_always, reason = "measured: a quarter of the time of a short query")]
    #[inline(always)]
    pub(crate) fn of_plain(&self, value: &Value<'_>) -> Option<bool> {
        Some(match (self, value) {
            (Check::Equal(constant), value) => return value::equals_plain(value, constant),
            (Check::OneOf(constants), value) => {
                for constant in constants {
                    if value::equals_plain(value, constant)? {
                        return Some(true);
                    }
                }
                false
            }
            (Check::Order(_, range), Value::Int(int)) => within(*int, *range),
            (Check::Order(_, range), Value::Digits(digits)) => within(i64::try_from(*digits).ok()?, *range),
            (Check::Text(test, part), Value::Text(Cow::Borrowed(text))) => test.holds(text, part),
            (Check::Contains(finder), Value::Text(Cow::Borrowed(text))) => {
                finder.find(text.as_bytes()).is_some()
            }
            (Check::Matches(regex), Value::Text(Cow::Borrowed(text))) => regex.is_match(text),
            (Check::Truth, Value::Bool(truth)) => *truth,
            _ => return None,
        })
    }

    pub(crate) fn of_any(&self, value: &Value<'_>) -> bool {
        match self {
            Check::Truth => value::truth(value),
            Check::Untruth => match value {
                Value::Bool(truth) => !truth,
                other => value::truth(other),
            },
            Check::Equal(constant) => any_item(value, |item| value::equals(item, constant)),
            Check::OneOf(constants) => {
                constants.iter().any(|constant| any_item(value, |item| value::equals(item, constant)))
            }
            // Of a list, each may hold for another item.
            Check::Order(orders, _) => orders.iter().all(|(operator, right)| {
                any_item(value, |item| value::number(item).compare(*right).is_some_and(holds(*operator)))
            }),
            // A list matches nothing.
            Check::Matches(regex) => !matches!(value, Value::List(_)) && regex.is_match(&value::form(value)),
            Check::Contains(finder) => finder.find(value::form(value).as_bytes()).is_some(),
            Check::Text(test, part) => test.holds(&value::form(value), part),
            Check::Any(checks) => checks.iter().any(|(check, turned)| check.holds(value) != *turned),
            Check::All(checks) => checks.iter().all(|(check, turned)| check.holds(value) != *turned),
        }
    }

    /// Whether it holds for what KFL2 makes of a value: of anything that is no text, number or truth the empty text, and
    /// of what is not a number 0.
    pub(crate) fn of_flat(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Null | Value::List(_) | Value::Record(_) => self.holds(&Value::text("")),
            value if self.counts() && value::number(value).is_nan() => self.holds(&Value::Int(0)),
            value => self.holds(value),
        }
    }

    /// Whether it looks at numbers.
    fn counts(&self) -> bool {
        match self {
            Check::Order(..) => true,
            Check::Any(checks) => checks.iter().any(|(check, _)| check.counts()),
            _ => false,
        }
    }

    /// The order of a number to this one; `==` is one of them.
    pub(crate) fn order(operator: Operator, right: Number) -> Self {
        Check::Order([(operator, right)].into(), range(operator, right))
    }

    /// Whether one holds, of which those marked are turned round.
    pub(crate) fn any(checks: Vec<(Check, bool)>) -> Self {
        let constants = checks.iter().map(|check| match check {
            (Check::Equal(constant), false) => Some(Constant::clone(constant)),
            _ => None,
        });
        constants.collect::<Option<_>>().map_or_else(|| Check::Any(checks), Check::OneOf)
    }

    /// Whether all hold, of which those marked are turned round.
    pub(crate) fn all(checks: Vec<(Check, bool)>) -> Self {
        let (mut all, mut within) = (Vec::new(), (i64::MIN, i64::MAX));
        for check in &checks {
            let (Check::Order(orders, range), false) = check else { return Check::All(checks) };
            all.extend_from_slice(orders);
            within = (within.0.max(range.0), within.1.min(range.1));
        }
        Check::Order(all.into(), within)
    }

    /// Whether it holds for what was found.
    pub(crate) fn holds(&self, value: &Value<'_>) -> bool {
        self.of_plain(value).unwrap_or_else(|| self.of_any(value))
    }
}

#[expect(
    clippy::needless_bitwise_bool,
    reason = "numbers that fall on either side in turns would be guessed wrongly"
)]
#[inline]
fn within(int: i64, (low, high): (i64, i64)) -> bool {
    (low <= int) & (int <= high)
}

/// The whole numbers that stand so to a number, the first and the last; none where the first is above the last.
fn range(operator: Operator, right: Number) -> (i64, i64) {
    const NONE: (i64, i64) = (i64::MAX, i64::MIN);
    const ALL: (i64, i64) = (i64::MIN, i64::MAX);
    // The greatest whole number that is not above, and whether it is the number itself.
    let (floor, exact) = match right {
        Number::Int(int) => (int, true),
        Number::Float(float) if float.is_nan() => return NONE,
        Number::Float(float) => match Number::Float(float.floor()).whole() {
            Some(floor) => (floor, float.fract() == 0.0),
            None if operator != Operator::Equal
                && (float > 0.0) == matches!(operator, Operator::Less | Operator::LessOrEqual) =>
            {
                return ALL;
            }
            None => return NONE,
        },
    };
    let below = || if exact { floor.checked_sub(1) } else { Some(floor) };
    match operator {
        Operator::Less => below().map_or(NONE, |high| (i64::MIN, high)),
        Operator::LessOrEqual => (i64::MIN, floor),
        Operator::Greater => floor.checked_add(1).map_or(NONE, |low| (low, i64::MAX)),
        Operator::GreaterOrEqual => {
            let low = if exact { Some(floor) } else { floor.checked_add(1) };
            low.map_or(NONE, |low| (low, i64::MAX))
        }
        Operator::Equal if exact => (floor, floor),
        Operator::Equal | Operator::Unequal => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An order of whole numbers is what comparing says, at every edge.
    #[test]
    fn ranges_are_orders() {
        let edges = [i64::MIN, i64::MIN + 1, -2, -1, 0, 1, 2, i64::MAX - 1, i64::MAX];
        let floats = [
            f64::NEG_INFINITY,
            -1e19,
            -9_223_372_036_854_775_808.0,
            -1.5,
            -1.0,
            -0.0,
            0.0,
            0.5,
            1.0,
            1.5,
            9_223_372_036_854_774_784.0,
            9_223_372_036_854_775_808.0,
            1e300,
            f64::INFINITY,
            f64::NAN,
        ];
        let rights = edges.into_iter().map(Number::Int).chain(floats.into_iter().map(Number::Float));
        for right in rights {
            for operator in [
                Operator::Less,
                Operator::LessOrEqual,
                Operator::Greater,
                Operator::GreaterOrEqual,
                Operator::Equal,
            ] {
                let (low, high) = range(operator, right);
                for left in edges {
                    let expected = Number::Int(left).compare(right).is_some_and(holds(operator));
                    assert_eq!((low..=high).contains(&left), expected, "{left} {operator:?} {right:?}");
                }
            }
        }
    }
}
