//! What a source hands over, and what decoding makes of it.

use std::net::IpAddr;
use std::time::Duration;

use crate::hash::mix;

/// Into how many parts flows are divided. It never changes with the number of threads, so neither does the output.
pub const SHARDS: usize = 64;

/// Nanoseconds since the Unix epoch, as the capture says: never the clock of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// The number of a packet in its source: 1, 2, 3 …
///
/// It orders everything that is derived from packets, so output never depends on the number of threads.
pub type Ordinal = u64;

/// One captured frame as a source lends it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its place in the source.
    pub ordinal: Ordinal,
    /// When it was captured.
    pub at: Timestamp,
    /// The capture point: an interface of a pcapng file or of this machine; 0 where there is one only.
    pub interface: u32,
    /// How `bytes` begin: a LINKTYPE_ number, <https://www.tcpdump.org/linktypes.html>.
    pub link_type: u32,
    /// Length on the wire, in bytes; more than `bytes.len()` when the capture cut the frame short.
    pub wire_len: u32,
    /// What was captured.
    pub bytes: &'a [u8],
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Its address; an IPv4-mapped IPv6 address stays what the packet said.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
}

/// What a flow is carried by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

/// Both ends of a flow, the lower first, so that its two directions have one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// The end that sorts first.
    pub low: Peer,
    /// The other end.
    pub high: Peer,
    /// TCP or UDP.
    pub transport: Transport,
    /// What keeps flows of equal addresses apart: a hash of VLAN ids, tunnel ids and the like; 0 where there are none.
    pub realm: u32,
}

/// The endpoints of the outermost tunnel that a packet came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Who sent the outer packet.
    pub src: IpAddr,
    /// Whom it was sent to.
    pub dst: IpAddr,
}

/// The fields of a TCP header that reassembly needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFields {
    /// Sequence number of the first byte of the payload (of the SYN itself where that is set).
    pub sequence: u32,
    /// Acknowledgment number; meaningless without the ACK flag.
    pub acknowledgment: u32,
    /// CWR, ECE, URG, ACK, PSH, RST, SYN, FIN from bit 7 to bit 0.
    pub flags: u8,
    /// The window field as sent, unscaled.
    pub window: u16,
    /// The urgent pointer.
    pub urgent: u16,
    /// The window scale option, which only a SYN can carry (RFC 7323 §2.2).
    pub scale: Option<u8>,
}

/// What a packet carries above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer4 {
    /// A TCP segment.
    Segment(TcpFields),
    /// A UDP datagram.
    Datagram,
}

/// A decoded packet: of which flow, which way, and its payload.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Its place in the source.
    pub ordinal: Ordinal,
    /// When it was captured.
    pub at: Timestamp,
    /// The capture point: that of the frame, told apart further by the device that an SLL2 header names.
    pub interface: u32,
    /// Both ends.
    pub key: FlowKey,
    /// Whether `key.low` sent it.
    pub from_low: bool,
    /// TCP's fields, or UDP.
    pub layer4: Layer4,
    /// Payload bytes that the sender sent and the capture cut off.
    pub cut: u32,
    /// The innermost IPv4 identification, 0 for IPv6: it tells a retransmission from the same packet seen twice.
    pub ip_id: u16,
    /// The tunnel that it came through.
    pub outer: Option<Outer>,
    /// What TCP or UDP carries.
    pub payload: &'a [u8],
}

impl FlowKey {
    /// The key of a packet from `src` to `dst`, and whether `src` is its low end.
    pub fn of(src: Peer, dst: Peer, transport: Transport, realm: u32) -> (Self, bool) {
        if src <= dst {
            (Self { low: src, high: dst, transport, realm }, true)
        } else {
            (Self { low: dst, high: src, transport, realm }, false)
        }
    }

    /// Which shard the flow belongs to, `0..SHARDS`: the same for both directions, in every run.
    pub fn shard(&self) -> usize {
        // The top bits; the index of a shard's table uses the others.
        (self.digest() >> 58) as usize % SHARDS
    }

    pub(crate) fn digest(&self) -> u64 {
        let ports = u64::from(self.low.port) << 16 | u64::from(self.high.port);
        let rest = u64::from(self.realm) << 32 | ports;
        let transport = match self.transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
        };
        mix(mix(fold(self.low.ip), fold(self.high.ip).rotate_left(32)), mix(rest, transport))
    }
}

fn fold(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => mix((ip.to_bits() >> 64) as u64, ip.to_bits() as u64),
    }
}

impl Timestamp {
    /// Whether at least `wait` passed since `earlier`. A clock that steps back has let no time pass.
    pub(crate) fn passed(self, wait: Duration, earlier: Self) -> bool {
        i128::from(self.0) - i128::from(earlier.0) >= wait.as_nanos() as i128
    }
}

/// TCP flags, RFC 9293 §3.1.
impl TcpFields {
    pub(crate) fn fin(&self) -> bool {
        self.flags & 0x01 != 0
    }

    pub(crate) fn syn(&self) -> bool {
        self.flags & 0x02 != 0
    }

    pub(crate) fn rst(&self) -> bool {
        self.flags & 0x04 != 0
    }

    pub(crate) fn ack(&self) -> bool {
        self.flags & 0x10 != 0
    }
}
