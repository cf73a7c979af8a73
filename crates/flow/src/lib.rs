//! Packets go in, ordered bytes per flow come out.
//!
//! Pure: no I/O, no clock, no threads, and no panic on any input. Time is the time of the packets.

mod handler;
mod packet;

pub use handler::{Close, Closing, Data, Direction, FlowHandler, Gap, Opening};
pub use packet::{FlowKey, Frame, Layer4, Ordinal, Outer, Packet, Peer, TcpFields, Timestamp, Transport};
