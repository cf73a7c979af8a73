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
        if let Some(targets) = &told.targets {
            return json!({
                "ageSeconds": age,
                "all": targets.all,
                "bpf": targets.bpf,
                "pods": targets.pods.len(),
                "rule": targets.rule,
            });
        }
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

#[cfg(test)]
mod tests;
