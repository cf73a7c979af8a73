//! Numbers: exact comparison across kinds, and the short text form.

use std::cmp::Ordering;

/// A whole number or any other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// The number that a text spells, else 0.
    pub(crate) fn spelt(text: &str) -> Self {
        match text.parse::<i64>() {
            Ok(int) => Number::Int(int),
            Err(_) => Number::Float(text.parse().unwrap_or(0.0)),
        }
    }

    pub(crate) fn is_nan(self) -> bool {
        matches!(self, Number::Float(float) if float.is_nan())
    }

    /// The whole number that it is.
    pub(crate) fn whole(self) -> Option<i64> {
        match self {
            Number::Int(int) => Some(int),
            Number::Float(float) => {
                (float.fract() == 0.0 && (-BEYOND..BEYOND).contains(&float)).then_some(float as i64)
            }
        }
    }

    /// The order of the values themselves, without rounding; `None` where one is not a number.
    pub(crate) fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(left), Number::Int(right)) => Some(left.cmp(&right)),
            (Number::Float(left), Number::Float(right)) => left.partial_cmp(&right),
            (Number::Int(left), Number::Float(right)) => mixed(left, right),
            (Number::Float(left), Number::Int(right)) => mixed(right, left).map(Ordering::reverse),
        }
    }
}

/// 2^63, the first number too large for an `i64`.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

fn mixed(int: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= BEYOND {
        return Some(Ordering::Less);
    }
    if float < -BEYOND {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    Some(int.cmp(&(whole as i64)).then_with(|| 0.0_f64.total_cmp(&(float - whole + 0.0))))
}

/// Six significant digits, with an exponent where the number is very large or very small (C's `%g`).
pub(crate) fn general(float: f64) -> String {
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{float:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return without_zeros(&format!("{float:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs())
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_six_digits() {
        for (float, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (500.0, "500"),
            (2.125_487_65, "2.12549"),
            (100_000.0, "100000"),
            (999_999.5, "1e+06"),
            (1_234_567.0, "1.23457e+06"),
            (1e21, "1e+21"),
            (0.000_1, "0.0001"),
            (0.000_012, "1.2e-05"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(general(float), expected);
        }
    }

    #[test]
    fn compares_exactly() {
        let big = (1_i64 << 53) + 1;
        for (left, right, expected) in [
            (Number::Int(big), Number::Float(9_007_199_254_740_992.0), Some(Ordering::Greater)),
            (Number::Int(500), Number::Float(500.0), Some(Ordering::Equal)),
            (Number::Int(-1), Number::Float(-1.5), Some(Ordering::Greater)),
            (Number::Float(1.5), Number::Int(1), Some(Ordering::Greater)),
            (Number::Int(i64::MAX), Number::Float(BEYOND), Some(Ordering::Less)),
            (Number::Int(i64::MIN), Number::Float(-BEYOND), Some(Ordering::Equal)),
            (Number::Int(0), Number::Float(-0.0), Some(Ordering::Equal)),
            (Number::Int(0), Number::Float(f64::NAN), None),
        ] {
            assert_eq!(left.compare(right), expected, "{left:?} {right:?}");
        }
    }
}
