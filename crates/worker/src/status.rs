//! What the worker knows of itself: for `/status`, `/metrics`, `/ledger` and its hub.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
    time::Instant,
};

use api::Node;
use serde_json::{Value, json};
use web::{Metrics, Readiness};

use crate::{
    Ledger, Packets, PacketsStatus, lock,
    names::Names,
    scripts::Scripts,
    store::Store,
    targets::{Gate, Targeting},
};

/// One source, as `/status` has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceStatus {
    /// What is read.
    pub(crate) name: String,
    /// What of it is let through.
    pub(crate) gate: Arc<Gate>,
    /// Packets that the interface had passed when the capture began.
    interface_before: Option<u64>,
    /// Entries of our own connections, which were found to be such only then.
    pub(crate) own_entries: u64,
    /// Whether it is an interface.
    pub(crate) live: bool,
    /// What was counted so far.
    pub(crate) ledger: Ledger,
    /// Which share of new flows is shed now, because the engine can't keep up.
    pub(crate) shedding: flow::Share,
    /// When the last packet came.
    pub(crate) last_packet: Option<Instant>,
    /// It was read to its end.
    pub(crate) ended: bool,
    /// Why it is not read any further.
    pub(crate) error: Option<String>,
}

impl SourceStatus {
    /// One of which nothing was read yet.
    pub(crate) fn new(name: String, live: bool, gate: Arc<Gate>) -> Self {
        let interface_before = if live { interface_packets(&name) } else { None };
        Self { name, gate, interface_before, live, ..Self::default() }
    }
}

/// What the worker knows of its cluster.
pub(crate) struct Cluster {
    pub(crate) names: Arc<Names>,
    pub(crate) targeting: Arc<Targeting>,
}

/// Written by the capture threads, read by handlers; the lock is held for a copy only.
pub(crate) struct Status {
    pub(crate) node: Arc<Node>,
    /// Tells this start of the worker from any that numbers its entries otherwise.
    pub(crate) boot: u64,
    started: Instant,
    store: Arc<Store>,
    packets: Option<Packets>,
    scripts: Arc<Scripts>,
    cluster: Cluster,
    sources: Mutex<Vec<SourceStatus>>,
    entries: Mutex<BTreeMap<&'static str, u64>>,
}

impl Status {
    pub(crate) fn new(
        node: Arc<Node>,
        boot: u64,
        store: Arc<Store>,
        packets: Option<Packets>,
        scripts: Arc<Scripts>,
        cluster: Cluster,
        sources: Vec<SourceStatus>,
    ) -> Self {
        Self {
            node,
            boot,
            started: Instant::now(),
            store,
            packets,
            scripts,
            cluster,
            sources: Mutex::new(sources),
            entries: Mutex::default(),
        }
    }

    /// Changes what is known of the source `index`.
    pub(crate) fn source(&self, index: usize, change: impl FnOnce(&mut SourceStatus)) {
        if let Some(source) = lock(&self.sources).get_mut(index) {
            change(source);
        }
    }

    /// Counts entries of a protocol.
    pub(crate) fn count(&self, protocol: &'static str, entries: u64) {
        *lock(&self.entries).entry(protocol).or_default() += entries;
    }

    /// The ledgers of all sources together, and the packet store's.
    pub(crate) fn ledger(&self) -> Ledger {
        let packets = self.packets.as_ref().map(Packets::counters).unwrap_or_default();
        let mut ledger = Ledger { packets, ..Ledger::default() };
        for source in lock(&self.sources).iter() {
            ledger.add(&source.ledger);
        }
        ledger
    }

    pub(crate) fn json(&self) -> Value {
        let sources: Vec<_> = lock(&self.sources).iter().map(source_json).collect();
        json!({
            "boot": self.boot,
            "entries": *lock(&self.entries),
            "ledger": self.ledger().json(),
            "names": self.cluster.names.json(),
            "node": &*self.node.name,
            "packets": self.packets.as_ref().map(Packets::status),
            "scripts": self.scripts.json(),
            "sources": sources,
            "store": self.store.status(),
            "targets": self.cluster.targeting.json(),
            "uptimeSeconds": self.started.elapsed().as_secs(),
            "version": env!("CARGO_PKG_VERSION"),
            "worker": &*self.node.worker,
        })
    }

    /// Ready while every source is read, or was read to its end.
    pub(crate) fn readiness(&self) -> Readiness {
        let sources = lock(&self.sources);
        match sources.iter().find_map(|source| Some((&source.name, source.error.as_ref()?))) {
            None => Readiness::Ready(format!("{} source(s)", sources.len())),
            Some((name, why)) => Readiness::NotReady(format!("{name} is not read any further: {why}")),
        }
    }

