//! A date and time, as a moment.

use super::Function;
use crate::{compile::constant, value::Datum};

pub(super) const FUNCTION: Function = Function {
    name: "datetime",
    signature: "datetime(\"10/19/2021, 6:29:02.000 PM\")",
    about: "this moment in UTC, in milliseconds since 1970; the milliseconds may be left out",
    compile: |compiler, used| {
        used.no_tail()?;
        let Datum::Text(text) = used.constant(compiler)? else {
            return Err(used.wrong("takes a date and time in quotes"));
        };
        match moment(&text) {
            Some(moment) => Ok(constant(Datum::Int(moment))),
            None => Err(used.wrong("cannot read this date and time")),
        }
    },
};

/// `month/day/year, hour:minute:second[.milliseconds] AM|PM` in UTC.
fn moment(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(", ")?;
    let (month, rest) = date.split_once('/')?;
    let (day, year) = rest.split_once('/')?;
    let (clock, half) = time.split_once(' ')?;
    let (hour, rest) = clock.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let (second, millisecond) = second.split_once('.').unwrap_or((second, "000"));

    let year = digits(year, 4, 4)?;
    let month = digits(month, 1, 2).filter(|month| (1..=12).contains(month))?;
    let day = digits(day, 1, 2).filter(|day| (1..=days_in(year, month)).contains(day))?;
    let hour = digits(hour, 1, 2).filter(|hour| *hour <= 12)?;
    let minute = digits(minute, 2, 2).filter(|minute| *minute < 60)?;
    let second = digits(second, 2, 2).filter(|second| *second < 60)?;
    let millisecond = digits(millisecond, 3, 3)?;
    let hour = match half {
        "AM" => hour % 12,
        "PM" => hour % 12 + 12,
        _ => return None,
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000 + millisecond)
}

fn digits(text: &str, least: usize, most: usize) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (least..=most).contains(&text.len());
    text.parse().ok().filter(|_| plain)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted from March so that the leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month = if month > 2 { month - 3 } else { month + 9 };
    let century_days = year.div_euclid(100) * 36_524 + year.div_euclid(400);
    let year_days = year.rem_euclid(100) * 365 + year.rem_euclid(100) / 4;
    century_days + year_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn reads() {
        for (text, expected) in [
            ("1/1/1970, 12:00:00 AM", Some(0)),
            ("10/19/2021, 6:29:02.000 PM", Some(1_634_668_142_000)),
            ("03/13/2023, 2:37:46.171 AM", Some(1_678_675_066_171)),
            ("2/29/2024, 12:00:00 PM", Some(1_709_208_000_000)),
            ("3/1/2000, 12:00:00 AM", Some(951_868_800_000)),
            ("12/31/1969, 11:59:59.999 PM", Some(-1)),
            ("1/1/0000, 12:00:00 AM", Some(-62_167_219_200_000)),
            ("2/29/2023, 12:00:00 PM", None),
            ("13/1/2023, 12:00:00 PM", None),
            ("1/1/2023, 13:00:00 PM", None),
            ("1/1/2023, 1:00:00.5 PM", None),
            ("1/1/2023, 1:00:00", None),
            ("bad", None),
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
    }
}
