//! Packets go in, ordered bytes per flow come out.
//!
//! Pure: no I/O, no clock, no threads, and no panic on any input. Time is the time of the packets.
//!
//! ```text
//! Frame ──▶ Decoder ──▶ Packet ──▶ FlowTable ──▶ FlowHandler
//!           one per     of one     one per       open, data, gap,
//!           source      shard      shard         half_close, close
//! ```

mod copies;
mod counters;
mod decode;
mod handler;
mod hash;
mod limits;
mod outlet;
mod packet;
mod sequence;
mod table;
mod tcp;
#[cfg(test)]
mod testing;
mod udp;

pub use copies::Copies;
pub use counters::{DecodeCounters, FlowCounters};
pub use decode::Decoder;
pub use handler::{Close, Closing, Data, Direction, FlowHandler, Gap, Opening};
pub use limits::Limits;
pub use packet::{
    FlowKey, Frame, Layer4, Ordinal, Outer, Packet, Peer, SHARDS, TcpFields, Timestamp, Transport,
};
pub use table::{FlowTable, Share};
