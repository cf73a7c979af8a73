//! Fragments.

use super::*;

/// Fragments of `udp(53, …)`: from, to, in bytes; whether more follow.
fn fragments(payload: &[u8], parts: &[(usize, usize, bool)]) -> Vec<Vec<u8>> {
    let whole = udp(53, payload);
    let part = |&(from, to, more): &(usize, usize, bool)| {
        ipv4_fragment(0, 17, (from / 8) as u16 | if more { MORE } else { 0 }, &whole[from..to])
    };
    parts.iter().map(part).collect()
}

#[test]
fn fragments_join_as_in_linux() {
    let payload = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN";
    let whole = "10.0.0.1:40000-10.0.0.2:53 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN";
    let a = (0, 16, true);
    let b = (16, 32, true);
    let c = (32, 48, false);
    let cases = [
        ("in order", vec![a, b, c], whole),
        ("reversed", vec![c, b, a], whole),
        ("middle last", vec![a, c, b], whole),
        ("repeated", vec![a, a, b, b, c], whole),
        ("part repeated", vec![a, b, (8, 24, true), c], whole),
        ("missing", vec![a, c], "fragmentHeld 2"),
        ("odd bytes of a middle one", vec![a, (16, 33, true), c], whole),
        ("overlap", vec![a, (8, 32, true), c], "fragmentHeld 2, fragmentOverlap 1, heldSpoilt 1"),
        (
            "repeated over two runs",
            vec![b, a, (8, 24, true), c],
            "fragmentHeld 3, fragmentOverlap 1, heldSpoilt 2",
        ),
        ("two ends", vec![a, c, (32, 40, false)], "fragmentHeld 2, fragmentBad 1, heldSpoilt 2"),
        (
            "beyond the end",
            vec![(32, 40, false), (40, 48, true)],
            "fragmentHeld 1, fragmentBad 1, heldSpoilt 1",
        ),
        ("empty", vec![a, (16, 16, true)], "fragmentHeld 1, fragmentBad 1, heldSpoilt 1"),
    ];
    for (name, parts, expected) in cases {
        // "repeated over two runs": the runs were made in reverse, so Linux sees two, and an overlap.
        assert_eq!(decode(RAW, &fragments(payload, &parts)), expected, "{name}");
    }
}

#[test]
fn fragments_of_ipv6_and_of_tunnels_join() {
    let segment = tcp();
    let v6 = |net, id: u8, from: usize, to: usize, next: u8, whole: &[u8]| {
        let more = u8::from(to < whole.len());
        ipv6(net, 44, &join(&[&[next, 0, 0, from as u8 | more, 0, 0, 0, id], &whole[from..to]]))
    };
    let frames = [v6(0, 1, 16, 25, 6, &segment), v6(0, 1, 0, 16, 6, &segment)];
    assert_eq!(decode(RAW, &frames), V6);
    // The inner datagram is in two fragments; the tunnel's packet that brings the second is in two as well.
    let first = ipv4(9, 41, &frames[1]);
    let second = &frames[0];
    let (cut, rest) = second.split_at(48);
    let frames = [first, ipv4_fragment(9, 41, MORE, cut), ipv4_fragment(9, 41, 6, rest)];
    assert_eq!(decode(RAW, &frames), format!("{V6} in 10.0.9.1-10.0.9.2"));
}

#[test]
fn fragments_are_bounded() {
    let held = |decoder: &mut Decoder, bytes: &[u8]| {
        let frame = Frame { ordinal: 1, at: Timestamp(0), interface: 0, link_type: RAW, wire_len: 0, bytes };
        decoder.decode(&frame).is_none()
    };
    let limits = Limits { datagrams: 10, fragments: 3, ..Limits::default() };
    let mut decoder = Decoder::new(&limits);
    for net in 0..30 {
        assert!(held(&mut decoder, &ipv4_fragment(net, 17, MORE, &[0; 16])));
    }
    assert_eq!(decoder.counters().held_evicted, 20);
    decoder.tick(Timestamp(29_000_000_000));
    assert_eq!(decoder.counters().held_expired, 0);
    decoder.tick(Timestamp(30_000_000_000));
    assert_eq!(decoder.counters().held_expired, 10);
    for place in 0..4 {
        assert!(held(&mut decoder, &ipv4_fragment(1, 17, MORE | (place * 4), &[0; 16])));
    }
    let counters = decoder.counters();
    assert_eq!((counters.fragment_too_many, counters.held_spoilt), (1, 3));
    let waits = counters.fragment_held - counters.held_evicted - counters.held_expired - counters.held_spoilt;
    assert_eq!(waits, 0);
}

#[test]
fn a_sender_of_many_fragments_drives_out_its_own() {
    for limits in [
        Limits { datagrams: 20, ..Limits::default() },
        // In bytes: a fragment takes what lies before it too.
        Limits { datagram_bytes: 20 * 65_000, ..Limits::default() },
    ] {
        let mut decoder = Decoder::new(&limits);
        let mut feed = |bytes: &[u8]| {
            let frame =
                Frame { ordinal: 1, at: Timestamp(0), interface: 0, link_type: RAW, wire_len: 0, bytes };
            decoder.decode(&frame).is_some()
        };
        let quiet = udp(1, b"quiet payload of some bytes");
        assert!(!feed(&ipv4_fragment(1, 17, MORE, &quiet[..16])));
        for protocol in 18..=217 {
            assert!(!feed(&ipv4_fragment(9, protocol, MORE | 0x1f40, &[0; 16])));
        }
        assert!(feed(&ipv4_fragment(1, 17, 2, &quiet[16..])), "the other sender's datagram became whole");
        assert!(decoder.counters().held_evicted >= 180);
    }
}
