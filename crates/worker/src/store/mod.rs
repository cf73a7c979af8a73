//! What the worker remembers.

mod entries;
pub(crate) mod packets;

#[cfg(test)]
pub(crate) use entries::tests;
pub(crate) use entries::{EXPIRY, Store};
