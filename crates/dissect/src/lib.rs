//! Ordered bytes go in, transactions come out: one directory per protocol, and what they share.
//!
//! Pure: no I/O, no clock, no threads, and no panic on any input.

mod transaction;

pub use transaction::{Half, Transaction};
