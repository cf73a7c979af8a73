//! Points in time, as entries print them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digits;

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixNanos(pub i64);

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

impl UnixNanos {
    /// Whole milliseconds since the epoch, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc_3339())
    }
}

impl UnixNanos {
    /// RFC 3339 in UTC; the fraction has as many digits as it needs, up to nine, and none when it is zero (as Go prints
    /// it).
    pub fn rfc_3339(self) -> String {
        let (seconds, nanos) = (self.0.div_euclid(NANOS_PER_SECOND), self.0.rem_euclid(NANOS_PER_SECOND));
        let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = civil_from_days(days);
        let mut text = String::with_capacity(32);
        for (number, width, after) in [
            (year, 4, "-"),
            (month, 2, "-"),
            (day, 2, "T"),
            (second / 3600, 2, ":"),
            (second / 60 % 60, 2, ":"),
            (second % 60, 2, ""),
        ] {
            digits::push_padded(&mut text, number.unsigned_abs(), width);
            text.push_str(after);
        }
        if nanos != 0 {
            text.push('.');
            digits::push_padded(&mut text, nanos.unsigned_abs(), 9);
            text.truncate(text.trim_end_matches('0').len());
        }
        text.push('Z');
        text
    }
}

/// The date of a day counted from 1970-01-01 in the proleptic Gregorian calendar.
///
/// Years are taken to begin in March, so that the leap day comes last; 146,097 days make 400 years.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::UnixNanos;

    #[test]
    fn prints_as_rfc_3339() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_678_675_066_172_360_504, "2023-03-13T02:37:46.172360504Z"),
            (1_700_000_000_000_020_000, "2023-11-14T22:13:20.00002Z"),
        ] {
            assert_eq!(UnixNanos(nanos).to_string(), text);
        }
    }
}
