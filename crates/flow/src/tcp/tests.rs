use proptest::prelude::*;

use crate::counters::FlowCounters;
use crate::limits::Limits;
use crate::packet::{Packet, Timestamp};
use crate::table::FlowTable;
use crate::testing::{ACK, FIN, MS, Recorder, SYN, assert_closed, fields, run, run_with, segment};

/// A handshake: the client's first byte is 100, the server's 500.
const HANDSHAKE: &str = "> S 99\n< S 499 a100\n> 100 a500\n";

#[test]
fn segments_become_streams() {
    let cases = [
        ("in order", "> 100 'abc\n< 500 'xy a103\n> 103 'de a502", ">abc; <xy; >de; EndOfCapture"),
        ("retransmitted", "> 100 'abc\n> 100 'abc\n> 103 'd", ">abc; >d; EndOfCapture"),
        ("sent again with more", "> 100 'abc\n> 101 'bcde", ">abc; >de; EndOfCapture"),
        ("out of order", "> 103 'def\n> 106 'gh\n> 100 'abc", ">abc; >def; >gh; EndOfCapture"),
        ("reversed", "> 106 'g\n> 103 'def\n> 100 'abc", ">abc; >def; >g; EndOfCapture"),
        ("keep-alive", "> 100 'abc\n> 102 'X\n> 102 '\n> 103 'd", ">abc; >d; EndOfCapture"),
        ("zero-window probe", "> 100 'abc\n> 103 'd\n> 103 'def", ">abc; >d; >ef; EndOfCapture"),
        ("half closed", "> F 100 'abc\n< 500 'xyz", ">abc; >end; <xyz; EndOfCapture"),
        ("finished", "> F 100 'a\n< F 500 'x a102\n> 102 a502", ">a; >end; <x; <end; Finished"),
        ("FIN before the last bytes", "> F 103 \n> 100 'abc", ">abc; >end; EndOfCapture"),
        ("after FIN", "> F 100 'ab\n> 103 'evil\n> 102 'x", ">ab; >end; EndOfCapture"),
        ("FIN far away", "> F 999999\n> 100 'abc", ">abc; EndOfCapture"),
        ("RST in the window", "> 100 'a\n< R 500", ">a; Reset"),
        ("RST outside the window", "< R 900000000 a100\n> 100 'a", ">a; EndOfCapture"),
        ("goes on after RST", "> 100 'a\n> R 101\n> 101 'b", ">a; >b ambiguous; Reset"),
        ("RST with data", "> 100 'a\n> R 101 'evil", ">a; Reset"),
        ("snaplen", "> 100 'abc c5\n> 108 'd", ">abc; >gap 5; >d; EndOfCapture"),
        ("snaplen, out of order", "> 108 'd\n> 100 'abc c5", ">abc; >gap 5; >d; EndOfCapture"),
        ("snaplen, both", "> 105 'd c2\n> 100 'abc c2", ">abc; >gap 2; >d; >gap 2; EndOfCapture"),
        ("headers only", "> 100 c5\n> 110 c5\n> 105 c5", ">gap 5; >gap 5; >gap 5; EndOfCapture"),
        ("beyond the window", "> 1000000 'evil\n> 100 'abc", ">abc; EndOfCapture"),
        ("SYN with another number", "> 100 'a\n> S 7777\n> 101 'b", ">a; >b; EndOfCapture"),
        ("SYN again", "> S 99\n> 100 'a\n> S 99\n> 101 'b", ">a; >b; EndOfCapture"),
        ("lost at the end", "> 100 'a\n< 500 a109", ">a; >gap 7; EndOfCapture"),
        ("FIN lost", "> 100 'a\n< 500 a102", ">a; EndOfCapture"),
        ("FIN seen, bytes before it lost", "> 100 'a\n> F 105\n< 500 a106", ">a; >gap 4; >end; EndOfCapture"),
    ];
    for (name, script, expected) in cases {
        assert_eq!(run(&format!("{HANDSHAKE}{script}")), format!("open low; {expected}"), "{name}");
    }
}

