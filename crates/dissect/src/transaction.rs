//! What dissection yields.

use api::{Fault, Flags, Payload, Protocol};
use flow::{Ordinal, Timestamp};

/// A request and its response, or the half of it that was seen.
#[derive(Debug)]
pub struct Transaction {
    /// What was spoken.
    pub protocol: &'static Protocol,
    /// The flow's client is in truth the server: the capture began in the middle and with an answer.
    pub swapped: bool,
    /// The packet, or the tick, that completed it.
    pub ordinal: Ordinal,
    /// What was asked.
    pub request: Option<Half>,
    /// What was answered.
    pub response: Option<Half>,
    /// Why a half is missing or broken.
    pub error: Option<Fault>,
    /// What it is made of.
    pub flags: Flags,
}

/// One message of a transaction, stamped by the session.
#[derive(Debug)]
pub struct Half {
    /// The protocol's own struct.
    pub payload: Box<dyn Payload>,
    /// When its first byte was captured.
    pub first: Timestamp,
    /// When its last byte was captured.
    pub last: Timestamp,
    /// Its length on the wire, in bytes of TCP or UDP payload.
    pub size: u64,
}
