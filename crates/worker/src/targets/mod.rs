//! What is captured: the packets of targeted pods, less our own traffic.
//!
//! ```text
//!   hub ──Targets──▶ Targeting ──Rules──▶ Gate ──▶ reader of the source:
//!                                                    the kernel's filter      as exact as its limits allow
//!                       own sockets ─────────────▶   the verdict on a packet  exact, before any flow is looked up
//! ```
//!
//! The filter is changed while the capture runs: the kernel puts the new program in the place of the old one at once, so
//! nothing is lost of pods that stay targeted.

pub(crate) mod filter;
pub(crate) mod own;
pub(crate) mod selftest;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use api::{
    Endpoint, Entry,
    messages::{Port, Targets, Transport},
};
use flow::{Packet, Peer};
use serde_json::{Value, json};

use crate::lock;

/// Whose packets are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everybody's.
    #[default]
    All,
    /// Nobody's, until a hub says whose.
    Nothing,
    /// Those that this BPF filter lets through.
    Filter(String),
    /// Those of these pods.
    Pods(Pods),
}

/// Pods by what tells their packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pods {
    /// Addresses that are theirs alone.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Ports at an address that they share with their node.
    pub(crate) ports: BTreeMap<IpAddr, BTreeSet<Port>>,
}

impl Wanted {
    fn of(targets: &Targets) -> Self {
        if let Some(filter) = &targets.bpf {
            return Self::Filter(filter.clone());
        }
        if targets.all {
            return Self::All;
        }
        let mut pods = Pods::default();
        for pod in &targets.pods {
            for ip in &pod.ips {
                if pod.host_network {
                    pods.ports.entry(ip.to_canonical()).or_default().extend(&pod.ports);
                } else {
                    pods.addresses.insert(ip.to_canonical());
                }
            }
        }
        Self::Pods(pods)
    }
}

impl Pods {
    fn has(&self, end: Peer, transport: Transport) -> bool {
        let ip = end.ip.to_canonical();
        let port = Port { transport, number: end.port };
        self.addresses.contains(&ip) || self.ports.get(&ip).is_some_and(|ports| ports.contains(&port))
    }
}

/// What a source lets through.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) wanted: Arc<Wanted>,
    /// Ends of our own connections on this machine.
    own: Arc<OwnEnds>,
    /// A test that runs.
    pub(crate) test: Option<Test>,
}

/// A set of addresses and ports that mostly does not have what it is asked for.
#[derive(Debug, Default)]
pub(crate) struct OwnEnds {
    ends: HashSet<(IpAddr, u16)>,
    /// A bit for each port that one of them has.
    ports: Vec<u64>,
}

impl OwnEnds {
    pub(crate) fn new(ends: HashSet<(IpAddr, u16)>) -> Self {
        let mut ports = vec![0; if ends.is_empty() { 0 } else { 1024 }];
        for (_, port) in &ends {
            if let Some(word) = ports.get_mut(usize::from(port / 64)) {
                *word |= 1u64 << (port % 64);
            }
        }
        Self { ends, ports }
    }

    pub(crate) fn has(&self, ip: IpAddr, port: u16) -> bool {
        let word = self.ports.get(usize::from(port / 64)).copied().unwrap_or_default();
        word & (1 << (port % 64)) != 0 && self.ends.contains(&(ip.to_canonical(), port))
    }
}

/// Datagrams by which a worker finds out whether it captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    /// The port that they come from.
    pub(crate) port: u16,
    /// What they say.
    pub(crate) token: [u8; 16],
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is looked at.
    Keep,
    /// It belongs to one of our own connections.
    Own,
    /// It is nobody's who is targeted.
    NotTargeted,
    /// It belongs to a test.
    Test,
}

impl Rules {
    /// What happens to a packet, by its innermost addresses.
    pub(crate) fn verdict(&self, packet: &Packet<'_>) -> Verdict {
        let (low, high) = (packet.key.low, packet.key.high);
        if let Some(test) = &self.test
            && (low.port == test.port || high.port == test.port)
            && packet.payload == test.token
        {
            return Verdict::Test;
        }
        if self.own.has(low.ip, low.port) || self.own.has(high.ip, high.port) {
            return Verdict::Own;
        }
        let transport = match packet.key.transport {
            flow::Transport::Tcp => Transport::Tcp,
            flow::Transport::Udp => Transport::Udp,
        };
        let is_wanted = match &*self.wanted {
            Wanted::All | Wanted::Filter(_) => true,
            Wanted::Nothing => false,
            Wanted::Pods(pods) => pods.has(low, transport) || pods.has(high, transport),
        };
        if is_wanted { Verdict::Keep } else { Verdict::NotTargeted }
    }
}

