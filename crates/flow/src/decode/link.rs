//! Everything below IP.

use super::wire::{Reason, Wire, reason};
use super::{Layer, Walk};

/// How frames of a LINKTYPE_ begin.
pub(super) fn start(link_type: u32) -> Result<Layer, Reason> {
    Ok(match link_type {
        0 | 108 => Layer::Family,               // NULL, LOOP
        1 => Layer::Ethernet,                   // ETHERNET
        9 | 50 => Layer::Ppp,                   // PPP, PPP_HDLC
        51 => Layer::Pppoe,                     // PPP_ETHER
        12 | 14 | 101 | 228 | 229 => Layer::Ip, // RAW (as two BSDs number it too), IPV4, IPV6
        104 => Layer::Chdlc,                    // C_HDLC
        113 => Layer::Cooked,                   // LINUX_SLL
        239 => Layer::Nflog,                    // NFLOG
        276 => Layer::Cooked2,                  // LINUX_SLL2
        _ => return Err(reason!(unsupported_link_type)),
    })
}

impl Walk<'_> {
    pub(super) fn link(&mut self, layer: Layer, wire: &mut Wire<'_>) -> Result<Layer, Reason> {
        match layer {
            Layer::Ethernet => {
                let header: &[u8; 14] = wire.take()?;
                ether_type(u16::from_be_bytes([header[12], header[13]]), wire)
            }
            Layer::EtherType(0x8100 | 0x88a8 | 0x9100 | 0x9200) => self.vlan(wire),
            Layer::EtherType(number) => by_ether_type(number),
            Layer::Cooked => {
                let header: &[u8; 16] = wire.take()?;
                cooked(u16::from_be_bytes([header[14], header[15]]))
            }
            Layer::Cooked2 => {
                let header: &[u8; 20] = wire.take()?;
                // The device is a capture point of its own.
                self.interface ^= u32::from_be_bytes([header[4], header[5], header[6], header[7]]) << 8;
                cooked(u16::from_be_bytes([header[0], header[1]]))
            }
            Layer::Family => family(wire),
            Layer::Nflog => nflog(wire),
            Layer::Ppp => ppp(wire),
            Layer::Pppoe => pppoe(wire),
            Layer::Chdlc => {
                let header: &[u8; 4] = wire.take()?;
                by_ether_type(u16::from_be_bytes([header[2], header[3]]))
            }
            Layer::Mpls => mpls(wire),
            Layer::Llc => llc(wire),
            Layer::Ip | Layer::Protocol(_) => Ok(layer),
        }
    }

    /// IEEE 802.1Q and 802.1ad; the id 0 is a priority without a network.
    fn vlan(&mut self, wire: &mut Wire<'_>) -> Result<Layer, Reason> {
        let tag: &[u8; 4] = wire.take()?;
        let id = u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff;
        if id != 0 {
            self.enter_realm(1, u32::from(id));
        }
        ether_type(u16::from_be_bytes([tag[2], tag[3]]), wire)
    }
}

/// The field is a length up to 1500, and a type from 1536 on (IEEE 802.3 §3.2.6).
fn ether_type(number: u16, wire: &mut Wire<'_>) -> Result<Layer, Reason> {
    match number {
        0..=1500 => {
            wire.limit(usize::from(number).min(wire.len()));
            Ok(Layer::Llc)
        }
        1501..1536 => Err(reason!(bad_link_header)),
        _ => Ok(Layer::EtherType(number)),
    }
}

fn by_ether_type(number: u16) -> Result<Layer, Reason> {
    match number {
        0x0800 | 0x86dd => Ok(Layer::Ip),
        0x0806 | 0x8035 => Err(reason!(arp)),
        0x6558 => Ok(Layer::Ethernet),
        0x8100 | 0x88a8 | 0x9100 | 0x9200 => Ok(Layer::EtherType(number)),
        0x8847 | 0x8848 => Ok(Layer::Mpls),
        0x8864 => Ok(Layer::Pppoe),
        0x880b => Ok(Layer::Ppp),
        _ => Err(reason!(not_ip)),
    }
}

