//! What the worker remembers.

mod entries;

#[cfg(test)]
pub(crate) use entries::tests;
pub(crate) use entries::{EXPIRY, Store};
