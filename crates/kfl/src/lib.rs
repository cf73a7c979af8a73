//! The Kubeshark filter language: text goes in, a compiled filter comes out, which says of each record yes or no.
//!
//! The crate knows nothing of entries or protocols: a host lends its records through [`Record`].

mod record;

#[doc(hidden)]
pub use record::ascending;
pub use record::{Lent, List, Record, Value};
