//! Packets inside packets. A port alone is no proof: what does not look like the tunnel stays a datagram.
//!
//! Only a VXLAN id on its own port enters the realm of a flow. Other tunnel ids may differ between the two directions of
//! one flow: Cilium puts the sender's identity there, OVN the datapath, GTP and GRE have one per receiver.

use super::wire::{Reason, Wire, reason};
use super::{Layer, Walk, link};

impl Walk<'_> {
    /// Whether a datagram between these ports is a tunnel's; if so, `wire` is moved past the tunnel's header.
    pub(super) fn udp_tunnel(&mut self, ports: (u16, u16), wire: &mut Wire<'_>) -> Option<Layer> {
        let mut inner = *wire;
        let layer = match ports {
            (_, 4789) => {
                let (layer, id) = vxlan(&mut inner)?;
                self.enter_realm(2, id);
                layer
            }
            (_, 8472) => vxlan(&mut inner)?.0,
            (_, 6081) | (6081, _) => geneve(&mut inner)?,
            (_, 4754) | (4754, _) => gre_in_udp(&mut inner)?,
            (_, 5072) | (5072, _) => ayiya(&mut inner)?,
            (_, 2152) | (2152, _) => gtp(&mut inner)?,
            (_, 3544) | (3544, _) => teredo(&mut inner)?,
            _ => return None,
        };
        *wire = inner;
        self.enter_tunnel();
        Some(layer)
    }

    /// RFC 2784, RFC 2890, RFC 2637 (version 1), ERSPAN (draft-foschiano-erspan-03).
    pub(super) fn gre(&mut self, wire: &mut Wire<'_>) -> Result<Layer, Reason> {
        let header: &[u8; 4] = wire.take()?;
        let [flags, version, ..] = *header;
        let protocol = u16::from_be_bytes([header[2], header[3]]);
        let mut optional = 0;
        for (bit, len) in [(0x80, 4), (0x20, 4), (0x10, 4)] {
            if flags & bit != 0 {
                optional += len;
            }
        }
        match version & 0x07 {
            0 if flags & 0x40 == 0 => {}
            1 if protocol == 0x880b => optional += if version & 0x80 != 0 { 4 } else { 0 },
            // Source routing (RFC 1701) is long forbidden.
            _ => return Err(reason!(bad_link_header)),
        }
        wire.skip(optional)?;
        self.enter_tunnel();
        match protocol {
            0x88be => {
                // Type I has neither sequence number nor header of its own; type II has both.
                wire.skip(if flags & 0x10 != 0 { 8 } else { 0 })?;
                Ok(Layer::Ethernet)
            }
            0x22eb => {
                let header: &[u8; 12] = wire.take()?;
                wire.skip(if header[11] & 1 != 0 { 8 } else { 0 })?;
                Ok(Layer::Ethernet)
            }
            number => link::carried(number),
        }
    }
}

/// RFC 7348, and the group policy extension, which uses other bits of the first word.
fn vxlan(wire: &mut Wire<'_>) -> Option<(Layer, u32)> {
    let header: &[u8; 8] = wire.take().ok()?;
    let known = header[0] & 0x77 == 0 && header[0] & 0x08 != 0 && header[7] == 0;
    let id = u32::from_be_bytes([0, header[4], header[5], header[6]]);
    (known && wire.len() >= 14).then_some((Layer::Ethernet, id))
}

/// RFC 8926.
fn geneve(wire: &mut Wire<'_>) -> Option<Layer> {
    let header: &[u8; 8] = wire.take().ok()?;
    let options = usize::from(header[0] & 0x3f) * 4;
    let protocol = u16::from_be_bytes([header[2], header[3]]);
    wire.skip(options).ok()?;
    (header[0] >> 6 == 0 && matches!(protocol, 0x0800 | 0x86dd | 0x6558))
        .then(|| link::carried(protocol).ok())
        .flatten()
}

/// 3GPP TS 29.281: version 1, a G-PDU; extension headers are chained by their last byte.
fn gtp(wire: &mut Wire<'_>) -> Option<Layer> {
    let header: &[u8; 8] = wire.take().ok()?;
    if header[0] & 0xf0 != 0x30 || header[1] != 0xff {
        return None;
    }
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if len > wire.len() {
        return None;
    }
    wire.limit(len);
    if header[0] & 0x07 != 0 {
        let optional: &[u8; 4] = wire.take().ok()?;
        let mut next = if header[0] & 0x04 != 0 { optional[3] } else { 0 };
        while next != 0 {
            let [fours] = *wire.take().ok()?;
            let body = (usize::from(fours) * 4).checked_sub(2)?;
            wire.skip(body).ok()?;
            [next] = *wire.take().ok()?;
        }
    }
    looks_like_ip(wire).then_some(Layer::Ip)
}

/// RFC 8086: a plain GRE header of version 0, without source routing; what it carries must look like what it says.
fn gre_in_udp(wire: &mut Wire<'_>) -> Option<Layer> {
    let header: &[u8; 4] = wire.take().ok()?;
    let [flags, version, ..] = *header;
    // Checksum, key, sequence number; all other bits are 0.
    if flags & 0x4f != 0 || version != 0 {
        return None;
    }
    let optional = [0x80, 0x20, 0x10].iter().filter(|&bit| flags & bit != 0).count() * 4;
    wire.skip(optional).ok()?;
    match u16::from_be_bytes([header[2], header[3]]) {
        number @ (0x0800 | 0x86dd) if looks_like_ip(wire) => link::carried(number).ok(),
        number @ 0x6558 if wire.len() >= 14 => link::carried(number).ok(),
        _ => None,
    }
}

/// AYIYA (draft-massar-v6ops-ayiya-02 §3): a header, an identity and a signature whose lengths it tells, then IPv6.
fn ayiya(wire: &mut Wire<'_>) -> Option<Layer> {
    let [identity, signature, operation, next, ..] = *wire.take::<8>().ok()?;
    let forward = operation & 0x0f == 1;
    let identity_len = 1_usize.checked_shl(u32::from(identity >> 4))?;
    if !forward || next != 41 || identity_len > 64 {
        return None;
    }
    wire.skip(identity_len + usize::from(signature >> 4) * 4).ok()?;
    (wire.bytes.first()? >> 4 == 6).then_some(Layer::Ip)
}

/// RFC 4380 §5.1.1: authentication and origin may come before IPv6.
fn teredo(wire: &mut Wire<'_>) -> Option<Layer> {
    if wire.peek_u16(0) == Some(1) {
        let header: &[u8; 4] = wire.take().ok()?;
        wire.skip(usize::from(header[2]) + usize::from(header[3]) + 9).ok()?;
    }
    if wire.peek_u16(0) == Some(0) {
        wire.skip(8).ok()?;
    }
    let len = usize::from(wire.peek_u16(4)?);
    (wire.bytes.first()? >> 4 == 6 && wire.len() >= len + 40).then_some(Layer::Ip)
}

fn looks_like_ip(wire: &Wire<'_>) -> bool {
    matches!(wire.bytes.first().map(|byte| byte >> 4), Some(4 | 6))
}
