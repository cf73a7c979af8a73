use std::net::{IpAddr, Ipv4Addr};

use crate::limits::Limits;
use crate::packet::{FlowKey, Layer4, Packet, Peer, Timestamp, Transport};
use crate::table::FlowTable;
use crate::testing::{MS, Recorder, SYN, assert_closed, fields, key, segment};

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
