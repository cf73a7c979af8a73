//! The kernel as oracle: what a socket of this machine reads of crafted segments and fragments is what we read of them.
//!
//! All relations of two and three pieces are sent, with differing and with equal contents, over IPv4 and IPv6, to real
//! sockets in a network namespace, and as many cases of more pieces at random as `KUBESHARK_SEEDS` (100) says. The capture of all that goes through our decoder and flow table. Where a stream reads
//! otherwise, something must have said so; a datagram must be the same or be missing in both.

mod plan;

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use flow::{Direction, Transport};
use plan::Order;
use serde_json::{Value, json};
use support::{
    Scratch,
    flows::{self, Half},
    namespace,
    pcap::Capture,
    program,
    traffic::Random,
};

/// What we read of that which goes to the server, by transport and client port.
fn read(capture: &Capture) -> HashMap<(bool, u16), Half> {
    let to_server = |told: flows::Told| {
        let key = &told.opening.key;
        let client = if told.opening.client_is_low { key.low } else { key.high };
        ((key.transport == Transport::Udp, client.port), told.half(Direction::ToServer).clone())
    };
    flows::read(capture, |_| ()).into_iter().map(to_server).collect()
}

/// The cases, as the oracle wants them.
fn plan() -> Value {
    let relations: Vec<_> = [plan::relations(2), plan::relations(3)].concat();
    assert_eq!(relations.len(), 13 + 409);
    let (mut streams, mut datagrams) = (Vec::new(), Vec::new());
    let port = |cases: &Vec<Value>| u16::try_from(10_000 + cases.len()).expect("fewer cases than ports");
    let stream = |version: u8, port: u16, (segments, len): (Vec<(usize, String)>, usize), name: String| {
        let name = format!("{name} IPv{version}");
        json!({ "version": version, "port": port, "segments": segments, "len": len, "name": name })
    };
    let datagram = |version: u8, port: u16, fragments: Vec<(usize, bool, String)>, name: String| {
        let name = format!("{name} IPv{version}");
        json!({ "version": version, "port": port, "fragments": fragments, "name": name })
    };
    for version in [4, 6] {
        for pieces in &relations {
            for order in [Order::Next, Order::Ahead, Order::Covered, Order::Agreeing] {
                let name = format!("{pieces:?} {order:?}");
                streams.push(stream(version, port(&streams), plan::segments(pieces, order), name));
            }
            for first in [true, false] {
                let (port, place) = (port(&datagrams), if first { "first" } else { "last" });
                let fragments = plan::fragments(pieces, port, first);
                datagrams.push(datagram(version, port, fragments, format!("{pieces:?} header {place}")));
            }
        }
        for seed in 0..support::number("KUBESHARK_SEEDS", 100) {
            let (random, name) = (&mut Random::new(seed * 10 + u64::from(version)), format!("seed {seed}"));
            let segments = plan::random_segments(random);
            streams.push(stream(version, port(&streams), segments.clone(), format!("{name} {segments:?}")));
            let port = port(&datagrams);
            let fragments = plan::random_fragments(random, port);
            datagrams.push(datagram(version, port, fragments, name));
        }
    }
    json!({ "streams": streams, "datagrams": datagrams })
}

/// Runs the oracle; the reason where namespaces may not be made.
fn ask(scratch: &Scratch, plan: &Value) -> Result<(Capture, Value), String> {
    let n = plan["streams"].as_array().map_or(0, Vec::len) as u32;
    let plan = scratch.file("plan.json", plan.to_string().as_bytes());
    let (capture, answers) = (scratch.path().join("all.pcap"), scratch.path().join("answers.json"));
    let script = support::root().join("tests/kernel/oracle.py");
    let mut command = namespace::command(&["--net"])?;
    command.arg("python3").arg(script).args([&plan, &capture, &answers]);
    let ran = program::run(&mut command, b"", Duration::from_mins(5) + Duration::from_millis(100) * n);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let file = |path: &Path| std::fs::read(path).expect("what the oracle wrote");
    Ok((Capture::read(&file(&capture)), serde_json::from_slice(&file(&answers)).expect("JSON")))
}

#[test]
fn we_read_what_the_kernel_reads() {
    if !program::installed("kernel as oracle", &["unshare", "ip", "python3"]) {
        return;
    }
    let (scratch, plan, since) = (Scratch::new(), plan(), Instant::now());
    let (capture, answers) = match ask(&scratch, &plan) {
        Ok(told) => told,
        Err(reason) => return program::missing(&format!("kernel as oracle: not run, {reason}")),
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