#[test]
fn flows_begin() {
    let cases = [
        ("mid-stream", "> 700 'abc\n< 900 'x", "open low midstream; >abc; <x; EndOfCapture"),
        ("mid-stream, answer first", "< 900 'x\n> 700 'abc", "open high midstream; >x; <abc; EndOfCapture"),
        (
            "mid-stream, earlier bytes later",
            "> 700 'ab\n> 695 'early",
            "open low midstream; >ab; EndOfCapture",
        ),
        ("nothing but acknowledgments", "> 700 a900\n< 900 a700\n> R 700", ""),
        ("SYN-ACK first", "< S 499 a100\n> 100 'a", "open low; >a; EndOfCapture"),
        ("SYN-ACK before SYN", "< S 499 a100\n> S 99\n> 100 'a", "open low; >a; EndOfCapture"),
        ("first segment lost", "> S 99\n< S 499 a100\n> 105 'f", "open low; >gap 5; >f; EndOfCapture"),
        (
            "SYN-ACK and first bytes lost",
            "> S 99\n> 100 a500\n< 503 'de",
            "open low; <gap 3; <de; EndOfCapture",
        ),
        ("fast open", "> S 99 'ab\n< S 499 a102\n> 102 'c", "open low; >ab; >c; EndOfCapture"),
        (
            "simultaneous",
            "> S 99\n< S 499\n> S 99 a500\n> 100 'a\n< 500 'b",
            "open low; >a; <b; EndOfCapture",
        ),
        ("one direction", "< S 499 a100\n< 500 'x\n< 501 'y", "open low; <x; <y; EndOfCapture"),
        ("wrong SYN-ACK", "> S 99\n< S 9000 a777777\n< S 499 a100\n< 500 'x", "open low; <x; EndOfCapture"),
    ];
    for (name, script, expected) in cases {
        assert_eq!(run(script), expected, "{name}");
    }
}

#[test]
fn flows_end_and_succeed_each_other() {
    let finish = "> F 100 'a\n< F 500 'x a102\n> 102 a502\n";
    let cases = [
        ("linger", format!("{finish}tick 4000\n> F 101\ntick 6000"), "Finished"),
        ("sent again after closing", format!("{finish}tick 6000\n> F 100 'a\n< 500 'x"), "Finished"),
        (
            "used again long after",
            format!("{finish}tick 6000\ntick 60001\n> 101 'b"),
            "Finished; open low midstream; >b; EndOfCapture",
        ),
        ("after finishing", format!("{finish}> S 5000\n> 5001 'b"), "Finished; open low; >b; EndOfCapture"),
        ("the other way", format!("{finish}< S 5000\n< 5001 'b"), "Finished; open high; >b; EndOfCapture"),
    ];
    for (name, script, expected) in cases {
        let expected = format!("open low; >a; >end; <x; <end; {expected}");
        assert_eq!(run(&format!("{HANDSHAKE}{script}")), expected, "{name}");
    }
    let cases = [
        ("refused", "> S 99\n< R 0 a100\ntick 6000", "open low; Reset"),
        (
            "tried again",
            "> S 99\n> S 2000\n< S 499 a2001\n> 2001 'a",
            "open low; Reused; open low; >a; EndOfCapture",
        ),
        (
            "accepted while in use",
            "> S 99\n< S 499 a100\n> 100 'a\n> S 7000000\n< S 8000000 a7000001\n> 7000001 'b",
            "open low; >a; Reused; open low; >b; EndOfCapture",
        ),
        (
            "in use, answer not captured",
            "> S 99\n< S 499 a100\n> 100 'a\n> S 7000000\n> 7000001 'b",
            "open low; >a; Reused; open low midstream; >b; EndOfCapture",
        ),
        (
            "mid-stream, then SYN",
            "> 50 'a\n> S 900\n> 901 'b",
            "open low midstream; >a; Reused; open low; >b; EndOfCapture",
        ),
        (
            "half-open, idle",
            "> S 99\ntick 31000\n> 100 'a",
            "open low; Idle; open low midstream; >a; EndOfCapture",
        ),
        (
            "queued beyond the end",
            "> S 99\n> 110 'late\n> F 100 'ab\n> 106 'x",
            "open low; >ab; >end; EndOfCapture",
        ),
        ("idle", "> 1 'a\ntick 200000\n> 2 'b\ntick 299000\ntick 2000", "open low midstream; >a; >b; Idle"),
    ];
    for (name, script, expected) in cases {
        assert_eq!(run(script), expected, "{name}");
    }
}

