//! Ordered bytes go in, transactions come out: one directory per protocol, and what they share.
//!
//! Pure: no I/O, no clock, no threads, and no panic on any input.
//!
//! A [`Session`] is one flow. It asks the [probes](Spec::probe) which protocol it is, lets that protocol's
//! [`Dissector`] cut the bytes into messages, stamps the messages with times and sizes, and joins a request with its
//! response. `docs/adding-a-protocol.md` says how to add one.

#![warn(clippy::indexing_slicing, clippy::panic)]

mod body;
mod counters;
mod cursor;
mod dissector;
mod dns;
pub mod http1;
mod limits;
mod pairing;
mod session;
#[cfg(test)]
mod testing;
mod transaction;

pub use counters::Counters;
pub use dissector::{DissectError, Dissector, Ending, Key, Message, Part, Probe, Role, Scene, Spec, Step};
pub use limits::Limits;
pub use session::{Context, Session};
pub use transaction::{Half, Transaction};

/// Every protocol that is understood. The first whose probe says yes gets the flow.
pub static DISSECTORS: &[Spec] = &[http1::SPEC, dns::SPEC];

/// Every protocol as users see them, in the order of their priority.
pub static PROTOCOLS: &[&api::Protocol] = &[&http1::HTTP_10, &http1::HTTP_11, &dns::DNS];
