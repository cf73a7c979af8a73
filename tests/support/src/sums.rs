//! The sums of the ledger.

use worker::Report;

/// Visits the rows of a stage.
type Each<'a> = dyn Fn(&mut dyn FnMut(&'static str, u64)) + 'a;

/// What must be equal at the end of a capture, stage by stage: a name and two sums.
pub fn of(report: &Report) -> Vec<(&'static str, u64, u64)> {
    let ledger = &report.ledger;
    let (capture, decode, flow, dissect) = (&ledger.capture, &ledger.decode, &ledger.flow, &ledger.dissect);
    let rows = |each: &Each<'_>, of: &[&str]| {
        let mut sum = 0;
        each(&mut |name, count| sum += if of.contains(&name) { count } else { 0 });
        sum
    };
    let decode_ends: Vec<_> = {
        let mut names = Vec::new();
        decode.each(&mut |name, _| names.push(name));
        names
            .into_iter()
            .filter(|name| !name.starts_with("frames") && !name.starts_with("frameB") && !is_held(name))
            .collect()
    };
    let bytes = flow.delivered
        + flow.duplicate
        + flow.copied
        + flow.outside_window
        + flow.after_fin
        + flow.before_start
        + flow.late
        + flow.on_reset
        + flow.after_close
        + flow.shed_bytes;
    let closed =
        ["closedFinished", "closedReset", "closedIdle", "closedEvicted", "closedReused", "closedAtEnd"];
    let dissect_flows: u64 = dissect.flows.iter().sum::<u64>() + dissect.flows_unknown + dissect.flows_silent;
    let dissect_bytes =
        dissect.bytes_dissected + dissect.bytes_skipped + dissect.bytes_unknown + dissect.bytes_unfinished;
    vec![
        ("frames decoded = packets captured", decode.frames, capture.packets),
        ("their bytes", decode.frame_bytes, capture.bytes),
        ("frames = the rows of decoding", decode.frames, rows(&|visit| decode.each(visit), &decode_ends)),
        ("segments = tcp", flow.segments, decode.tcp),
        ("datagrams = udp", flow.datagrams, decode.udp),
        ("payload of TCP = the rows of flows", flow.tcp_bytes, bytes),
        ("nothing is held at the end", flow.held + flow.held_segments, 0),
        (
            "datagrams = delivered + copied + shed",
            flow.datagrams,
            flow.datagrams_delivered + flow.datagrams_copied + flow.shed_datagrams,
        ),
        (
            "flows opened = closed",
            flow.tcp_opened + flow.udp_opened,
            rows(&|visit| flow.each(visit), &closed),
        ),
        ("no flow is open at the end", ledger.open_flows, 0),
        ("flows dissected = flows opened", dissect_flows, flow.tcp_opened + flow.udp_opened),
        ("bytes dissected = bytes delivered", dissect_bytes, flow.delivered + flow.datagram_bytes),
        ("entries = messages", report.entries.values().sum(), messages(report)),
    ]
}

fn is_held(name: &str) -> bool {
    name.starts_with("held")
}

/// Each entry is one pair, one request without an answer, or one answer without a request.
fn messages(report: &Report) -> u64 {
    let mut sum = 0;
    report.ledger.dissect.each(&mut |name, count| {
        let is_entry = name == "paired" || name == "requestsMissing" || name.starts_with("unanswered");
        sum += if is_entry { count } else { 0 };
    });
    sum
}
