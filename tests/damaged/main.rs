//! Small captures, each damaged in one way: what an exchange must look like in spite of it, entry by entry.
//!
//! Each case is made here and tried as IPv4 and IPv6, plain and in a VLAN, with the client at the lower and at the
//! higher address, and with sequence numbers that wrap.

mod cases;

use std::fmt::Write;

use support::{
    craft::{Carrier, Dress, PLAIN, Talk},
    engine,
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
                writeln!(faults, "{} ({dress_name}):\n  expected {:?}\n  given    {given:?}", case.name, case.expected)
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
    let mut dresses: Vec<_> = carriers.iter().flat_map(|&carrier| [("IPv4", v4(carrier)), ("IPv6", v6(carrier))]).collect();
    dresses.push(("hop-by-hop", v6(Carrier::HopByHop)));
    dresses.push(("fragments", v4(Carrier::Fragments { reversed: false })));
    dresses.push(("fragments, the last one first", v4(Carrier::Fragments { reversed: true })));
    for (name, dress) in dresses {
        hold(&[cases::normal()], &[(&format!("{name} {:?}", dress.carrier), dress)]);
    }
}
