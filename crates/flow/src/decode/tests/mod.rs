mod fragments;

use proptest::prelude::*;

use super::{Decoder, Frame, Layer4, Limits, Timestamp};

const ETHERNET: u32 = 1;
const RAW: u32 = 101;

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn tcp() -> Vec<u8> {
    // 40000 → 80, sequence 1, PSH and ACK, window 512, no options, then "hello".
    join(&[&[0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 2, 0, 0, 0, 0, 0], b"hello"])
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16 + 8).to_be_bytes();
    join(&[&[0x9c, 0x40], &port.to_be_bytes(), &len, &[0, 0], payload])
}

/// From 10.0.`net`.1 to 10.0.`net`.2; `fragment` is the flags and the offset.
fn ipv4_fragment(net: u8, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16 + 20).to_be_bytes();
    let [high, low] = fragment.to_be_bytes();
    let head = [0x45, 0, len[0], len[1], 0, 9, high, low, 64, protocol, 0, 0, 10, 0, net, 1, 10, 0, net, 2];
    join(&[&head, payload])
}

fn ipv4(net: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_fragment(net, protocol, 0, payload)
}

/// From `fd00::net:1` to `fd00::net:2`.
fn ipv6(net: u8, next: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    let address = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, net, 0, last];
    join(&[&[0x60, 0, 0, 0, len[0], len[1], next, 64], &address(1), &address(2), payload])
}

fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2; 6], &[4; 6], &ether_type.to_be_bytes(), payload])
}

fn plain() -> Vec<u8> {
    ipv4(0, 6, &tcp())
}

fn plain6() -> Vec<u8> {
    ipv6(0, 6, &tcp())
}

/// Decodes frames as one capture; gives what the last one led to, or the names of the counters that are not 0.
fn decode(link_type: u32, frames: &[Vec<u8>]) -> String {
    decode_with(&Limits::default(), link_type, frames)
}

fn decode_with(limits: &Limits, link_type: u32, frames: &[Vec<u8>]) -> String {
    let mut decoder = Decoder::new(limits);
    let mut told = String::new();
    for (ordinal, bytes) in (1..).zip(frames) {
        let wire_len = bytes.len() as u32;
        let frame = Frame { ordinal, at: Timestamp(0), interface: 0, link_type, wire_len, bytes };
        told = match decoder.decode(&frame) {
            Some(packet) => {
                let (src, dst) = if packet.from_low {
                    (packet.key.low, packet.key.high)
                } else {
                    (packet.key.high, packet.key.low)
                };
                let outer = packet.outer.map_or_else(String::new, |it| format!(" in {}-{}", it.src, it.dst));
                let realm = if packet.key.realm == 0 { "" } else { " realm" };
                let text = String::from_utf8_lossy(packet.payload);
                format!("{}:{}-{}:{} {text}{outer}{realm}", src.ip, src.port, dst.ip, dst.port)
            }
            None => String::new(),
        };
    }
    if told.is_empty() {
        let mut rows = Vec::new();
        decoder.counters().each(&mut |name, n| {
            if n > 0 && name != "frames" && name != "frameBytes" {
                rows.push(format!("{name} {n}"));
            }
        });
        return rows.join(", ");
    }
    told
}

const V4: &str = "10.0.0.1:40000-10.0.0.2:80 hello";
const V6: &str = "fd00::1:40000-fd00::2:80 hello";

#[test]
fn link_types() {
    let cooked =
        |protocol: u16| join(&[&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], &protocol.to_be_bytes()]);
    let cooked2 = |protocol: u16| join(&[&protocol.to_be_bytes(), &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6], &[2; 8]]);
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &plain()]);
    let nflog_len = (plain().len() as u16 + 4).to_le_bytes();
    let nflog_head = [2, 0, 0, 0, 8, 0, 1, 0, 8, 0, 1, 0, 5, 0, 10, 0, b'x', 0, 0, 0];
    let cases = [
        ("ethernet", 1, ethernet(0x0800, &plain()), V4),
        ("ethernet, IPv6", 1, ethernet(0x86dd, &plain6()), V6),
        ("ethernet, padded", 1, join(&[&ethernet(0x0800, &plain()), &[0; 9]]), V4),
        ("802.3 with SNAP", 1, ethernet(snap.len() as u16, &snap), V4),
        ("null, little endian", 0, join(&[&[2, 0, 0, 0], &plain()]), V4),
        ("null, big endian", 0, join(&[&[0, 0, 0, 30], &plain6()]), V6),
        ("loop", 108, join(&[&[0, 0, 0, 24], &plain6()]), V6),
        ("raw", 101, plain(), V4),
        ("raw, BSD", 12, plain6(), V6),
        ("raw, OpenBSD", 14, plain(), V4),
        ("IPv4", 228, plain(), V4),
        ("IPv6", 229, plain6(), V6),
        ("cooked", 113, join(&[&cooked(0x0800), &plain()]), V4),
        ("cooked 2", 276, join(&[&cooked2(0x86dd), &plain6()]), V6),
        ("PPP", 9, join(&[&[0x00, 0x21], &plain()]), V4),
        ("PPP, HDLC framing, short", 50, join(&[&[0xff, 3, 0x57], &plain6()]), V6),
        ("Cisco HDLC", 104, join(&[&[0x0f, 0, 8, 0], &plain()]), V4),
        ("NFLOG", 239, join(&[&nflog_head, &nflog_len, &[9, 0], &plain()]), V4),
        ("PPPoE", 51, join(&[&[0x11, 0, 0, 7, 0, 47, 0, 0x21], &plain()]), V4),
        ("ARP", 1, ethernet(0x0806, &[0; 28]), "arp 1"),
        ("spanning tree", 1, ethernet(38, &[0x42; 38]), "notIp 1"),
        ("no such type", 1, ethernet(0x88cc, &[0; 30]), "notIp 1"),
        ("radio", 127, vec![0; 40], "unsupportedLinkType 1"),
        ("nothing", 1, vec![], "truncatedHeader 1"),
    ];
    for (name, link_type, bytes, expected) in cases {
        assert_eq!(Decoder::supports(link_type), link_type != 127, "{name}");
        assert_eq!(decode(link_type, &[bytes]), expected, "{name}");
    }
}