/// The rules of one source, and what its reader makes of them.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    rules: Mutex<Arc<Rules>>,
    version: AtomicU64,
    kernel: Mutex<Kernel>,
    /// A packet of the test was captured.
    seen: AtomicBool,
}

/// What the kernel was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kernel {
    /// The version of the rules that it follows.
    pub(crate) version: u64,
    /// Its filter; `None` lets everything through.
    pub(crate) filter: Option<String>,
    /// Whether it lets through what the rules refuse, because it would be too long.
    pub(crate) coarse: bool,
    /// Instructions of its program.
    pub(crate) instructions: usize,
    /// Why it is not the one that was asked for.
    pub(crate) error: Option<String>,
}

impl Gate {
    /// Which rules these are: differs from change to change.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&lock(&self.rules))
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) -> u64 {
        let mut held = lock(&self.rules);
        let mut rules =
            Rules { wanted: Arc::clone(&held.wanted), own: Arc::clone(&held.own), test: held.test.clone() };
        change(&mut rules);
        *held = Arc::new(rules);
        self.version.fetch_add(1, Ordering::Release) + 1
    }

    /// The reader follows the rules of this version, and the kernel has this filter.
    pub(crate) fn followed(&self, version: u64, kernel: Kernel) {
        *lock(&self.kernel) = Kernel { version, ..kernel };
    }

    pub(crate) fn kernel(&self) -> Kernel {
        lock(&self.kernel).clone()
    }

    /// A packet of the test was captured.
    pub(crate) fn see(&self) {
        self.seen.store(true, Ordering::Release);
    }
}

/// What a worker's live sources are told.
pub(crate) struct Targeting {
    gates: Vec<(String, Arc<Gate>)>,
    told: Mutex<Told>,
    /// One test at a time.
    testing: Mutex<()>,
}

#[derive(Default)]
struct Told {
    targets: Option<Targets>,
    heard: Option<Instant>,
}

impl Targeting {
    /// For these sources. `awaited`: nothing is captured until a hub has said what.
    pub(crate) fn new(gates: Vec<(String, Arc<Gate>)>, awaited: bool) -> Self {
        if awaited {
            for (_, gate) in &gates {
                gate.change(|rules| rules.wanted = Arc::new(Wanted::Nothing));
            }
        }
        Self { gates, told: Mutex::default(), testing: Mutex::new(()) }
    }

    /// From now on these are the targets.
    pub(crate) fn set(&self, targets: Targets) {
        let mut told = lock(&self.told);
        told.heard = Some(Instant::now());
        if told.targets.as_ref() == Some(&targets) {
            return;
        }
        let wanted = Arc::new(Wanted::of(&targets));
        for (_, gate) in &self.gates {
            if gate.rules().wanted != wanted {
                gate.change(|rules| rules.wanted = Arc::clone(&wanted));
            }
        }
        told.targets = Some(targets);
    }

    /// From now on these ends are our own.
    pub(crate) fn own(&self, ends: &Arc<OwnEnds>) {
        for (_, gate) in &self.gates {
            gate.change(|rules| rules.own = Arc::clone(ends));
        }
    }

    /// Whether only the client of an entry is a target, which then is outgoing. Where all are, none is.
    pub(crate) fn is_outgoing(&self, entry: &Entry) -> bool {
        let transport = if entry.stream.udp { Transport::Udp } else { Transport::Tcp };
        let peer = |end: &Endpoint| Peer { ip: end.ip, port: end.port };
        let Some((_, gate)) = self.gates.first() else { return false };
        match &*gate.rules().wanted {
            Wanted::Pods(pods) => {
                pods.has(peer(&entry.src), transport) && !pods.has(peer(&entry.dst), transport)
            }
            _ => false,
        }
    }

    /// What is to be captured, in words and numbers.
    pub(crate) fn json(&self) -> Value {
        let told = lock(&self.told);
        let age = told.heard.map(|heard| heard.elapsed().as_secs());
        match &told.targets {
            Some(targets) => json!({
                "ageSeconds": age,
                "all": targets.all,
                "bpf": targets.bpf,
                "pods": targets.pods.len(),
                "rule": targets.rule,
            }),
            None => {
                let gate = self.gates.first().map(|(_, gate)| gate.rules());
                let awaits = gate.is_some_and(|rules| *rules.wanted == Wanted::Nothing);
                let rule = if awaits {
                    "nothing, until a hub has said what"
                } else {
                    "everything, as no hub has said otherwise"
                };
                json!({ "ageSeconds": age, "all": !awaits, "bpf": null, "pods": 0, "rule": rule })
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        let pods =
            vec![pod("10.0.0.1", false, &[]), pod("fd00::1", false, &[]), pod("10.9.0.1", true, &[53])];
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
}