    pub(crate) fn metrics(&self, out: &mut Metrics) {
        let ledger = self.ledger();
        let mut rows =
            out.counter("kubeshark_worker_ledger_total", "Where packets, bytes, flows and messages ended.");
        ledger.each(&mut |stage, row, count| {
            rows.add(&[("stage", stage), ("row", row)], count);
        });
        out.gauge("kubeshark_worker_open_flows", "Flows that are open.").is(ledger.open_flows);
        let mut shedding =
            out.gauge("kubeshark_worker_shedding", "The share of new flows that is shed for overload now.");
        for source in lock(&self.sources).iter() {
            shedding.add(&[("source", &source.name)], share(source));
        }
        let mut entries = out.counter("kubeshark_worker_entries_total", "Entries by protocol.");
        for (protocol, count) in lock(&self.entries).iter() {
            entries.add(&[("protocol", protocol)], *count);
        }
        if let Some(packets) = &self.packets {
            let PacketsStatus { bytes, packets, pinned } = packets.status();
            out.gauge("kubeshark_worker_packets_bytes", "Bytes of packets held on disk.").is(bytes);
            out.gauge("kubeshark_worker_packets", "Packets held on disk.").is(packets);
            out.gauge("kubeshark_worker_packets_pinned", "Streams whose copies are continued.").is(pinned);
        }
        let store = self.store.status();
        out.gauge("kubeshark_worker_store_entries", "Entries held.").is(store.entries);
        out.gauge("kubeshark_worker_store_bytes", "Bytes of the entries held.").is(store.bytes);
        out.counter(
            "kubeshark_worker_store_evicted_total",
            "Entries evicted, by the limit that asked for it.",
        )
        .with(&[("limit", "bytes")], store.evicted_for_bytes)
        .with(&[("limit", "age")], store.evicted_for_age);
        self.scripts.metrics(out);
        self.cluster.names.metrics(out);
    }
}

/// From 0 to less than 1.
fn share(source: &SourceStatus) -> f64 {
    f64::from(source.shedding.parts()) / 64.0
}

/// Packets that an interface has received and sent since it is there, of `any` those of all (`proc_net_dev(5)`).
fn interface_packets(name: &str) -> Option<u64> {
    let table = fs::read_to_string("/proc/self/net/dev").ok()?;
    packets_of(&table, name)
}

fn packets_of(table: &str, name: &str) -> Option<u64> {
    let of_line = |line: &str| -> Option<u64> {
        let (device, counts) = line.split_once(':')?;
        if name != "any" && device.trim() != name {
            return None;
        }
        let mut counts = counts.split_whitespace();
        let received: u64 = counts.nth(1)?.parse().ok()?;
        let sent: u64 = counts.nth(7)?.parse().ok()?;
        Some(received + sent)
    };
    table.lines().filter_map(of_line).reduce(|sum, more| sum + more)
}

fn source_json(source: &SourceStatus) -> Value {
    let kernel = source.gate.kernel();
    let passed = source.interface_before.zip(interface_packets(&source.name));
    json!({
        "bytes": source.ledger.capture.bytes,
        "dropped": source.ledger.capture.kernel_dropped + source.ledger.capture.interface_dropped,
        "ended": source.ended,
        "error": source.error,
        "filter": kernel.filter,
        "filterError": kernel.error,
        "filterInstructions": kernel.instructions,
        "filterIsCoarse": kernel.coarse,
        "filtered": {
            "file": source.ledger.capture.filtered,
            "notTargeted": source.ledger.capture.not_targeted,
            "own": source.ledger.capture.own,
            "ownEntries": source.own_entries,
        },
        "interfacePackets": passed.map(|(before, now)| now.saturating_sub(before)),
        "lastPacketAgeSeconds": source.last_packet.map(|at| at.elapsed().as_secs()),
        "live": source.live,
        "name": source.name,
        "openFlows": source.ledger.open_flows,
        "packets": source.ledger.capture.packets,
        "shedding": share(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_interfaces() {
        let table = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n    \
            lo: 1000 10 0 0 0 0 0 0 1000 10 0 0 0 0 0 0\n  eth0:77 3 0 0 0 0 0 0 88 4 0 0 0 0 0 0\n";
        for (name, expected) in [("lo", Some(20)), ("eth0", Some(7)), ("any", Some(27)), ("eth1", None)] {
            assert_eq!(packets_of(table, name), expected, "{name}");
        }
    }
}