#[test]
fn shims_and_tunnels() {
    let inner = || ethernet(0x0800, &plain());
    let vxlan = || join(&[&[8, 0, 0, 0, 0, 0, 7, 0], &inner()]);
    let geneve = join(&[&[0x01, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 1, 1, 0], &inner()]);
    let gtp_len = (plain().len() as u16 + 8).to_be_bytes();
    let gtp = join(&[&[0x34, 0xff], &gtp_len, &[0, 0, 0, 9, 0, 0, 0, 0x85, 1, 0, 9, 0], &plain()]);
    let udp4 = |port, payload: &[u8]| ethernet(0x0800, &ipv4(9, 17, &udp(port, payload)));
    let gre = |head: &[u8], payload: &[u8]| ethernet(0x0800, &ipv4(9, 47, &join(&[head, payload])));
    let tunnel = |text: &str| format!("{text} in 10.0.9.1-10.0.9.2");
    let deep = (0..9).fold(plain(), |inner, _| ipv4(9, 4, &inner));
    let cases = [
        ("VLAN", ethernet(0x8100, &join(&[&[0, 42, 8, 0], &plain()])), format!("{V4} realm")),
        ("priority tag", ethernet(0x8100, &join(&[&[0xe0, 0, 8, 0], &plain()])), V4.to_owned()),
        ("QinQ", ethernet(0x88a8, &join(&[&[0, 7, 0x81, 0, 0, 42, 8, 0], &plain()])), format!("{V4} realm")),
        ("MPLS", ethernet(0x8847, &join(&[&[0, 1, 0, 64, 0, 1, 1, 64], &plain()])), V4.to_owned()),
        ("pseudowire", ethernet(0x8847, &join(&[&[0, 1, 1, 64, 0, 0, 0, 0], &inner()])), V4.to_owned()),
        ("PPPoE", ethernet(0x8864, &join(&[&[0x11, 0, 0, 7, 0, 47, 0, 0x21], &plain()])), V4.to_owned()),
        ("VXLAN", udp4(4789, &vxlan()), format!("{} realm", tunnel(V4))),
        ("VXLAN, Linux port", udp4(8472, &vxlan()), tunnel(V4)),
        ("VXLAN's port only", udp4(4789, b"hello"), "10.0.9.1:40000-10.0.9.2:4789 hello".to_owned()),
        ("GENEVE", udp4(6081, &geneve), tunnel(V4)),
        ("GRE in UDP", udp4(4754, &join(&[&[0x20, 0, 8, 0, 0, 0, 0, 7], &plain()])), tunnel(V4)),
        (
            "GRE in UDP, not",
            udp4(4754, b"hello, world"),
            "10.0.9.1:40000-10.0.9.2:4754 hello, world".to_owned(),
        ),
        ("AYIYA", udp4(5072, &join(&[&[0x21, 0x52, 0x11, 41, 0, 0, 0, 0], &[7; 24], &plain6()])), tunnel(V6)),
        ("GTP-U", udp4(2152, &gtp), tunnel(V4)),
        ("Teredo", udp4(3544, &join(&[&[0, 0, 1, 1, 1, 1, 1, 1], &plain6()])), tunnel(V6)),
        ("GRE", gre(&[0, 0, 8, 0], &plain()), tunnel(V4)),
        ("GRE, key and sequence", gre(&[0x30, 0, 0x86, 0xdd, 0, 0, 0, 1, 0, 0, 0, 2], &plain6()), tunnel(V6)),
        ("GRE, Ethernet", gre(&[0, 0, 0x65, 0x58], &inner()), tunnel(V4)),
        ("ERSPAN I", gre(&[0, 0, 0x88, 0xbe], &inner()), tunnel(V4)),
        (
            "ERSPAN II",
            gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0], &inner()),
            tunnel(V4),
        ),
        (
            "ERSPAN III",
            gre(&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &inner()),
            tunnel(V4),
        ),
        (
            "PPTP",
            gre(&[0x30, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0x21], &plain()),
            tunnel(V4),
        ),
        ("IP in IP", ethernet(0x0800, &ipv4(9, 4, &plain())), tunnel(V4)),
        ("6in4", ethernet(0x0800, &ipv4(9, 41, &plain6())), tunnel(V6)),
        ("the outermost", ethernet(0x0800, &ipv4(9, 4, &ipv4(8, 4, &plain()))), tunnel(V4)),
        ("too deep", ethernet(0x0800, &deep), "tunnelTooDeep 1".to_owned()),
        (
            "ICMP inside",
            udp4(8472, &join(&[&[8, 0, 0, 0, 0, 0, 7, 0], &ethernet(0x800, &ipv4(0, 1, &[0; 8]))])),
            "icmp 1".to_owned(),
        ),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(decode(ETHERNET, &[bytes]), expected, "{name}");
    }
    let cut_short = ethernet(0x8847, &[0, 1, 1, 64]);
    assert_eq!(decode(ETHERNET, &[cut_short]), "truncatedHeader 1");
}

