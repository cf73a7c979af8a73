//! Moments counted from now: seven helpers that differ only in their unit.

use super::{Function, Use};
use crate::{
    compile::{Compiler, constant},
    error::Fault,
    program::Node,
    value::Datum,
};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

macro_rules! unit {
    ($constant:ident, $name:literal, $milliseconds:expr, $about:literal) => {
        pub(super) const $constant: Function = Function {
            name: $name,
            signature: concat!($name, "(-5)"),
            about: $about,
            compile: |compiler, used| moment(compiler, used, $milliseconds),
        };
    };
}

unit!(SECONDS, "seconds", SECOND, "now and so many seconds, in milliseconds since 1970");
unit!(MINUTES, "minutes", MINUTE, "now and so many minutes, in milliseconds since 1970");
unit!(HOURS, "hours", HOUR, "now and so many hours, in milliseconds since 1970");
unit!(DAYS, "days", DAY, "now and so many days, in milliseconds since 1970");
unit!(WEEKS, "weeks", 7 * DAY, "now and so many weeks, in milliseconds since 1970");
unit!(MONTHS, "months", 30 * DAY, "now and so many months of 30 days, in milliseconds since 1970");
unit!(YEARS, "years", 365 * DAY, "now and so many years of 365 days, in milliseconds since 1970");

fn moment(compiler: &mut Compiler<'_>, used: &Use<'_>, unit: i64) -> Result<Node, Fault> {
    used.no_tail()?;
    let count = match used.constant(compiler)? {
        Datum::Int(int) => int,
        Datum::Float(float) => float as i64,
        _ => return Err(used.wrong("takes a number")),
    };
    let moment = count.checked_mul(unit).and_then(|span| compiler.now().checked_add(span));
    match moment {
        Some(moment) => Ok(constant(Datum::Int(moment))),
        None => Err(used.wrong("reaches beyond the end of time")),
    }
}
