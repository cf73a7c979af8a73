use std::net::{IpAddr, Ipv4Addr};

use crate::limits::Limits;
use crate::packet::{FlowKey, Layer4, Packet, Peer, Timestamp, Transport};
use crate::table::{FlowTable, Share};
use crate::testing::{MS, RST, Recorder, SYN, assert_closed, fields, key, segment};

fn datagram(at: i64, from_low: bool, payload: &[u8]) -> Packet<'_> {
    let packet = segment(at, from_low, fields(0, 0, 0), payload);
    Packet { key: key(Transport::Udp), layer4: Layer4::Datagram, ..packet }
}

/// A key of its own for each `host`.
fn other_key(host: u32, transport: Transport) -> FlowKey {
    let peer = |ip, port| Peer { ip: IpAddr::V4(Ipv4Addr::from(ip)), port };
    FlowKey::of(peer(0x0a01_0000 + host, 1000), peer(0x0aff_0000, 80), transport, 0).0
}

#[test]
fn datagrams_pass_whole() {
    let mut table = FlowTable::new(&Limits::default());
    let mut recorder = Recorder::default();
    let answer = datagram(2, false, b"answer");
    let packets = [
        datagram(1, true, b"ask"),
        Packet { interface: 1, ..datagram(1, true, b"ask") },
        answer,
        datagram(3, true, b""),
        Packet { cut: 9, ..datagram(4, true, b"cu") },
        Packet { ip_id: 3, ..datagram(5, true, b"ask") },
    ];
    for packet in &packets {
        table.packet(packet, &mut recorder);
    }
    table.tick(6, Timestamp(59_000 * MS), &mut recorder);
    table.tick(6, Timestamp(61_000 * MS), &mut recorder);
    assert_eq!(recorder.log, "open low; >ask; <answer; >; >cu; >ask; Idle");
    let c = table.counters();
    assert_eq!((c.datagrams, c.datagrams_delivered, c.datagrams_copied, c.datagrams_cut), (6, 5, 1, 1));
    assert_closed(c);
}

#[test]
fn only_those_that_wait_are_ticked() {
    let mut table = FlowTable::new(&Limits::default());
    let mut recorder = Recorder { waits: true, ..Recorder::default() };
    table.packet(&datagram(1, true, b"ask"), &mut recorder);
    table.tick(1, Timestamp(1000 * MS), &mut recorder);
    assert_eq!(recorder.ticks, 1);
    recorder.waits = false;
    table.tick(1, Timestamp(2000 * MS), &mut recorder);
    recorder.waits = true;
    table.tick(1, Timestamp(3000 * MS), &mut recorder);
    assert_eq!(recorder.ticks, 1, "it stopped waiting, and nothing happened since");
    table.packet(&datagram(3001 * MS, true, b"more"), &mut recorder);
    table.tick(2, Timestamp(4000 * MS), &mut recorder);
    assert_eq!(recorder.ticks, 2);
}

#[test]
fn a_flood_of_half_open_flows_evicts_itself() {
    let limits = Limits { flows: 100, ..Limits::default() };
    let mut table = FlowTable::new(&limits);
    let mut recorder = Recorder::default();
    table.packet(&segment(0, true, fields(SYN, 99, 0), b""), &mut recorder);
    table.packet(&segment(0, true, fields(0, 100, 0), b"useful"), &mut recorder);
    for host in 0..10_000 {
        let syn = segment(i64::from(host), true, fields(SYN, host, 0), b"");
        table.packet(&Packet { key: other_key(host, Transport::Tcp), ..syn }, &mut recorder);
        assert!(table.len() <= 100);
    }
    table.packet(&segment(20_000, true, fields(0, 106, 0), b" still"), &mut recorder);
    assert!(recorder.log.ends_with("> still"), "the flow that delivered data is there");
    assert_eq!(table.counters().closed_evicted, 9901);
    assert!(table.flows.len() <= 100, "slots are used again");
    table.finish(0, Timestamp(0), &mut recorder);
    assert!(table.is_empty());
    assert_closed(table.counters());
}

/// New flows get the room they need to prove themselves, even if all others already have.
#[test]
fn proven_flows_leave_room_for_new_ones() {
    let limits = Limits { flows: 8, ..Limits::default() };
    let mut table = FlowTable::new(&limits);
    let mut recorder = Recorder::default();
    let mut send = |host: u32, sequence, flags, payload: &[u8]| {
        let packet = segment(i64::from(host) * 2000 * MS, true, fields(flags, sequence, 0), payload);
        table.packet(&Packet { key: other_key(host, Transport::Tcp), ..packet }, &mut recorder);
    };
    for host in 0..8 {
        send(host, 1, 0, b"old");
    }
    send(8, 99, SYN, b"");
    send(9, 99, SYN, b"");
    send(8, 100, 0, b"new");
    assert!(recorder.log.ends_with("Evicted; open low; Evicted; open low; >new"), "{}", recorder.log);
}