#[test]
fn ip_and_transport_headers() {
    let mut options = plain();
    options.splice(20..20, [1, 1, 1, 0]);
    options[0] = 0x46;
    options[3] += 4;
    let mut segmented = plain();
    segmented[2..4].fill(0);
    let extended = ipv6(0, 0, &join(&[&[60, 0, 1, 4, 0, 0, 0, 0], &[6, 0, 1, 4, 0, 0, 0, 0], &tcp()]));
    let atomic = ipv6(0, 44, &join(&[&[6, 0, 0, 0, 0, 0, 0, 5], &tcp()]));
    let authenticated = ipv4(0, 51, &join(&[&[6, 4, 0, 0], &[0; 20], &tcp()]));
    let change = |mut bytes: Vec<u8>, at: usize, to: u8| {
        bytes[at] = to;
        bytes
    };
    let cases = [
        ("options", options, V4),
        ("length 0", segmented, V4),
        ("extension headers", extended, V6),
        ("atomic fragment", atomic, V6),
        ("authentication header", authenticated, V4),
        (
            "UDP, trailing bytes",
            ipv4(0, 17, &join(&[&udp(53, b"hello"), b"xx"])),
            "10.0.0.1:40000-10.0.0.2:53 hello",
        ),
        ("UDP, empty", ipv4(0, 17, &udp(53, b"")), "10.0.0.1:40000-10.0.0.2:53 "),
        ("header length", change(plain(), 0, 0x44), "badIpHeader 1"),
        ("total length", change(plain(), 3, 19), "badIpHeader 1"),
        ("version", change(plain(), 0, 0x55), "badIpHeader 1"),
        ("TCP offset too small", change(plain(), 32, 0x40), "badTransportHeader 1"),
        ("TCP offset too large", change(plain(), 32, 0xf0), "badTransportHeader 1"),
        ("UDP too long", change(ipv4(0, 17, &udp(53, b"x")), 25, 99), "badTransportHeader 1"),
        ("UDP too short", change(ipv4(0, 17, &udp(53, b"x")), 25, 7), "badTransportHeader 1"),
        ("half a TCP header", ipv4(0, 6, &[0; 10]), "truncatedHeader 1"),
        ("ICMP", ipv4(0, 1, &[0; 8]), "icmp 1"),
        ("ICMPv6", ipv6(0, 58, &[0; 8]), "icmpv6 1"),
        ("SCTP", ipv4(0, 132, &[0; 12]), "sctp 1"),
        ("ESP", ipv4(0, 50, &[0; 12]), "esp 1"),
        ("no next header", ipv6(0, 59, &[]), "noNextHeader 1"),
        ("EIGRP", ipv4(0, 88, &[0; 12]), "otherTransport 1"),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(decode(RAW, &[bytes]), expected, "{name}");
    }
}

