//! Packets made by hand: the segments of a conversation, and the frames that could have carried them.

use crate::pcap::{Capture, Frame};

/// TCP flags.
pub const FIN: u8 = 0x01;
/// As above.
pub const SYN: u8 = 0x02;
/// As above.
pub const RST: u8 = 0x04;
/// As above.
pub const ACK: u8 = 0x10;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that asks.
    Client,
    /// The one that answers.
    Server,
}

/// A TCP segment. Sequence numbers count from the first byte of each side's stream.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Who sends it.
    pub from: Side,
    /// Of the first byte of its payload; −1 is the SYN.
    pub sequence: i64,
    /// What it acknowledges.
    pub acknowledgment: i64,
    /// Its flags.
    pub flags: u8,
    /// What it carries.
    pub payload: Vec<u8>,
    /// Whether its checksum is wrong.
    pub forged: bool,
    /// Time since the segment before it, in milliseconds.
    pub wait: u64,
}

/// A conversation: what both sides send, in the order of the capture.
#[derive(Clone, Debug, Default)]
pub struct Talk {
    /// Its segments.
    pub segments: Vec<Segment>,
    sent: [i64; 2],
}

impl Talk {
    /// One that begins with a handshake.
    pub fn open() -> Self {
        let mut talk = Self::default();
        talk.push(Side::Client, -1, SYN, b"");
        talk.push(Side::Server, -1, SYN | ACK, b"");
        talk.push(Side::Client, 0, ACK, b"");
        talk
    }

    /// `from` sends bytes in one segment; the other side acknowledges them.
    pub fn say(&mut self, from: Side, payload: &[u8]) -> &mut Self {
        self.split(from, payload, &[])
    }

    /// The same, in several segments that are cut at these places.
    pub fn split(&mut self, from: Side, payload: &[u8], cuts: &[usize]) -> &mut Self {
        let ends = cuts.iter().copied().chain([payload.len()]);
        let mut start = 0;
        for end in ends {
            let at = self.sent[from as usize];
            self.push(from, at, ACK, &payload[start..end]);
            self.sent[from as usize] += (end - start) as i64;
            start = end;
        }
        let other = from.other();
        self.push(other, self.sent[other as usize], ACK, b"");
        self
    }

    /// Both sides finish.
    pub fn close(&mut self) -> &mut Self {
        self.push(Side::Client, self.sent[0], FIN | ACK, b"");
        self.sent[0] += 1;
        self.push(Side::Server, self.sent[1], FIN | ACK, b"");
        self.sent[1] += 1;
        self.push(Side::Client, self.sent[0], ACK, b"");
        self
    }

    /// A segment as it is told.
    pub fn push(&mut self, from: Side, sequence: i64, flags: u8, payload: &[u8]) -> &mut Self {
        let acknowledgment = self.sent[from.other() as usize];
        let payload = payload.to_vec();
        self.segments.push(Segment {
            from,
            sequence,
            acknowledgment,
            flags,
            payload,
            forged: false,
            wait: 1,
        });
        self
    }

    /// Where in `segments` those are that carry bytes of `from`.
    pub fn carrying(&self, from: Side) -> Vec<usize> {
        let carries = |segment: &Segment| segment.from == from && !segment.payload.is_empty();
        (0..self.segments.len()).filter(|&at| carries(&self.segments[at])).collect()
    }

    /// Drops the segments at these places.
    pub fn lose(&mut self, places: &[usize]) -> &mut Self {
        let mut at = 0;
        self.segments.retain(|_| {
            at += 1;
            !places.contains(&(at - 1))
        });
        self
    }

    /// Takes the segment at `from` out and puts it back at `to`.
    pub fn shift(&mut self, from: usize, to: usize) -> &mut Self {
        let segment = self.segments.remove(from);
        self.segments.insert(to, segment);
        self
    }
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        if self == Self::Client { Self::Server } else { Self::Client }
    }
}

/// What carries IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Ethernet.
    Ethernet,
    /// A VLAN tag.
    Vlan,
    /// Two of them.
    QinQ,
    /// VXLAN on this port.
    Vxlan(u16),
    /// GENEVE.
    Geneve,
    /// GRE.
    Gre,
    /// An IP header more.
    IpInIp,
    /// Linux cooked capture.
    Sll,
    /// Its second version.
    Sll2,
    /// IP and nothing before it.
    Raw,
    /// IPv6 with hop-by-hop options.
    HopByHop,
    /// IPv4 in fragments of 16 bytes, the last one first if so told.
    Fragments {
        /// Whether it is.
        reversed: bool,
    },
}

/// How a conversation looks in a capture.
#[derive(Clone, Copy, Debug)]
pub struct Dress {
    /// IPv6.
    pub v6: bool,
    /// The client has the higher address.
    pub client_high: bool,
    /// The sequence numbers of the SYNs.
    pub initial: [u32; 2],
    /// What is below.
    pub carrier: Carrier,
}

/// Ethernet, IPv4, the client has the lower address.
pub const PLAIN: Dress =
    Dress { v6: false, client_high: false, initial: [1_000_000, 2_000_000], carrier: Carrier::Ethernet };

/// The client's port; the server's is 80.
pub const CLIENT_PORT: u16 = 40_000;

impl Dress {
    /// The capture of these segments.
    pub fn capture(&self, segments: &[Segment]) -> Capture {
        let mut at = 1_700_000_000_000_000_000;
        let mut frames = Vec::new();
        for (number, segment) in segments.iter().enumerate() {
            at += segment.wait * 1_000_000;
            let packets = self.packets(segment, number as u16 + 1);
            frames.extend(packets.into_iter().map(|bytes| Frame::new(at, self.carry(segment.from, bytes))));
        }
        let link_type = match self.carrier {
            Carrier::Sll => 113,
            Carrier::Sll2 => 276,
            Carrier::Raw => 101,
            _ => 1,
        };
        Capture { link_type, frames }
    }

