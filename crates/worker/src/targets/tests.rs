use api::messages::TargetPod;
use flow::{FlowKey, Layer4, Timestamp};

use super::*;

fn packet(from: &str, to: &str, payload: &'static [u8]) -> Packet<'static> {
    let peer = |text: &str| {
        let address: std::net::SocketAddr = text.parse().unwrap();
        Peer { ip: address.ip(), port: address.port() }
    };
    let (low, high) = (peer(from).min(peer(to)), peer(from).max(peer(to)));
    Packet {
        ordinal: 1,
        at: Timestamp(0),
        interface: 0,
        key: FlowKey { low, high, transport: flow::Transport::Udp, realm: 0 },
        from_low: true,
        layer4: Layer4::Datagram,
        cut: 0,
        ip_id: 0,
        outer: None,
        payload,
    }
}

fn pod(ip: &str, host_network: bool, ports: &[u16]) -> TargetPod {
    let ports = ports.iter().map(|&number| Port { transport: Transport::Udp, number }).collect();
    let ips = vec![ip.parse().unwrap()];
    TargetPod { ips, name: "p".into(), namespace: "n".into(), node: "o".into(), host_network, ports }
}

#[test]
fn a_packet_is_looked_at_if_an_end_is_a_target_and_none_is_ours() {
    let targeting = Targeting::new(vec![("eth0".into(), Arc::default())], true);
    let verdict =
        |from: &str, to: &str, payload| targeting.gates[0].1.rules().verdict(&packet(from, to, payload));
    assert_eq!(verdict("10.0.0.1:1", "10.0.0.9:2", b""), Verdict::NotTargeted, "nothing was said yet");
    let pods = vec![pod("10.0.0.1", false, &[]), pod("fd00::1", false, &[]), pod("10.9.0.1", true, &[53])];
    targeting.set(Targets { pods, ..Targets::default() });
    let own = HashSet::from([("10.0.0.1".parse().unwrap(), 7)]);
    targeting.own(&Arc::new(OwnEnds::new(own)));
    for (from, to, expected) in [
        ("10.0.0.1:1", "10.0.0.9:2", Verdict::Keep),
        ("10.0.0.9:2", "10.0.0.1:1", Verdict::Keep),
        ("[::ffff:10.0.0.1]:1", "10.0.0.9:2", Verdict::Keep),
        ("[fd00::1]:1", "[fd00::9]:2", Verdict::Keep),
        ("10.0.0.2:1", "10.0.0.9:2", Verdict::NotTargeted),
        // Of a pod on its node's network its ports.
        ("10.9.0.1:53", "10.0.0.9:2", Verdict::Keep),
        ("10.9.0.1:54", "10.0.0.9:53", Verdict::NotTargeted),
        // A connection of ours, but not another with the same port.
        ("10.0.0.1:7", "10.0.0.9:2", Verdict::Own),
        ("10.0.0.1:1", "10.0.0.9:7", Verdict::Keep),
    ] {
        assert_eq!(verdict(from, to, b""), expected, "{from} {to}");
    }
    let gate = &targeting.gates[0].1;
    gate.change(|rules| rules.test = Some(Test { port: 99, token: *b"0123456789abcdef" }));
    assert_eq!(verdict("127.0.0.1:99", "127.0.0.1:99", b"0123456789abcdef"), Verdict::Test);
    assert_eq!(verdict("127.0.0.1:99", "127.0.0.1:99", b"0123456789abcdeX"), Verdict::NotTargeted);
    targeting.set(Targets { all: true, ..Targets::default() });
    assert_eq!(verdict("10.0.0.2:1", "10.0.0.9:2", b""), Verdict::Keep);
    assert_eq!(verdict("10.0.0.1:7", "10.0.0.9:2", b""), Verdict::Own, "whatever is targeted");
}

#[test]
fn what_was_said_before_changes_nothing() {
    let targeting = Targeting::new(vec![("eth0".into(), Arc::default())], false);
    let targets = Targets { pods: vec![pod("10.0.0.1", false, &[])], ..Targets::default() };
    let version = || targeting.gates[0].1.version();
    targeting.set(targets.clone());
    assert_eq!(version(), 1);
    targeting.set(targets.clone());
    targeting.set(Targets { rule: "others words".into(), ..targets });
    assert_eq!(version(), 1);
}
