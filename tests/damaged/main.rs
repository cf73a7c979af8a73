//! Small captures, each damaged in one way: what an exchange must look like in spite of it, entry by entry.
//!
//! Each case is made here and tried as IPv4 and IPv6, plain and in a VLAN, with the client at the lower and at the
//! higher address, and with sequence numbers that wrap.

#![expect(clippy::print_stdout, reason = "the test runner shows it")]

mod cases;

use std::fmt::Write;

use support::{
    craft::{Carrier, Dress, PLAIN, Side, Talk},
    engine, impair,
    pcap::Endian,
};

/// A damaged exchange.
pub struct Case {
    name: String,
    talk: Talk,
    /// The entries that it must give, in short.
    expected: Vec<String>,
}

/// How a conversation may look without being another.
fn dresses() -> Vec<(&'static str, Dress)> {
    let late = [u32::MAX - 20, u32::MAX - 7];
    vec![
        ("plain", PLAIN),
        ("IPv6", Dress { v6: true, ..PLAIN }),
        ("VLAN", Dress { carrier: Carrier::Vlan, ..PLAIN }),
        ("IPv6 in a VLAN", Dress { v6: true, carrier: Carrier::Vlan, ..PLAIN }),
        ("the client is the higher one", Dress { client_high: true, ..PLAIN }),
        ("sequence numbers wrap", Dress { initial: late, ..PLAIN }),
    ]
}

fn entries(talk: &Talk, dress: &Dress) -> Vec<String> {
    let capture = dress.capture(&talk.segments).pcap(Endian::Little, true);
    let (entries, _, result) = engine::dissect(&capture);
    result.expect("a readable capture");
    entries.iter().map(engine::line).collect()
}

fn hold(cases: &[Case], dresses: &[(&str, Dress)]) {
    let mut faults = String::new();
    let mut held = 0;
    for case in cases {
        for (dress_name, dress) in dresses {
            let given = entries(&case.talk, dress);
            held += 1;
            if given != case.expected {
                let differs = |(a, b): (&String, &String)| a != b;
                let at = case
                    .expected
                    .iter()
                    .zip(&given)
                    .position(differs)
                    .unwrap_or(given.len().min(case.expected.len()));
                let (expected, given) = (&case.expected[at..], &given[at..]);
                writeln!(
                    faults,
                    "{} ({dress_name}), from entry {at} on:\n  expected {:?}\n  given    {:?}",
                    case.name,
                    &expected[..expected.len().min(4)],
                    &given[..given.len().min(4)]
                )
                .expect("memory");
            }
        }
    }
    println!("{held} captures of {} cases", cases.len());
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn damaged_exchanges_come_out_right() {
    hold(&cases::all(), &dresses());
}

/// Long conversations over a bad network: what is shown without a flag is as it was.
#[test]
fn nothing_is_made_up_of_what_a_bad_network_left() {
    let mut talk = Talk::open();
    for at in 0..300 {
        let (question, answer) = cases::exchange(at);
        // What the other side acknowledges, its next bytes do.
        talk.say(Side::Client, &question).segments.pop();
        talk.say(Side::Server, &answer).segments.pop();
    }
    let capture = PLAIN.capture(&talk.close().segments);
    let (mut wrong, mut flagged, mut whole) = (Vec::new(), 0, 0);
    let seeds = support::number("KUBESHARK_SEEDS", 200);
    for seed in 1..=seeds {
        let (worse, _) = impair::impair(&capture, seed);
        let (entries, _, result) = engine::dissect(&worse.pcap(Endian::Little, true));
        result.expect("a readable capture");
        for entry in entries {
            let number = |text: String| {
                text.bytes()
                    .filter(u8::is_ascii_digit)
                    .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
            };
            let asked = number(entry["request"]["url"].to_string());
            let answered = number(String::from_utf8_lossy(&engine::body(&entry["response"])).into_owned());
            match engine::flags(&entry).is_empty() {
                true if asked == answered => whole += 1,
                true => wrong.push(format!("seed {seed}: {}", engine::line(&entry))),
                false => flagged += 1,
            }
        }
    }
    println!("{whole} entries as they were, {flagged} flagged, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{} unflagged and wrong: {:?}", wrong.len(), &wrong[..wrong.len().min(8)]);
    assert!(whole > seeds * 300 * 9 / 10, "most must be whole: {whole}");
}

#[test]
fn every_carrier_brings_the_exchange() {
    let v6 = |carrier| Dress { v6: true, carrier, ..PLAIN };
    let v4 = |carrier| Dress { carrier, ..PLAIN };
    let carriers = [
        Carrier::Vlan,
        Carrier::QinQ,
        Carrier::Vxlan(4789),
        Carrier::Vxlan(8472),
        Carrier::Geneve,
        Carrier::Gre,
        Carrier::IpInIp,
        Carrier::Sll,
        Carrier::Sll2,
        Carrier::Raw,
    ];
    let mut dresses: Vec<_> =
        carriers.iter().flat_map(|&carrier| [("IPv4", v4(carrier)), ("IPv6", v6(carrier))]).collect();
    dresses.push(("hop-by-hop", v6(Carrier::HopByHop)));
    dresses.push(("fragments", v4(Carrier::Fragments { reversed: false })));
    dresses.push(("fragments, the last one first", v4(Carrier::Fragments { reversed: true })));
    for (name, dress) in dresses {
        hold(&[cases::normal()], &[(&format!("{name} {:?}", dress.carrier), dress)]);
    }
}
