//! Packets as `onPacketCaptured` sees them.

use flow::Ordinal;
use scripting::wire::PacketInfo;

use crate::batch::{Batch, KeptFrame};

/// What is told of the frames of a batch, and where they stand in the source.
pub(crate) fn infos(batch: &Batch) -> impl Iterator<Item = (Ordinal, PacketInfo)> {
    let frames = batch.frames();
    let info = |frame: &KeptFrame| PacketInfo {
        at: frame.at.0,
        captured: frame.bytes.len() as u32,
        length: frame.wire_len,
        fragmented: is_fragment(frame.link_type, frames.arena.get(frame.bytes.clone()).unwrap_or_default()),
    };
    frames.kept.iter().map(move |frame| (frame.ordinal, info(frame)))
}

/// Whether a frame carries a part of an IP packet: IPv4 with an offset or more to come (RFC 791 §3.1), IPv6 with a
/// fragment header right behind its own (RFC 8200 §4.5). Tunnels are not looked into.
fn is_fragment(link_type: u32, frame: &[u8]) -> bool {
    let Some(packet) = ip_packet(link_type, frame) else { return false };
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => {
            packet.get(6..8).is_some_and(|field| u16::from_be_bytes([field[0], field[1]]) & 0x3fff != 0)
        }
        Some(6) => packet.get(6) == Some(&44),
        _ => false,
    }
}

/// The IP packet of a frame; see <https://www.tcpdump.org/linktypes.html>.
fn ip_packet(link_type: u32, frame: &[u8]) -> Option<&[u8]> {
    match link_type {
        // Ethernet: two addresses, any number of VLAN tags, a type.
        1 => {
            let mut at = 12;
            while matches!(frame.get(at..at + 2)?, [0x81, 0] | [0x88, 0xa8]) {
                at += 4;
            }
            frame.get(at + 2..)
        }
        // Raw IP, IPv4, IPv6.
        101 | 228 | 229 => Some(frame),
        // BSD loopback: the family.
        0 | 108 => frame.get(4..),
        // Linux cooked, first and second form.
        113 => frame.get(16..),
        276 => frame.get(20..),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_told_from_whole_packets() {
        let v4 = |field: [u8; 2]| [&[0x45, 0, 0, 40, 0, 1], &field[..], &[64, 6]].concat();
        let v6 = |next: u8| [0x60, 0, 0, 0, 0, 8, next, 64].to_vec();
        let ethernet = |middle: &[u8], ip: &[u8]| [&[0; 12], middle, ip].concat();
        for (link_type, frame, expected) in [
            (101, v4([0x40, 0]), false),
            (101, v4([0x20, 0]), true),
            (101, v4([0, 9]), true),
            (101, v6(6), false),
            (101, v6(44), true),
            (1, ethernet(&[8, 0], &v4([0x20, 0])), true),
            (1, ethernet(&[0x81, 0, 0, 1, 8, 0], &v4([0x20, 0])), true),
            (1, ethernet(&[8, 6], &[0, 1, 8, 0]), false),
            (113, [&[0; 16][..], &v4([0x20, 0])].concat(), true),
            (276, [&[0; 20][..], &v4([0, 0])].concat(), false),
            (1, vec![0; 5], false),
            (105, v4([0x20, 0]), false),
        ] {
            assert_eq!(is_fragment(link_type, &frame), expected, "{link_type} {frame:?}");
        }
    }
}