/// What a GRE or GENEVE header says about what it carries.
pub(super) fn carried(number: u16) -> Result<Layer, Reason> {
    by_ether_type(number)
}

/// The protocol field of a cooked header: small numbers are no `EtherType`.
fn cooked(protocol: u16) -> Result<Layer, Reason> {
    match protocol {
        0x0004 => Ok(Layer::Llc),
        number => by_ether_type(number),
    }
}

/// Address families differ: 2 is IPv4 everywhere, IPv6 is 24, 28 or 30 on the BSDs and 10 on Linux.
fn family(wire: &mut Wire<'_>) -> Result<Layer, Reason> {
    let family = u32::from_le_bytes(*wire.take()?);
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    match family {
        2 | 10 | 24 | 28 | 30 => Ok(Layer::Ip),
        _ => Err(reason!(not_ip)),
    }
}

/// Attribute 9 is the packet; <https://www.tcpdump.org/linktypes/LINKTYPE_NFLOG.html>.
fn nflog(wire: &mut Wire<'_>) -> Result<Layer, Reason> {
    wire.skip(4)?;
    // More attributes than these exist in no kernel.
    for _ in 0..64 {
        let head: &[u8; 4] = wire.take()?;
        // Lengths are in the byte order of the machine that captured: here and wherever this runs.
        let len = usize::from(u16::from_le_bytes([head[0], head[1]]));
        let kind = u16::from_le_bytes([head[2], head[3]]) & 0x7fff;
        let Some(body) = len.checked_sub(4) else { return Err(reason!(bad_link_header)) };
        if kind == 9 {
            wire.limit(body);
            return Ok(Layer::Ip);
        }
        wire.skip(body.next_multiple_of(4))?;
    }
    Err(reason!(bad_link_header))
}

/// RFC 1661, RFC 1662: address and control may be there, and a protocol below 256 may be one byte.
fn ppp(wire: &mut Wire<'_>) -> Result<Layer, Reason> {
    if wire.peek_u16(0) == Some(0xff03) {
        wire.skip(2)?;
    }
    let [first] = *wire.take()?;
    let number =
        if first & 1 == 1 { u16::from(first) } else { u16::from_be_bytes([first, wire.take::<1>()?[0]]) };
    match number {
        0x0021 | 0x0057 => Ok(Layer::Ip),
        0x0281 | 0x0283 => Ok(Layer::Mpls),
        _ => Err(reason!(not_ip)),
    }
}

/// RFC 2516; only session packets (code 0) carry PPP.
fn pppoe(wire: &mut Wire<'_>) -> Result<Layer, Reason> {
    let header: &[u8; 6] = wire.take()?;
    if header[0] != 0x11 {
        return Err(reason!(bad_link_header));
    }
    if header[1] != 0 {
        return Err(reason!(not_ip));
    }
    wire.limit(usize::from(u16::from_be_bytes([header[4], header[5]])));
    Ok(Layer::Ppp)
}

/// RFC 3032. What follows the last label is not said: IP by its version, else Ethernet behind a control word
/// (RFC 4448) or without one.
fn mpls(wire: &mut Wire<'_>) -> Result<Layer, Reason> {
    while wire.take::<4>()?[2] & 1 == 0 {}
    match wire.bytes.first().map(|byte| byte >> 4) {
        Some(4 | 6) => Ok(Layer::Ip),
        Some(0) if wire.peek_u16(0) == Some(0) => {
            wire.skip(4)?;
            Ok(Layer::Ethernet)
        }
        Some(_) => Ok(Layer::Ethernet),
        None => Err(reason!(truncated_header)),
    }
}

/// Only SNAP with a type of its own is of use.
fn llc(wire: &mut Wire<'_>) -> Result<Layer, Reason> {
    if wire.peek_u16(0) != Some(0xaaaa) {
        return Err(reason!(not_ip));
    }
    let header: &[u8; 8] = wire.take()?;
    by_ether_type(u16::from_be_bytes([header[6], header[7]]))
}