/// As Linux reads them: delivered bytes stand; bytes in order win over queued ones; what is queued and begins first
/// wins; a queued segment gives way to one that covers it and begins at the same byte or before.
#[test]
fn overlaps() {
    let cases = [
        ("same, late", "> 100 'abc\n> 100 'aXc\n> 103 'd", ">abc; >contradicted; >d overlap ambiguous"),
        ("part, late", "> 100 'abc\n> 101 'XXde", ">abc; >contradicted; >de overlap ambiguous"),
        ("in order over queued", "> 103 'DEF\n> 100 'abcdef\n> 106 'g", ">abcdef overlap; >g"),
        ("in order over part", "> 103 'DEF\n> 100 'abcd", ">abcd overlap; >EF"),
        ("equal copies", "> 103 'def\n> 100 'abcd", ">abcd; >ef"),
        ("queued twice", "> 101 'bc\n> 101 'XX\n> 100 'a", ">a; >bc overlap"),
        ("queued, covered", "> 102 'XX\n> 101 'bcde\n> 100 'a", ">a; >bcde overlap"),
        ("queued, covered from the same byte", "> 101 'XX\n> 101 'bcd\n> 100 'a", ">a; >bcd overlap"),
        ("queued, begins first", "> 103 'XXX\n> 101 'bcd\n> 100 'a", ">a; >bcd overlap; >XX overlap"),
        ("queued, three", "> 101 'bb\n> 105 'ff\n> 102 'ccccc\n> 100 'a", ">a; >bb overlap; >cccc overlap"),
    ];
    for (name, script, expected) in cases {
        let told = run(&format!("{HANDSHAKE}{script}"));
        assert_eq!(told, format!("open low; {expected}; EndOfCapture"), "{name}");
    }
}

#[test]
fn holes_become_gaps() {
    let more = |n: u32| (0..n).fold(String::new(), |text, i| format!("{text}< {} 'y\n", 501 + i));
    let cases = [
        ("acknowledged, a second later", "wait 1001\n< 501 'y".to_owned(), "<y; >gap 3; >def"),
        ("acknowledged, not yet", "wait 900\n< 501 'y\n> 100 'abc".to_owned(), "<y; >abc; >def"),
        ("acknowledged, at a tick", "tick 1001".to_owned(), ">gap 3; >def"),
        ("the late one", "tick 1001\n> 100 'abc\n> 106 'g".to_owned(), ">gap 3; >def; >g"),
    ];
    for (name, script, expected) in cases {
        let told = run(&format!("{HANDSHAKE}> 103 'def\n< 500 'x a106\n{script}"));
        assert_eq!(told, format!("open low; <x; {expected}; EndOfCapture"), "{name}");
    }
    let told = run(&format!("{HANDSHAKE}< 500 'x a106\n> 106 'g\n< 501 'y a107\ntick 1001"));
    assert_eq!(
        told, "open low; <x; <y; >gap 6; >g; EndOfCapture",
        "acknowledged before there was anything behind it"
    );
    let told = run(&format!("{HANDSHAKE}> 103 'def\n< 500 'x a106\n{}", more(64)));
    assert!(told.ends_with("<y; >gap 3; >def; EndOfCapture"), "after 64 packets: {told}");
    let cases = [
        ("open", "tick 2900\n> 100 'abc", ">abc; >def"),
        ("open for too long", "tick 3001\n> 100 'abc", ">gap 3; >def"),
        ("progress below it", "tick 2000\n> 100 'a\ntick 2000\n> 101 'bc", ">a; >bc; >def"),
        ("two of them", "> 109 'j\ntick 3001\n> 106 'ghi", ">gap 3; >def; >ghi; >j"),
    ];
    for (name, script, expected) in cases {
        let told = run(&format!("{HANDSHAKE}> 103 'def\n{script}"));
        assert_eq!(told, format!("open low; {expected}; EndOfCapture"), "{name}");
    }
}