    /// The IP packets of a segment.
    fn packets(&self, segment: &Segment, id: u16) -> Vec<Vec<u8>> {
        let tcp = self.tcp(segment);
        let (from, to) = self.addresses(segment.from);
        if self.v6 {
            let hop_by_hop = self.carrier == Carrier::HopByHop;
            let body = if hop_by_hop { [&[6, 0, 1, 4, 0, 0, 0, 0], &tcp[..]].concat() } else { tcp };
            return vec![ipv6(&from, &to, if hop_by_hop { 0 } else { 6 }, &body)];
        }
        let Carrier::Fragments { reversed } = self.carrier else {
            return vec![ipv4(&from, &to, 6, id, 0, &tcp)];
        };
        let pieces: Vec<_> = tcp.chunks(16).collect();
        let last = pieces.len() - 1;
        let fragment = |(number, piece): (usize, &&[u8])| {
            let field = (number * 2) as u16 | if number == last { 0 } else { 0x2000 };
            ipv4(&from, &to, 6, id, field, piece)
        };
        let mut packets: Vec<_> = pieces.iter().enumerate().map(fragment).collect();
        if reversed {
            packets.reverse();
        }
        packets
    }

    fn addresses(&self, from: Side) -> (Vec<u8>, Vec<u8>) {
        let of = |side: Side| {
            let last = if (side == Side::Client) == self.client_high { 9 } else { 1 };
            if self.v6 { [&[0xfd, 0][..], &[0; 13], &[last]].concat() } else { vec![10, 0, 0, last] }
        };
        (of(from), of(from.other()))
    }

    fn tcp(&self, segment: &Segment) -> Vec<u8> {
        let absolute =
            |side: Side, offset: i64| self.initial[side as usize].wrapping_add(1).wrapping_add(offset as u32);
        let ports = if segment.from == Side::Client { [CLIENT_PORT, 80] } else { [80, CLIENT_PORT] };
        let acknowledgment =
            if segment.flags & ACK == 0 { 0 } else { absolute(segment.from.other(), segment.acknowledgment) };
        let mut tcp = ports.map(u16::to_be_bytes).concat();
        tcp.extend(absolute(segment.from, segment.sequence).to_be_bytes());
        tcp.extend(acknowledgment.to_be_bytes());
        tcp.extend([0x50, segment.flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(&segment.payload);
        let (from, to) = self.addresses(segment.from);
        let sum = transport_checksum(&from, &to, 6, &tcp) ^ u16::from(segment.forged);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        tcp
    }

    /// Puts an IP packet into its frame.
    fn carry(&self, from: Side, ip: Vec<u8>) -> Vec<u8> {
        let kind: [u8; 2] = if self.v6 { [0x86, 0xdd] } else { [8, 0] };
        let ethernet =
            |middle: &[u8], ip: &[u8]| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], middle, ip].concat();
        let nodes = if from == Side::Client { [1, 2] } else { [2, 1] };
        let outer = |protocol: u8, body: &[u8]| {
            let packet = ipv4(&[192, 168, 7, nodes[0]], &[192, 168, 7, nodes[1]], protocol, 77, 0, body);
            ethernet(&[8, 0], &packet)
        };
        let inner = ethernet(&kind, &ip);
        match self.carrier {
            Carrier::Vlan => ethernet(&[&[0x81, 0, 0, 42][..], &kind].concat(), &ip),
            Carrier::QinQ => ethernet(&[&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 42][..], &kind].concat(), &ip),
            Carrier::Vxlan(port) => {
                outer(17, &udp(50_000, port, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat()))
            }
            Carrier::Geneve => {
                outer(17, &udp(50_000, 6081, &[&[0, 0, 0x65, 0x58, 0, 0, 7, 0][..], &inner].concat()))
            }
            Carrier::Gre => outer(47, &[&[0, 0][..], &kind, &ip].concat()),
            Carrier::IpInIp => outer(if self.v6 { 41 } else { 4 }, &ip),
            Carrier::Sll => [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &kind, &ip].concat(),
            Carrier::Sll2 => {
                [&kind[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &ip].concat()
            }
            Carrier::Raw => ip,
            Carrier::Ethernet | Carrier::HopByHop | Carrier::Fragments { .. } => inner,
        }
    }
}

/// A UDP datagram without a checksum.
pub fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    [&[from, to, payload.len() as u16 + 8, 0].map(u16::to_be_bytes).concat()[..], payload].concat()
}

/// An IPv4 packet; `field` is flags and fragment offset.
pub fn ipv4(from: &[u8], to: &[u8], protocol: u8, id: u16, field: u16, body: &[u8]) -> Vec<u8> {
    let [total, id, field] = [body.len() as u16 + 20, id, field].map(u16::to_be_bytes);
    let mut header = [&[0x45, 0][..], &total, &id, &field, &[64, protocol, 0, 0], from, to].concat();
    let sum = checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    [&header, body].concat()
}

/// An IPv6 packet.
pub fn ipv6(from: &[u8], to: &[u8], next: u8, body: &[u8]) -> Vec<u8> {
    [&[0x60, 0, 0, 0][..], &(body.len() as u16).to_be_bytes(), &[next, 64], from, to, body].concat()
}

/// The checksum of a segment or datagram with its pseudo-header.
pub fn transport_checksum(from: &[u8], to: &[u8], protocol: u8, body: &[u8]) -> u16 {
    let len = (body.len() as u32).to_be_bytes();
    checksum(&[from, to, &len, &[0, 0, 0, protocol], body].concat())
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
