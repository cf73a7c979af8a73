//! A frame goes in, the TCP segment or UDP datagram at its heart comes out, borrowed.
//!
//! Checksums are not looked at: offloading makes those of a machine's own packets wrong.

mod fragment;
mod ip;
mod link;
#[cfg(test)]
mod tests;
mod tunnel;
mod wire;

use std::net::{IpAddr, Ipv4Addr};

use fragment::{Fragments, Joined};
use wire::{Reason, Wire, reason};

use crate::counters::DecodeCounters;
use crate::hash::mix;
use crate::limits::Limits;
use crate::packet::{FlowKey, Frame, Layer4, Ordinal, Outer, Packet, Peer, Timestamp, Transport};

/// Turns frames into packets. It owns the reassembly of fragments, so a source has one, on the thread that reads it.
pub struct Decoder {
    limits: Limits,
    counters: DecodeCounters,
    fragments: Fragments,
    /// Datagrams made whole by the frame at hand: an outer one, and one inside it.
    whole: [Vec<u8>; 2],
    /// The frames that brought their fragments, the frame at hand among them.
    parts: Vec<Ordinal>,
}

impl Decoder {
    /// A decoder that keeps within `limits`.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            counters: DecodeCounters::default(),
            fragments: Fragments::new(limits),
            whole: [Vec::new(), Vec::new()],
            parts: Vec::new(),
        }
    }

    /// The packet in `frame`; `None` when it is a fragment that has to wait, is not TCP or UDP over IP, or is broken.
    /// Which, is counted.
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Option<Packet<'a>> {
        self.parts.clear();
        self.counters.frames += 1;
        self.counters.frame_bytes += frame.bytes.len() as u64;
        let cut = frame.wire_len.saturating_sub(frame.bytes.len() as u32);
        let mut walk = Walk {
            fragments: &mut self.fragments,
            counters: &mut self.counters,
            parts: &mut self.parts,
            ip_headers: self.limits.ip_headers,
            ordinal: frame.ordinal,
            at: frame.at,
            interface: frame.interface,
            realm: 0,
            outer: None,
            src: UNSPECIFIED,
            dst: UNSPECIFIED,
            ip_id: 0,
        };
        let start = link::start(frame.link_type);
        let end = start.and_then(|layer| walk.run(layer, Wire { bytes: frame.bytes, cut }));
        match end.and_then(|end| walk.rejoin(end, &mut self.whole)) {
            Ok(packet) => {
                match packet.layer4 {
                    Layer4::Segment(_) => walk.counters.tcp += 1,
                    Layer4::Datagram => walk.counters.udp += 1,
                }
                Some(packet)
            }
            Err(reason) => {
                *reason(walk.counters) += 1;
                None
            }
        }
    }

    /// Gives up the datagrams that have waited too long for their fragments.
    pub fn tick(&mut self, now: Timestamp) {
        self.fragments.tick(now, &mut self.counters);
    }

    /// The frames that brought the fragments of the packet that was decoded last; none if it came whole.
    pub fn parts(&self) -> &[Ordinal] {
        &self.parts
    }

    /// What became of the frames so far.
    pub fn counters(&self) -> &DecodeCounters {
        &self.counters
    }

    /// Whether frames of this LINKTYPE_ can be decoded.
    pub fn supports(link_type: u32) -> bool {
        link::start(link_type).is_ok()
    }
}

const UNSPECIFIED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What the next bytes of a frame are.
#[derive(Clone, Copy)]
enum Layer {
    /// An Ethernet header.
    Ethernet,
    /// Linux cooked capture, version 1.
    Cooked,
    /// Linux cooked capture, version 2.
    Cooked2,
    /// The address family that BSD loopback puts first; in whose byte order, its value tells.
    Family,
    /// A list of NFLOG attributes.
    Nflog,
    /// PPP, with or without HDLC framing.
    Ppp,
    /// `PPPoE`, after its `EtherType`.
    Pppoe,
    /// Cisco HDLC.
    Chdlc,
    /// MPLS label stack entries.
    Mpls,
    /// LLC, RFC 1042.
    Llc,
    /// What this `EtherType` says.
    EtherType(u16),
    /// IP; the version is in its first four bits.
    Ip,
    /// What this IP protocol number says.
    Protocol(u8),
}

