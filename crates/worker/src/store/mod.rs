//! What the worker remembers.

mod entries;

pub(crate) use entries::{EXPIRY, Store};
