//! What crosses a process boundary: entries as users see, filter and script them, and what our processes say to each
//! other. A type lives here if one process writes it and another reads it; renaming a field is a breaking change.

mod base;
mod digits;
mod endpoint;
mod entry;
mod macros;
pub mod messages;
mod named;
mod options;
mod payload;
mod protocol;
mod time;
mod variables;
mod view;

pub use base::{write_base, write_item};
pub use endpoint::{Endpoint, Node};
pub use entry::{Entry, Fault, FaultKind, Flags, NotAStream, Stream};
pub use kfl::write_record;
pub use macros::MACROS;
pub use named::{Mechanism, Named, Somebody};
pub use options::{explaining, matcher, options};
pub use payload::{Payload, Row, Section, Summary};
pub use protocol::Protocol;
pub use time::UnixNanos;
pub use variables::VARIABLES;
pub use view::{View, write_full};
