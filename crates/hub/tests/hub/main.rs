//! A hub on real sockets, with workers that are fakes: only what is asked of the hub is tested here.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as its body does")]

mod client;
mod fake;
mod routes;
mod scripts;
mod watching;
mod workers;
