//! Packets as files that other programs read: pcap with nanoseconds, or pcapng where link types differ.
//!
//! A pcap file has one link type (draft-ietf-opsawg-pcap); packets of several can only lie in a pcapng
//! (draft-ietf-opsawg-pcapng), where each interface has its own.

use std::collections::BTreeSet;

use super::record::Header;

/// Longer frames are not captured; so the file says.
const SNAPLEN: u32 = 262_144;

/// How a file is written.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// All packets have this LINKTYPE_ number.
    Pcap(u32),
    /// The link types described so far.
    Pcapng(Vec<u32>),
}

/// A packet that a pcap of another link type can't hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OtherLinkType;

impl Form {
    /// The plainest form for packets of these link types.
    pub(super) fn of(link_types: &BTreeSet<u32>) -> Self {
        match link_types.first() {
            Some(&only) if link_types.len() == 1 => Self::Pcap(only),
            None => Self::Pcap(1),
            Some(_) => Self::Pcapng(Vec::new()),
        }
    }

    /// What the file begins with.
    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        match self {
            Self::Pcap(link_type) => {
                out.extend(0xa1b2_3c4d_u32.to_le_bytes());
                out.extend([2, 0, 4, 0]);
                out.extend([0; 8]);
                out.extend(SNAPLEN.to_le_bytes());
                out.extend(link_type.to_le_bytes());
            }
            Self::Pcapng(_) => {
                let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
                body.extend([1, 0, 0, 0]);
                body.extend([0xff; 8]);
                block(0x0a0d_0d0a, &[&body], out);
            }
        }
    }

    /// Appends a packet.
    pub(super) fn packet(
        &mut self,
        header: &Header,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), OtherLinkType> {
        match self {
            Self::Pcap(link_type) if *link_type != header.link_type => return Err(OtherLinkType),
            Self::Pcap(_) => {
                let (seconds, nanos) = (header.at.div_euclid(SECOND), header.at.rem_euclid(SECOND));
                let seconds = u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
                for word in [seconds, nanos as u32, header.captured, header.wire] {
                    out.extend(word.to_le_bytes());
                }
                out.extend_from_slice(bytes);
            }
            Self::Pcapng(known) => {
                let interface = known.iter().position(|link_type| *link_type == header.link_type);
                let interface = interface.unwrap_or_else(|| {
                    known.push(header.link_type);
                    describe(header.link_type, out);
                    known.len() - 1
                });
                let at = header.at.max(0) as u64;
                let words = [interface as u32, (at >> 32) as u32, at as u32, header.captured, header.wire];
                let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                block(6, &[&head, bytes], out);
            }
        }
        Ok(())
    }
}

const SECOND: i64 = 1_000_000_000;

/// An interface description whose times are in nanoseconds (option 9, `if_tsresol`).
fn describe(link_type: u32, out: &mut Vec<u8>) {
    let mut body = (link_type as u16).to_le_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(SNAPLEN.to_le_bytes());
    body.extend([9, 0, 1, 0, 9, 0, 0, 0]);
    body.extend([0; 4]);
    block(1, &[&body], out);
}

fn block(kind: u32, parts: &[&[u8]], out: &mut Vec<u8>) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let padding = len.next_multiple_of(4) - len;
    let total = ((len + padding + 12) as u32).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(total);
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend(&[0; 3][..padding]);
    out.extend(total);
}