#[test]
fn limits_force_gaps() {
    let script = format!("{HANDSHAKE}> 101 'b\n> 103 'd\n> 105 'f\n> 107 'h");
    let count = |limits: &Limits| run_with(limits, &script);
    for limits in [
        Limits { half_segments: 3, ..Limits::default() },
        Limits { half_bytes: 3, ..Limits::default() },
        Limits { shard_segments: 3, ..Limits::default() },
        Limits { shard_bytes: 3, ..Limits::default() },
    ] {
        let (told, counters) = count(&limits);
        assert_eq!(told, "open low; >gap 1; >b; >gap 1; >d; >gap 1; >f; >gap 1; >h; EndOfCapture");
        assert_eq!((counters.gaps, counters.gap_bytes, counters.gaps_forced), (4, 4, 1), "{limits:?}");
    }
}

#[test]
fn copies_are_no_retransmissions() {
    let cases = [
        ("another interface", "> 100 'abc i1 #7\n> 100 'abc i2 #7", (3, 0)),
        ("another interface, IPv6", "> 100 'abc i1\n> 100 'abc i2", (3, 0)),
        ("another interface, too late", "> 100 'abc i1\nwait 101\n> 100 'abc i2", (0, 3)),
        ("twice on any", "> 100 'abc #7\n> 100 'abc #7", (3, 0)),
        ("sent again at once", "> 100 'abc #7\n> 100 'abc #8", (0, 3)),
        ("sent again, IPv6", "> 100 'abc\n> 100 'abc", (0, 3)),
        ("a forgery", "> 100 'abc #7\n> 100 'aXc #7", (0, 3)),
        ("behind a hole", "> 101 'abc i1\n> 101 'abc i2", (3, 0)),
    ];
    for (name, script, expected) in cases {
        let (_, counters) = run_with(&Limits::default(), &format!("{HANDSHAKE}{script}"));
        assert_eq!((counters.copied, counters.duplicate), expected, "{name}");
    }
}

/// One captured packet of a stream: from which byte to which, of which direction.
type Cut = (bool, usize, usize);

fn stream(len: usize) -> Vec<u8> {
    (0..len).map(|i| b'a' + (i * i % 23) as u8).collect()
}

/// Sends cuts of the two streams, which begin at these sequence numbers, in this order.
fn send(starts: [u32; 2], streams: &[Vec<u8>; 2], cuts: &[Cut], with_fin: bool) -> (Recorder, FlowCounters) {
    let mut table = FlowTable::new(&Limits::default());
    let mut recorder = Recorder::default();
    let mut ordinal = 0;
    let mut push = |from_low: bool, tcp, payload: &[u8]| {
        ordinal += 1;
        let packet = Packet { ordinal, ..segment(ordinal as i64 * MS, from_low, tcp, payload) };
        table.packet(&packet, &mut recorder);
    };
    push(true, fields(SYN, starts[0].wrapping_sub(1), 0), &[]);
    push(false, fields(SYN | ACK, starts[1].wrapping_sub(1), starts[0]), &[]);
    for &(from_low, from, to) in cuts {
        let side = usize::from(!from_low);
        let flags = if with_fin && to == streams[side].len() { FIN } else { 0 };
        push(from_low, fields(flags, starts[side].wrapping_add(from as u32), 0), &streams[side][from..to]);
    }
    table.finish(ordinal, Timestamp(ordinal as i64 * MS), &mut recorder);
    assert_closed(table.counters());
    let counters = table.counters().clone();
    (recorder, counters)
}