#[test]
fn the_end_closes_in_order_of_opening() {
    struct Closes(Vec<u64>);
    impl crate::FlowHandler for Closes {
        type Flow = u64;
        fn open(&mut self, opening: &crate::Opening) -> u64 {
            opening.ordinal
        }
        fn data(&mut self, _: &mut u64, _: &crate::Data<'_>) {}
        fn gap(&mut self, _: &mut u64, _: &crate::Gap) {}
        fn half_close(&mut self, _: &mut u64, _: crate::Direction, _: u64, _: Timestamp) {}
        fn waits(&self, _: &u64) -> bool {
            false
        }
        fn tick(&mut self, _: &mut u64, _: u64, _: Timestamp) {}
        fn close(&mut self, flow: u64, _: &crate::Closing) {
            self.0.push(flow);
        }
    }
    let limits = Limits { flows: 50, ..Limits::default() };
    let mut table = FlowTable::new(&limits);
    let mut closes = Closes(Vec::new());
    for ordinal in 1..=120 {
        let packet = Packet { ordinal, ..datagram(ordinal as i64 * 2000 * MS, true, b"x") };
        table.packet(&Packet { key: other_key(ordinal as u32, Transport::Udp), ..packet }, &mut closes);
    }
    table.finish(120, Timestamp(0), &mut closes);
    assert_eq!(closes.0, (1..=120).collect::<Vec<u64>>());
}

/// A share that takes the test's own flow, and one that does not.
fn shares(key: &FlowKey) -> [Share; 2] {
    let first = (1..=63)
        .map(Share::new)
        .find(|share| share.includes(key))
        .expect("a key of this test that can be shed");
    [first, Share::NONE]
}

/// A packet (from the low end?), its flags, sequence number and payload, and the share when it comes.
type Step = (bool, u8, u32, &'static [u8], Share);

#[test]
fn what_is_shed_stays_shed_and_what_is_read_is_read_to_its_end() {
    let [shed, none] = shares(&key(Transport::Tcp));
    let run = |steps: &[Step]| {
        let (mut table, mut recorder) = (FlowTable::new(&Limits::default()), Recorder::default());
        for (n, &(from_low, flags, sequence, payload, share)) in (0..).zip(steps) {
            table.shed(share);
            table.packet(&segment(n * MS, from_low, fields(flags, sequence, 0), payload), &mut recorder);
        }
        table.finish(0, Timestamp(0), &mut recorder);
        assert_closed(table.counters());
        let c = table.counters().clone();
        (recorder.log, [c.shed_flows, c.shed_segments, c.shed_bytes])
    };
    let syn = (true, SYN, 99, &b""[..]);
    let with = |step: (bool, u8, u32, &'static [u8]), share| (step.0, step.1, step.2, step.3, share);
    let (ask, answer) = ((true, 0, 100, &b"ask"[..]), (false, 0, 500, &b"answer"[..]));
    for (steps, log, counts) in [
        // Shed from its SYN on, though the load is over.
        (vec![with(syn, shed), with(ask, none), with(answer, none)], "", [1, 3, 9]),
        (vec![with(ask, shed), with(answer, none)], "", [1, 2, 9]),
        // Read before the load came.
        (
            vec![with(syn, none), with(ask, shed), with(answer, shed)],
            "open low; >ask; <answer; EndOfCapture",
            [0; 3],
        ),
        // Its ports are used again when it is over, or by another SYN; the same SYN again is no other.
        (
            vec![with(syn, shed), with((true, SYN, 7000, b""), none), with((true, 0, 7001, b"new"), none)],
            "open low; >new; EndOfCapture",
            [1, 1, 0],
        ),
        (vec![with(syn, shed), with(syn, none), with(ask, none)], "", [1, 3, 3]),
        (
            vec![with(ask, shed), with((true, RST, 103, b""), none), with((true, SYN, 7000, b""), none)],
            "open low; EndOfCapture",
            [1, 2, 3],
        ),
        // What nothing would have been opened for is not shed either.
        (vec![with((true, RST, 100, b"x"), shed), with((false, 0x10, 500, b""), shed)], "", [0; 3]),
    ] {
        assert_eq!(run(&steps), (log.to_owned(), counts), "{steps:?}");
    }
}

#[test]
fn shed_flows_are_forgotten_when_they_end_fall_silent_or_are_too_many() {
    let limits = Limits { shed_flows: 100, ..Limits::default() };
    let mut table = FlowTable::new(&limits);
    let mut recorder = Recorder::default();
    table.shed(Share::MOST);
    let talk = |table: &mut FlowTable<Recorder>, recorder: &mut Recorder, host, at, payload: &[u8]| {
        let packet = segment(at, true, fields(0, 1, 0), payload);
        table.packet(&Packet { key: other_key(host, Transport::Tcp), ..packet }, recorder);
    };
    let shed: Vec<u32> =
        (0..).filter(|&host| Share::MOST.includes(&other_key(host, Transport::Tcp))).take(500).collect();
    talk(&mut table, &mut recorder, shed[0], 0, b"useful");
    for &host in &shed[1..] {
        let syn = segment(MS, true, fields(SYN, host, 0), b"");
        table.packet(&Packet { key: other_key(host, Transport::Tcp), ..syn }, &mut recorder);
        assert!(table.shed.len() <= 100 && table.shed.flows() <= 100);
    }
    // Half-open ones make room for each other; the one that said something is still known.
    table.shed(Share::NONE);
    talk(&mut table, &mut recorder, shed[0], 2 * MS, b"more");
    assert_eq!((recorder.log.as_str(), table.counters().shed_forgotten), ("", 400));
    // Silence: the half-open ones first, then the other.
    for (seconds, left) in [(29, 100), (31, 1), (299, 1), (302, 0)] {
        table.tick(0, Timestamp(seconds * 1000 * MS), &mut recorder);
        assert_eq!(table.shed.len(), left, "after {seconds} s");
    }
    talk(&mut table, &mut recorder, shed[0], 303_000 * MS, b"again");
    assert_eq!(recorder.log, "open low midstream; >again");
    table.finish(0, Timestamp(0), &mut recorder);
    assert_closed(table.counters());
}

#[test]
fn datagrams_are_shed_by_flow() {
    let mut table = FlowTable::new(&Limits::default());
    let mut recorder = Recorder::default();
    let [shed, none] = shares(&key(Transport::Udp));
    for (at, share) in [(1, shed), (2, none)] {
        table.shed(share);
        table.packet(&datagram(at, at == 1, b"four"), &mut recorder);
    }
    let c = table.counters();
    assert_eq!(
        (c.shed_flows, c.shed_datagrams, c.shed_datagram_bytes, c.datagrams, c.udp_opened),
        (1, 2, 8, 2, 0)
    );
    assert_eq!(recorder.log, "");
    // Answered, it is remembered for as long as one that is read.
    table.tick(3, Timestamp(59_000 * MS), &mut recorder);
    assert_eq!(table.shed.len(), 1);
    table.tick(3, Timestamp(61_000 * MS), &mut recorder);
    assert_eq!(table.shed.len(), 0);
}

#[test]
fn a_share_is_that_share() {
    for parts in [0, 1, 8, 32, 63, 200] {
        let share = Share::new(parts);
        let taken = (0..64_000).filter(|&host| share.includes(&other_key(host, Transport::Udp))).count();
        let wanted = usize::from(parts.min(63)) * 1000;
        assert!(taken.abs_diff(wanted) <= wanted / 10, "{taken} of 64,000 are {parts} parts of 64");
    }
}

#[test]
fn a_client_of_many_flows_drives_out_its_own() {
    let limits = Limits { flows: 100, ..Limits::default() };
    let (mut table, mut recorder) = (FlowTable::new(&limits), Recorder::default());
    // It talks, and then for a long time it does not.
    table.packet(&segment(0, true, fields(0, 100, 0), b"quiet"), &mut recorder);
    let peer = |ip, port| Peer { ip: IpAddr::V4(Ipv4Addr::from(ip)), port };
    for port in 1..5000 {
        let key = FlowKey::of(peer(0x0909_0909, port), peer(0x0aff_0000, 80), Transport::Tcp, 0).0;
        let packet = segment(i64::from(port) * 40 * MS, true, fields(0, 1, 0), b"noise");
        table.packet(&Packet { key, ..packet }, &mut recorder);
    }
    assert_eq!(table.counters().closed_evicted, 4900);
    table.packet(&segment(200_000 * MS, true, fields(0, 105, 0), b" still"), &mut recorder);
    assert!(recorder.log.ends_with("> still"), "the quiet flow is there");
}

#[test]
fn a_flow_that_holds_much_gives_up_its_own() {
    let limits = Limits { shard_bytes: 10_000, ..Limits::default() };
    let (mut table, mut recorder) = (FlowTable::new(&limits), Recorder::default());
    table.packet(&segment(0, true, fields(SYN, 99, 0), b""), &mut recorder);
    table.packet(&segment(0, true, fields(0, 103, 0), b"quiet"), &mut recorder);
    let noise = [b'n'; 1000];
    for n in 0..200 {
        let packet = segment(0, true, fields(0, 5000 + 2000 * n, 0), &noise);
        table.packet(&Packet { key: other_key(n % 20, Transport::Tcp), ..packet }, &mut recorder);
        assert!(table.counters().held <= 10_000);
    }
    assert!(table.counters().gaps_forced > 100);
    table.packet(&segment(0, true, fields(0, 100, 0), b"be "), &mut recorder);
    assert!(recorder.log.ends_with(">be ; >quiet"), "the quiet flow's hole was kept open");
    table.finish(0, Timestamp(0), &mut recorder);
    assert_closed(table.counters());
}
