//! Decoding against a second opinion: frames that `etherparse` writes are read as `etherparse` reads them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpHeaders, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TransportSlice};
use flow::{Decoder, Frame, Layer4, Limits, Packet, Peer, Timestamp};
use proptest::prelude::*;

/// What a generated frame is made of.
#[derive(Clone, Debug)]
struct Shape {
    vlans: Vec<u16>,
    v6: bool,
    src: [u8; 16],
    dst: [u8; 16],
    ports: (u16, u16),
    tcp: Option<Tcp>,
    payload: Vec<u8>,
    padding: usize,
}

#[derive(Clone, Debug)]
struct Tcp {
    sequence: u32,
    window: u16,
    ack: Option<u32>,
    /// SYN, FIN, RST; and whether there are options.
    bits: [bool; 4],
}

fn shapes() -> impl Strategy<Value = Shape> {
    let tcp = (any::<u32>(), any::<u16>(), any::<Option<u32>>(), any::<[bool; 4]>());
    let tcp = tcp.prop_map(|(sequence, window, ack, bits)| Tcp { sequence, window, ack, bits });
    let addresses = (any::<bool>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    // No port of a tunnel: what is inside would be looked for.
    let ports = (1024..2000_u16, 20_000..60_000_u16);
    let vlans = prop::collection::vec(1..4095_u16, 0..3);
    let payload = (prop::collection::vec(any::<u8>(), 0..200), 0..20_usize);
    (vlans, addresses, ports, prop::option::of(tcp), payload).prop_map(
        |(vlans, (v6, src, dst), ports, tcp, (payload, padding))| Shape {
            vlans,
            v6,
            src,
            dst,
            ports,
            tcp,
            payload,
            padding,
        },
    )
}

impl Shape {
    /// The frame, as `etherparse` writes it; padding follows, as Ethernet adds it.
    fn frame(&self) -> Vec<u8> {
        let ip = if self.v6 { self.ipv6() } else { self.ipv4() };
        let id = |index: usize| self.vlans[index].try_into().unwrap();
        let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let mut frame = match self.vlans.len() {
            0 => self.transport(link.ip(ip)),
            1 => self.transport(link.single_vlan(id(0)).ip(ip)),
            _ => self.transport(link.double_vlan(id(0), id(1)).ip(ip)),
        };
        frame.extend(std::iter::repeat_n(0xee, self.padding));
        frame
    }

    fn ipv4(&self) -> IpHeaders {
        let v4 = |address: [u8; 16]| [address[0], address[1], address[2], address[3]];
        let header = etherparse::Ipv4Header {
            source: v4(self.src),
            destination: v4(self.dst),
            time_to_live: 64,
            ..etherparse::Ipv4Header::default()
        };
        IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
    }

    fn ipv6(&self) -> IpHeaders {
        let header = etherparse::Ipv6Header {
            source: self.src,
            destination: self.dst,
            hop_limit: 64,
            ..etherparse::Ipv6Header::default()
        };
        IpHeaders::Ipv6(header, etherparse::Ipv6Extensions::default())
    }

    fn transport(&self, below: PacketBuilderStep<IpHeaders>) -> Vec<u8> {
        let mut frame = Vec::new();
        let (from, to) = self.ports;
        let Some(Tcp { sequence, window, ack, bits: [syn, fin, rst, options] }) = self.tcp.clone() else {
            below.udp(from, to).write(&mut frame, &self.payload).unwrap();
            return frame;
        };
        let mut step = below.tcp(from, to, sequence, window);
        if let Some(number) = ack {
            step = step.ack(number);
        }
        if syn {
            step = step.syn();
        }
        if fin {
            step = step.fin();
        }
        if rst {
            step = step.rst();
        }
        if options {
            step = step.options(&[etherparse::TcpOptionElement::Timestamp(1, 2)]).unwrap();
        }
        step.write(&mut frame, &self.payload).unwrap();
        frame
    }
}

/// Sender, receiver and TCP's numbers, as `etherparse` reads them.
fn theirs(frame: &[u8]) -> (Peer, Peer, Option<[u32; 5]>) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let (src, dst): (IpAddr, IpAddr) = match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            (Ipv4Addr::from(ip.header().source()).into(), Ipv4Addr::from(ip.header().destination()).into())
        }
        NetSlice::Ipv6(ip) => {
            (Ipv6Addr::from(ip.header().source()).into(), Ipv6Addr::from(ip.header().destination()).into())
        }
        NetSlice::Arp(_) => panic!("not what was written"),
    };
    match packet.transport.as_ref().unwrap() {
        TransportSlice::Tcp(tcp) => {
            let flags = [tcp.fin(), tcp.syn(), tcp.rst(), tcp.psh(), tcp.ack(), tcp.urg()];
            let flags = (0..).zip(flags).map(|(bit, set)| u32::from(set) << bit).sum();
            let (sequence, acknowledgment) = (tcp.sequence_number(), tcp.acknowledgment_number());
            let numbers =
                [sequence, acknowledgment, flags, tcp.window_size().into(), tcp.urgent_pointer().into()];
            (
                Peer { ip: src, port: tcp.source_port() },
                Peer { ip: dst, port: tcp.destination_port() },
                Some(numbers),
            )
        }
        TransportSlice::Udp(udp) => {
            (Peer { ip: src, port: udp.source_port() }, Peer { ip: dst, port: udp.destination_port() }, None)
        }
        other => panic!("{other:?}"),
    }
}

fn ours(packet: &Packet<'_>) -> (Peer, Peer, Option<[u32; 5]>) {
    let (low, high) = (packet.key.low, packet.key.high);
    let (src, dst) = if packet.from_low { (low, high) } else { (high, low) };
    let numbers = match packet.layer4 {
        Layer4::Datagram => None,
        Layer4::Segment(tcp) => {
            Some([tcp.sequence, tcp.acknowledgment, tcp.flags.into(), tcp.window.into(), tcp.urgent.into()])
        }
    };
    (src, dst, numbers)
}

proptest! {
    #[test]
    fn frames_are_read_as_etherparse_reads_them(shape in shapes()) {
        let bytes = shape.frame();
        let mut decoder = Decoder::new(&Limits::default());
        let wire_len = bytes.len() as u32;
        let frame = Frame { ordinal: 1, at: Timestamp(0), interface: 0, link_type: 1, wire_len, bytes: &bytes };
        let packet = decoder.decode(&frame).unwrap();
        prop_assert_eq!(ours(&packet), theirs(&bytes));
        prop_assert_eq!(packet.payload, &shape.payload[..]);
        prop_assert_eq!(packet.cut, 0);
    }
}
