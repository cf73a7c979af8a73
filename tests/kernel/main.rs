//! The kernel as oracle: what a socket of this machine reads of crafted segments and fragments is what we read of them.
//!
//! All relations of two and three pieces are sent, with differing and with equal contents, over IPv4 and IPv6, to real
//! sockets in a network namespace. The capture of all that goes through our decoder and flow table. Where a stream reads
//! otherwise, something must have said so; a datagram must be the same or be missing in both.

mod plan;

use std::{
    collections::HashMap,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use flow::{
    Closing, Data, Decoder, Direction, FlowHandler, FlowTable, Frame, Gap, Limits, Opening, Ordinal,
    Timestamp, Transport,
};
use plan::Order;
use serde_json::{Value, json};
use support::{Scratch, corpus, pcap::Capture, program};

/// What we read of a flow.
#[derive(Clone, Debug, Default)]
struct Read {
    bytes: Vec<u8>,
    /// Something was said about it.
    flagged: bool,
}

/// Reads what goes to the server, by transport and client port.
#[derive(Default)]
struct Reader(HashMap<(bool, u16), Read>);

impl FlowHandler for Reader {
    type Flow = (bool, u16);

    fn open(&mut self, opening: &Opening) -> Self::Flow {
        let client = if opening.client_is_low { opening.key.low } else { opening.key.high };
        (opening.key.transport == Transport::Udp, client.port)
    }

    fn data(&mut self, flow: &mut Self::Flow, data: &Data<'_>) {
        if data.direction == Direction::ToServer {
            let read = self.0.entry(*flow).or_default();
            read.bytes.extend_from_slice(data.bytes);
            read.flagged |= data.overlap || data.ambiguous;
        }
    }

    fn gap(&mut self, flow: &mut Self::Flow, _: &Gap) {
        self.0.entry(*flow).or_default().flagged = true;
    }

    fn contradicted(&mut self, flow: &mut Self::Flow, _: Direction, _: Ordinal, _: Timestamp) {
        self.0.entry(*flow).or_default().flagged = true;
    }

    fn half_close(&mut self, _: &mut Self::Flow, _: Direction, _: Ordinal, _: Timestamp) {}

    fn waits(&self, _: &Self::Flow) -> bool {
        false
    }

    fn tick(&mut self, _: &mut Self::Flow, _: Ordinal, _: Timestamp) {}

    fn close(&mut self, _: Self::Flow, _: &Closing) {}
}

fn read(capture: &Capture) -> HashMap<(bool, u16), Read> {
    let limits = Limits::default();
    let (mut decoder, mut table, mut reader) =
        (Decoder::new(&limits), FlowTable::new(&limits), Reader::default());
    let (mut ordinal, mut at) = (0, Timestamp(0));
    for frame in &capture.frames {
        ordinal += 1;
        at = Timestamp(frame.at as i64);
        let wire_len = frame.bytes.len() as u32;
        let frame =
            Frame { ordinal, at, interface: 0, link_type: capture.link_type, wire_len, bytes: &frame.bytes };
        if let Some(packet) = decoder.decode(&frame) {
            table.packet(&packet, &mut reader);
        }
    }
    table.finish(ordinal, at, &mut reader);
    reader.0
}

/// The cases, as the oracle wants them.
fn plan() -> Value {
    let relations: Vec<_> = [plan::relations(2), plan::relations(3)].concat();
    assert_eq!(relations.len(), 13 + 409);
    let (mut streams, mut datagrams) = (Vec::new(), Vec::new());
    for version in [4, 6] {
        for pieces in &relations {
            for order in [Order::Next, Order::Ahead, Order::Covered, Order::Agreeing] {
                let (segments, len) = plan::segments(pieces, order);
                let port = 10_000 + streams.len();
                streams.push(json!({
                    "version": version, "port": port, "segments": segments, "len": len,
                    "name": format!("{pieces:?} {order:?} IPv{version}"),
                }));
            }
            for first in [true, false] {
                let port = 10_000 + datagrams.len() as u16;
                datagrams.push(json!({
                    "version": version, "port": port, "fragments": plan::fragments(pieces, port, first),
                    "name": format!("{pieces:?} header {} IPv{version}", if first { "first" } else { "last" }),
                }));
            }
        }
    }
    json!({ "streams": streams, "datagrams": datagrams })
}

/// Runs the oracle; `None`, with the reason, where namespaces may not be made.
fn ask(scratch: &Scratch, plan: &Value) -> Result<(Capture, Value), String> {
    let plan = scratch.file("plan.json", plan.to_string().as_bytes());
    let (capture, answers) = (scratch.path().join("all.pcap"), scratch.path().join("answers.json"));
    let namespace = ["--user", "--map-root-user", "--net"];
    let may = |options: &[&str]| {
        Command::new("unshare").args(options).arg("true").output().is_ok_and(|ran| ran.status.success())
    };
    let options = if may(&namespace[2..]) { &namespace[2..] } else { &namespace[..] };
    if !may(options) {
        return Err("network namespaces may not be made here".into());
    }
    let script = support::root().join("tests/kernel/oracle.py");
    let mut command = Command::new("unshare");
    command.args(options).arg("python3").arg(script).args([&plan, &capture, &answers]);
    let ran = program::run(&mut command, b"", Duration::from_mins(2));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let file = |path: &Path| std::fs::read(path).expect("what the oracle wrote");
    Ok((Capture::read(&file(&capture)), serde_json::from_slice(&file(&answers)).expect("JSON")))
}

#[test]
fn we_read_what_the_kernel_reads() {
    let (scratch, plan, since) = (Scratch::new(), plan(), Instant::now());
    let (capture, answers) = match ask(&scratch, &plan) {
        Ok(told) => told,
        Err(reason) => return corpus::note(&format!("kernel as oracle: not run, {reason}")),
    };
    let ours = read(&capture);
    let mut faults = Vec::new();
    for (kind, is_udp) in [("streams", false), ("datagrams", true)] {
        let (mut same, mut flagged, mut missing) = (0, 0, 0);
        let cases = plan[kind].as_array().expect("cases");
        for (case, answer) in cases.iter().zip(answers[kind].as_array().expect("answers")) {
            let port = case["port"].as_u64().expect("a port") as u16;
            let own = ours.get(&(is_udp, port));
            let theirs: Option<Vec<u8>> =
                answer.as_str().map(|text| text.chars().map(|char| char as u8).collect());
            if own.map(|read| &read.bytes) == theirs.as_ref() {
                same += 1;
                missing += u32::from(theirs.is_none());
            } else if !is_udp && own.is_some_and(|read| read.flagged) {
                flagged += 1;
                println!("read otherwise, and flagged: {}", case["name"]);
            } else {
                let text =
                    |bytes: Option<&Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                faults.push(format!(
                    "{}: the kernel read {:?}, we {:?}",
                    case["name"],
                    text(theirs.as_ref()),
                    text(own.map(|read| &read.bytes))
                ));
            }
        }
        println!(
            "{kind}: {} of {} as the kernel reads them ({missing} dropped by both), {flagged} otherwise and flagged",
            same,
            cases.len()
        );
    }
    println!("{} packets, {:?}", capture.frames.len(), since.elapsed());
    assert!(
        faults.is_empty(),
        "{} unflagged mismatches:\n{}",
        faults.len(),
        faults[..faults.len().min(30)].join("\n")
    );
}