/// Where a step leads.
enum Step<'a> {
    /// More headers.
    Into(Layer),
    /// The packet.
    Packet(Packet<'a>),
    /// A datagram that this frame made whole.
    Whole(Joined),
}

/// Where the layers of a buffer lead.
enum End<'a> {
    Packet(Packet<'a>),
    Whole(Joined),
}

/// One frame on its way through the layers.
struct Walk<'d> {
    fragments: &'d mut Fragments,
    counters: &'d mut DecodeCounters,
    parts: &'d mut Vec<Ordinal>,
    ip_headers: u8,
    ordinal: Ordinal,
    at: Timestamp,
    interface: u32,
    realm: u32,
    outer: Option<Outer>,
    src: IpAddr,
    dst: IpAddr,
    ip_id: u16,
}

/// No frame that means well has more headers than this; each VLAN tag is one.
const MAX_LAYERS: usize = 48;

impl Walk<'_> {
    fn run<'a>(&mut self, mut layer: Layer, mut wire: Wire<'a>) -> Result<End<'a>, Reason> {
        for _ in 0..MAX_LAYERS {
            layer = match self.step(layer, &mut wire)? {
                Step::Into(layer) => layer,
                Step::Packet(packet) => return Ok(End::Packet(packet)),
                Step::Whole(joined) => return Ok(End::Whole(joined)),
            };
        }
        Err(reason!(tunnel_too_deep))
    }

    /// Goes on inside a datagram that was just made whole, which may hold fragments in its turn.
    fn rejoin<'a>(&mut self, end: End<'a>, whole: &'a mut [Vec<u8>]) -> Result<Packet<'a>, Reason> {
        match end {
            End::Packet(packet) => Ok(packet),
            End::Whole(joined) => {
                let (buffer, rest) = whole.split_first_mut().ok_or(reason!(tunnel_too_deep))?;
                *buffer = joined.bytes;
                self.parts.extend(joined.ordinals);
                let end = self.run(Layer::Protocol(joined.protocol), Wire { bytes: buffer, cut: 0 })?;
                self.rejoin(end, rest)
            }
        }
    }

    fn step<'a>(&mut self, layer: Layer, wire: &mut Wire<'a>) -> Result<Step<'a>, Reason> {
        match layer {
            Layer::Ip => self.ip(wire),
            Layer::Protocol(protocol) => self.protocol(protocol, wire),
            _ => self.link(layer, wire).map(Step::Into),
        }
    }

    /// Keeps apart what has equal addresses in another network.
    fn enter_realm(&mut self, kind: u8, id: u32) {
        self.realm = mix(u64::from(self.realm), u64::from(kind) << 32 | u64::from(id)) as u32;
    }

    /// The IP header just read is that of a tunnel.
    fn enter_tunnel(&mut self) {
        self.outer = self.outer.or(Some(Outer { src: self.src, dst: self.dst }));
    }

    fn packet<'a>(
        &self,
        transport: Transport,
        ports: (u16, u16),
        layer4: Layer4,
        wire: Wire<'a>,
    ) -> Packet<'a> {
        let src = Peer { ip: self.src, port: ports.0 };
        let dst = Peer { ip: self.dst, port: ports.1 };
        let (key, from_low) = FlowKey::of(src, dst, transport, self.realm);
        Packet {
            ordinal: self.ordinal,
            at: self.at,
            interface: self.interface,
            key,
            from_low,
            layer4,
            cut: wire.cut,
            ip_id: self.ip_id,
            outer: self.outer,
            payload: wire.bytes,
        }
    }
}
