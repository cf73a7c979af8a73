//! What every query about entries has in common.

use std::sync::LazyLock;

use kfl::{Options, Schema};

use crate::{MACROS, VARIABLES};

/// Every path that an entry of any protocol can have. The file is made from real entries by the test that checks it
/// (`UPDATE_GOLDEN=1 cargo test -p kubeshark-tests --test kfl`), so that it never differs from what entries print.
static FIELDS: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("fields.txt")));

/// The options of a query about entries that is asked at `now`, in milliseconds since the Unix epoch.
pub fn options(now: i64) -> Options<'static> {
    Options { variables: VARIABLES, ..Options::new(MACROS, now) }
}

/// The same, so that `explain` also warns of fields that no entry has.
pub fn explaining(now: i64) -> Options<'static> {
    Options { schema: Some(&FIELDS), ..options(now) }
}