#[test]
fn fields_reach_the_packet() {
    let mut syn = plain();
    syn.truncate(40);
    syn[33] = 0x02;
    syn[32] = 0x70;
    syn.extend([2, 4, 5, 0xb4, 3, 3, 7, 0]);
    syn[3] = 48;
    let mut decoder = Decoder::new(&Limits::default());
    let frame =
        |bytes| Frame { ordinal: 5, at: Timestamp(6), interface: 7, link_type: RAW, wire_len: 52, bytes };
    let packet = decoder.decode(&frame(&syn)).unwrap();
    let Layer4::Segment(fields) = packet.layer4 else { panic!("TCP") };
    assert_eq!((fields.sequence, fields.flags, fields.window, fields.scale), (1, 2, 512, Some(7)));
    assert_eq!((packet.ordinal, packet.at, packet.interface, packet.ip_id), (5, Timestamp(6), 7, 9));
    assert_eq!((packet.payload, packet.cut), (&b""[..], 0));

    let cut = plain();
    let packet = decoder.decode(&Frame { wire_len: 45, ..frame(&cut[..42]) }).unwrap();
    assert_eq!((packet.payload, packet.cut), (&b"he"[..], 3));
    let packet = decoder.decode(&Frame { wire_len: 60, ..frame(&cut[..42]) }).unwrap();
    assert_eq!((packet.payload, packet.cut), (&b"he"[..], 3), "what follows on the wire is padding");
}

#[test]
fn realms_keep_networks_apart_and_directions_together() {
    let tagged = |id| ethernet(0x8100, &join(&[&[0, id, 8, 0], &plain()]));
    let realm = |bytes: &[u8]| {
        let mut decoder = Decoder::new(&Limits::default());
        let wire_len = bytes.len() as u32;
        let frame =
            Frame { ordinal: 1, at: Timestamp(0), interface: 0, link_type: ETHERNET, wire_len, bytes };
        decoder.decode(&frame).unwrap().key.realm
    };
    assert_ne!(realm(&tagged(1)), realm(&tagged(2)));
    assert_eq!(realm(&tagged(1)), realm(&tagged(1)));
    assert_eq!(realm(&ethernet(0x0800, &plain())), 0);
}

const MORE: u16 = 0x2000;

/// Every frame is in one row, and every fragment that was held came to an end or waits.
fn assert_closed(decoder: &Decoder) {
    let mut outcomes = 0;
    let mut inside = false;
    decoder.counters().each(&mut |name, n| {
        inside = name == "tcp" || inside && name != "heldJoined";
        outcomes += if inside { n } else { 0 };
    });
    assert_eq!(outcomes, decoder.counters().frames, "{:?}", decoder.counters());
}

fn any_link_type() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 113, 228, 229, 239, 276, 999])
}

proptest! {
    #[test]
    fn random_bytes_end_in_one_row(
        link_type in any_link_type(),
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 0..20),
    ) {
        let mut decoder = Decoder::new(&Limits::default());
        for bytes in &frames {
            let frame = Frame { ordinal: 1, at: Timestamp(0), interface: 0, link_type, wire_len: 99, bytes };
            decoder.decode(&frame);
        }
        decoder.tick(Timestamp(i64::MAX));
        assert_closed(&decoder);
        let counters = decoder.counters();
        let ended = counters.held_joined + counters.held_expired + counters.held_evicted + counters.held_spoilt;
        prop_assert_eq!(ended, counters.fragment_held);
    }

    #[test]
    fn damaged_frames_end_in_one_row(
        layers in prop::collection::vec(0..8_u8, 0..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in any::<prop::sample::Index>(),
        whole: bool,
    ) {
        let mut bytes = layers.iter().fold(plain(), |inner, layer| match layer {
            0 => ipv4(9, 4, &inner),
            1 => ipv4(9, 17, &udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 7, 0], &ethernet(0x0800, &inner)]))),
            2 => ipv4(9, 17, &udp(6081, &join(&[&[0, 0, 8, 0, 0, 0, 7, 0], &inner]))),
            3 => ipv4(9, 47, &join(&[&[0, 0, 8, 0], &inner])),
            4 => ipv6(9, 4, &inner),
            5 => ipv4(9, 17, &udp(2152, &join(&[&[0x30, 0xff, 0, inner.len() as u8, 0, 0, 0, 9], &inner]))),
            6 => ipv4(9, 137, &join(&[&[0, 1, 1, 64], &inner])),
            _ => ipv6(9, 0, &join(&[&[4, 0, 1, 4, 0, 0, 0, 0], &inner])),
        });
        for (index, byte) in &damage {
            let at = index.index(bytes.len());
            bytes[at] = *byte;
        }
        let wire_len = bytes.len() as u32;
        if !whole {
            bytes.truncate(keep.index(bytes.len()));
        }
        let mut decoder = Decoder::new(&Limits::default());
        let frame = Frame { ordinal: 1, at: Timestamp(0), interface: 0, link_type: RAW, wire_len, bytes: &bytes };
        let is_packet = decoder.decode(&frame).is_some();
        assert_closed(&decoder);
        prop_assert_eq!(decoder.counters().tcp + decoder.counters().udp, u64::from(is_packet));
    }
}
