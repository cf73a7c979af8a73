//! IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293) and UDP (RFC 768) headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fragment::{Fragment, Identity, Outcome};
use super::wire::{Reason, Wire, reason};
use super::{Layer, Step, Walk};
use crate::packet::{Layer4, TcpFields, Transport};

impl Walk<'_> {
    pub(super) fn ip<'a>(&mut self, wire: &mut Wire<'a>) -> Result<Step<'a>, Reason> {
        self.ip_headers = self.ip_headers.checked_sub(1).ok_or(reason!(tunnel_too_deep))?;
        match wire.bytes.first().map(|byte| byte >> 4) {
            Some(4) => self.ipv4(wire),
            Some(6) => self.ipv6(wire),
            Some(_) => Err(reason!(bad_ip_header)),
            None => Err(reason!(truncated_header)),
        }
    }

    fn ipv4<'a>(&mut self, wire: &mut Wire<'a>) -> Result<Step<'a>, Reason> {
        let on_wire = wire.len();
        let header: &[u8; 20] = wire.take()?;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        // A segment that the network card will divide may have length 0 here.
        let total = if total == 0 { on_wire } else { total };
        if header_len < 20 || total < header_len {
            return Err(reason!(bad_ip_header));
        }
        wire.skip(header_len - 20)?;
        wire.limit(total - header_len);
        self.ip_id = u16::from_be_bytes([header[4], header[5]]);
        self.src = IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15]));
        self.dst = IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19]));
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        let protocol = header[9];
        let (offset, more) = (usize::from(fragment & 0x1fff) * 8, fragment & 0x2000 != 0);
        if offset == 0 && !more {
            return self.protocol(protocol, wire);
        }
        let id = u32::from(self.ip_id) | u32::from(protocol) << 16;
        self.fragment(id, offset, more, protocol, wire)
    }

    fn ipv6<'a>(&mut self, wire: &mut Wire<'a>) -> Result<Step<'a>, Reason> {
        let header: &[u8; 40] = wire.take()?;
        let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        // 0 is a jumbogram (RFC 2675) or a segment that the network card will divide.
        if len != 0 {
            wire.limit(len);
        }
        let (_, addresses) = header.split_at(8);
        let (src, dst) = addresses.split_at(16);
        self.src = address(src);
        self.dst = address(dst);
        self.ip_id = 0;
        self.protocol(header[6], wire)
    }

    pub(super) fn protocol<'a>(&mut self, protocol: u8, wire: &mut Wire<'a>) -> Result<Step<'a>, Reason> {
        match protocol {
            6 => self.tcp(wire),
            17 => self.udp(wire),
            // Hop-by-hop, routing, destination options, mobility, HIP, shim6: next header, length in eights.
            0 | 43 | 60 | 135 | 139 | 140 => {
                let [next, len] = *wire.take()?;
                wire.skip(usize::from(len) * 8 + 6)?;
                Ok(Step::Into(Layer::Protocol(next)))
            }
            44 => self.fragment_header(wire),
            // Authentication (RFC 4302): its length counts fours, less two.
            51 => {
                let [next, len] = *wire.take()?;
                wire.skip(usize::from(len) * 4 + 6)?;
                Ok(Step::Into(Layer::Protocol(next)))
            }
            4 | 41 => {
                self.enter_tunnel();
                Ok(Step::Into(Layer::Ip))
            }
            47 => self.gre(wire).map(Step::Into),
            137 => {
                self.enter_tunnel();
                Ok(Step::Into(Layer::Mpls))
            }
            other => Err(other_transport(other)),
        }
    }

    fn fragment_header<'a>(&mut self, wire: &mut Wire<'a>) -> Result<Step<'a>, Reason> {
        let header: &[u8; 8] = wire.take()?;
        let field = u16::from_be_bytes([header[2], header[3]]);
        let id = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        // An atomic fragment is whole by itself (RFC 6946).
        if field & 0xfff9 == 0 {
            return Ok(Step::Into(Layer::Protocol(header[0])));
        }
        self.fragment(id, usize::from(field & 0xfff8), field & 1 != 0, header[0], wire)
    }

    fn fragment<'a>(
        &mut self,
        id: u32,
        offset: usize,
        more: bool,
        protocol: u8,
        wire: &mut Wire<'a>,
    ) -> Result<Step<'a>, Reason> {
        if wire.cut > 0 {
            return Err(reason!(fragment_cut));
        }
        let identity =
            Identity { src: self.src, dst: self.dst, id, realm: self.realm, interface: self.interface };
        let fragment = Fragment { offset, more, protocol, ordinal: self.ordinal, bytes: wire.bytes };
        match self.fragments.add(identity, &fragment, self.at, self.counters) {
            Outcome::Whole(joined) => Ok(Step::Whole(joined)),
            Outcome::Not(reason) => Err(reason),
        }
    }

    fn tcp<'a>(&mut self, wire: &mut Wire<'a>) -> Result<Step<'a>, Reason> {
        let header: &[u8; 20] = wire.take()?;
        let options =
            (usize::from(header[12] >> 4) * 4).checked_sub(20).ok_or(reason!(bad_transport_header))?;
        if options > wire.len() {
            return Err(reason!(bad_transport_header));
        }
        let flags = header[13];
        let syn = flags & 0x02 != 0;
        let scale = if syn { wire.bytes.get(..options).and_then(window_scale) } else { None };
        wire.skip(options)?;
        let u16_at = |high: usize, low: usize| u16::from_be_bytes([header[high], header[low]]);
        let fields = TcpFields {
            sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            acknowledgment: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            flags,
            window: u16_at(14, 15),
            urgent: u16_at(18, 19),
            scale,
        };
        let ports = (u16_at(0, 1), u16_at(2, 3));
        Ok(Step::Packet(self.packet(Transport::Tcp, ports, Layer4::Segment(fields), *wire)))
    }

    fn udp<'a>(&mut self, wire: &mut Wire<'a>) -> Result<Step<'a>, Reason> {
        let on_wire = wire.len();
        let header: &[u8; 8] = wire.take()?;
        let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        // 0 is a jumbogram (RFC 2675 §4).
        if len != 0 {
            if len < 8 || len > on_wire {
                return Err(reason!(bad_transport_header));
            }
            wire.limit(len - 8);
        }
        let ports = (u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]]));
        if let Some(layer) = self.udp_tunnel(ports, wire) {
            return Ok(Step::Into(layer));
        }
        Ok(Step::Packet(self.packet(Transport::Udp, ports, Layer4::Datagram, *wire)))
    }
}

fn address(bytes: &[u8]) -> IpAddr {
    bytes.first_chunk().map_or(super::UNSPECIFIED, |bytes| IpAddr::V6(Ipv6Addr::from_octets(*bytes)))
}

/// Finds option 3 (RFC 7323 §2.2); more than 14 counts as 14.
fn window_scale(mut options: &[u8]) -> Option<u8> {
    loop {
        match *options {
            [0, ..] | [] => return None,
            [1, ..] => options = options.get(1..)?,
            [3, 3, scale, ..] => return Some(scale.min(14)),
            [_, len, ..] if len >= 2 => options = options.get(usize::from(len)..)?,
            _ => return None,
        }
    }
}

fn other_transport(protocol: u8) -> Reason {
    match protocol {
        1 => reason!(icmp),
        2 => reason!(igmp),
        50 => reason!(esp),
        58 => reason!(icmpv6),
        59 => reason!(no_next_header),
        89 => reason!(ospf),
        132 => reason!(sctp),
        _ => reason!(other_transport),
    }
}
