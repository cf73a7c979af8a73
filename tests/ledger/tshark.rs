//! tshark's own analysis of TCP.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde_json::Value;

/// What tshark saw of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream {
    /// Bytes of payload.
    pub(crate) bytes: u64,
    /// Segments with RST.
    pub(crate) resets: u64,
    /// Segments before which something is missing, or that acknowledge what is.
    pub(crate) lost: u64,
    /// Segments that came again.
    pub(crate) again: u64,
    /// Segments out of order.
    pub(crate) disordered: u64,
}

/// Asks tshark.
pub(crate) fn streams(file: &Path) -> Vec<Stream> {
    const FIELDS: [&str; 7] = [
        "tcp.stream",
        "tcp.len",
        "tcp.flags.reset",
        "tcp.analysis.lost_segment",
        "tcp.analysis.ack_lost_segment",
        "tcp.analysis.retransmission",
        "tcp.analysis.out_of_order",
    ];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-n", "-Y", "tcp", "-T", "fields"]);
    command.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let ran = command.output().expect("tshark");
    assert!(ran.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&ran.stderr));
    let mut streams = BTreeMap::<String, Stream>::new();
    for line in String::from_utf8(ran.stdout).expect("text").lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, len, reset, lost, acknowledged, again, disordered] = fields[..] else {
            panic!("{}: tshark says {line:?}", file.display());
        };
        let stream = streams.entry(name.to_owned()).or_default();
        stream.bytes += len.parse::<u64>().unwrap_or(0);
        stream.resets += u64::from(reset == "1");
        stream.lost += u64::from(!lost.is_empty() || !acknowledged.is_empty());
        stream.again += u64::from(!again.is_empty());
        stream.disordered += u64::from(!disordered.is_empty());
    }
    streams.into_values().collect()
}

/// What it said of a capture of the corpus; `None` where it said nothing of streams.
pub(crate) fn of_truth(truth: &Value) -> Option<Vec<Stream>> {
    let of = |stream: &Value| {
        let field = |name: &str| stream[name].as_u64().unwrap_or(0);
        Stream {
            bytes: field("bytes"),
            resets: field("rst"),
            lost: field("lost"),
            again: field("retrans"),
            disordered: field("ooo"),
        }
    };
    Some(truth["tcp"]["stream_list"].as_array()?.iter().map(of).collect())
}