/// Two streams, cut at any places; each piece one to three times, in any order.
fn shuffled() -> impl Strategy<Value = ([Vec<u8>; 2], Vec<Cut>)> {
    let one = (1..400_usize, prop::collection::vec((any::<prop::sample::Index>(), 1..4_usize), 0..30));
    (one.clone(), one)
        .prop_map(|(a, b)| {
            let streams = [stream(a.0), stream(b.0)];
            let mut cuts = Vec::new();
            for (from_low, (len, places)) in [(true, a), (false, b)] {
                let mut ends: Vec<(usize, usize)> =
                    places.iter().map(|(index, times)| (index.index(len), *times)).collect();
                ends.push((len, 1));
                ends.sort_unstable();
                let mut from = 0;
                for (to, times) in ends {
                    if to > from {
                        cuts.extend(std::iter::repeat_n((from_low, from, to), times));
                        from = to;
                    }
                }
            }
            (streams, cuts)
        })
        .prop_flat_map(|(streams, cuts)| (Just(streams), Just(cuts).prop_shuffle()))
}

proptest! {
    #[test]
    fn any_order_delivers_each_byte_once(
        starts: [u32; 2],
        near_wrap: bool,
        (streams, cuts) in shuffled(),
    ) {
        let starts = if near_wrap { starts.map(|it| 0_u32.wrapping_sub(it % 400)) } else { starts };
        let (recorder, counters) = send(starts, &streams, &cuts, true);
        prop_assert_eq!(&recorder.streams, &streams);
        prop_assert_eq!(recorder.gaps, [0, 0]);
        prop_assert_eq!(counters.delivered as usize, streams[0].len() + streams[1].len());
        prop_assert_eq!(counters.differing, 0);
        prop_assert!(recorder.log.ends_with("Finished"));
    }

    #[test]
    fn any_loss_is_a_gap_of_its_length(
        starts: [u32; 2],
        (streams, cuts) in shuffled(),
        lost: [prop::sample::Index; 4],
    ) {
        // What is lost, is lost in every copy; the last piece of each direction arrives, so that its end is known.
        let lost = lost.map(|index| cuts[index.index(cuts.len())]);
        let is_last = |cut: &Cut| cut.2 == streams[usize::from(!cut.0)].len();
        let kept: Vec<Cut> =
            cuts.iter().copied().filter(|cut| is_last(cut) || !lost.contains(cut)).collect();
        let (recorder, _) = send(starts, &streams, &kept, true);
        for (side, (got, sent)) in recorder.streams.iter().zip(&streams).enumerate() {
            prop_assert_eq!(got.len(), sent.len());
            let mut missing = 0;
            for (got, sent) in got.iter().zip(sent) {
                prop_assert!(got == sent || *got == b'?');
                missing += u64::from(*got == b'?');
            }
            prop_assert_eq!(missing, recorder.gaps[side]);
        }
    }

    #[test]
    fn anything_at_all_keeps_the_ledger(
        packets in prop::collection::vec(
            (any::<bool>(), any::<u8>(), prop_oneof![0..64_u32, any::<u32>()], prop_oneof![0..64_u32, any::<u32>()],
             prop::collection::vec(any::<u8>(), 0..12), 0..4_u32, 0..2_000_u64),
            0..120),
    ) {
        let limits = Limits { half_segments: 6, shard_segments: 8, history: 16, ..Limits::default() };
        let mut table = FlowTable::new(&limits);
        let mut recorder = Recorder::default();
        let mut at = 0;
        for (ordinal, (from_low, flags, sequence, acknowledgment, payload, cut, wait)) in (1..).zip(&packets) {
            at += *wait as i64 * MS;
            let tcp = fields(*flags, *sequence, *acknowledgment);
            let packet = Packet { ordinal, cut: *cut, ..segment(at, *from_low, tcp, payload) };
            table.packet(&packet, &mut recorder);
            prop_assert!(table.counters().held_segments <= 8);
            if wait % 3 == 0 {
                table.tick(ordinal, Timestamp(at), &mut recorder);
            }
        }
        table.finish(packets.len() as u64, Timestamp(at), &mut recorder);
        assert_closed(table.counters());
    }
}
