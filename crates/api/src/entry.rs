//! An entry: one transaction as users see, filter and script it.

use std::{fmt, str::FromStr, sync::Arc};

use kfl::{OrNull, Value};

use crate::{Endpoint, Node, Payload, Protocol, UnixNanos, digits};

/// One transaction: a request and its response, or the half of it that was seen.
#[derive(Debug)]
pub struct Entry {
    /// Who saw it.
    pub node: Arc<Node>,
    /// The stream that it came in.
    pub stream: Stream,
    /// Its place in that stream, from 0.
    pub index: u64,
    /// What was spoken.
    pub protocol: &'static Protocol,
    /// The client.
    pub src: Endpoint,
    /// The server.
    pub dst: Endpoint,
    /// Only the client is a target.
    pub outgoing: bool,
    /// When the first byte of the request (where it was not seen: of the response) was captured.
    pub at: UnixNanos,
    /// From the first byte of the request to the first byte of the response; 0 where one of them is missing.
    pub elapsed_nanos: i64,
    /// What was asked.
    pub request: Option<Box<dyn Payload>>,
    /// What was answered.
    pub response: Option<Box<dyn Payload>>,
    /// Length of the request on the wire, in bytes of TCP or UDP payload.
    pub request_size: u64,
    /// Length of the response on the wire.
    pub response_size: u64,
    /// Why a half is missing or broken.
    pub error: Option<Fault>,
    /// What the entry is made of.
    pub flags: Flags,
}

/// A stream: what the original kept in a PCAP file of its own, and we cut out of rolling segments when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its number, from 1.
    pub number: u64,
    /// Whether it is UDP.
    pub udp: bool,
}

/// Why an entry is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// A sentence for a person.
    pub message: &'static str,
}

/// The kinds of faults, numbered as the original numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The bytes broke the protocol.
    Dissection = 0,
    /// The connection ended first.
    Connection = 1,
    /// The other half did not come in time.
    Timeout = 2,
}

/// What an entry is made of: everything that a reader must know before trusting it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the JSON, and any of them can be set with any other"
)]
pub struct Flags {
    /// Something could not be decided from the capture: conflicting bytes, a smuggling shape.
    pub ambiguous: bool,
    /// Bytes of this entry that the capture lost.
    pub gap: u64,
    /// The flow was running when the capture began.
    pub midstream: bool,
    /// Two captured copies of some of its bytes differed.
    pub overlap: bool,
    /// The request was not seen.
    pub request_missing: bool,
    /// The response was not seen.
    pub response_missing: bool,
    /// A body or a header was cut: by a gap, a limit, or the end of the capture.
    pub truncated: bool,
}

/// `000000019561.pcap`: the name of a stream's file.
impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A text that is no stream's file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAStream(pub String);

impl fmt::Display for NotAStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not the name of a stream; one looks like 000000000001.pcap", self.0)
    }
}

impl std::error::Error for NotAStream {}

/// Reads what `Display` writes; zeros in front of the number may be missing.
impl FromStr for Stream {
    type Err = NotAStream;

    fn from_str(name: &str) -> Result<Self, NotAStream> {
        let error = || NotAStream(name.to_owned());
        let number = name.strip_suffix(".pcap").ok_or_else(error)?;
        let (number, udp) = number.strip_suffix("_udp").map_or((number, false), |number| (number, true));
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        // The packet store doubles it.
        let number = number.parse().ok().filter(|number| (1..=u64::MAX >> 1).contains(number));
        Ok(Self { number: number.ok_or_else(error)?, udp })
    }
}

impl Stream {
    fn name(self) -> String {
        let mut name = String::with_capacity(32);
        self.push(&mut name, ".pcap");
        name
    }

    fn push(self, out: &mut String, suffix: &str) {
        digits::push_padded(out, self.number, 12);
        out.push_str(if self.udp { "_udp" } else { "" });
        out.push_str(suffix);
    }
}

impl Entry {
    /// Its name in its worker: `000000019561.pcap-0`.
    pub fn local_id(&self) -> String {
        self.named("", ".pcap", "")
    }

    /// Its name everywhere: `10.0.41.65:30001/000000019561.pcap-0`.
    pub fn id(&self) -> String {
        self.named(&self.node.worker, ".pcap", "")
    }

    /// `000000019561_pcap-0_entry.json`: the name that the original gave to its file.
    fn entry_file(&self) -> String {
        self.named("", "_pcap", "_entry.json")
    }

    /// `prefix/` (unless it is empty), the stream with `suffix`, `-`, the index, `end`.
    fn named(&self, prefix: &str, suffix: &str, end: &str) -> String {
        let mut name = String::with_capacity(prefix.len() + 48);
        name.push_str(prefix);
        name.push_str(if prefix.is_empty() { "" } else { "/" });
        self.stream.push(&mut name, suffix);
        name.push('-');
        digits::push(&mut name, self.index);
        name.push_str(end);
        name
    }

    /// Bytes that it occupies: what a bounded store counts.
    pub fn size(&self) -> usize {
        let halves = [&self.request, &self.response].into_iter().flatten();
        size_of::<Self>() + halves.map(|half| half.heap_size()).sum::<usize>()
    }
}

/// To the nearest millisecond. Without a sign, a division by a constant is shorter.
fn elapsed_millis(nanos: i64) -> i64 {
    ((nanos.max(0).cast_unsigned() + 500_000) / 1_000_000).cast_signed()
}

fn half(payload: Option<&dyn Payload>) -> OrNull<Value<'_>> {
    OrNull(payload.map(|payload| Value::record(payload)))
}

kfl::record! {
    impl Record for Entry as entry {
        "dst": Endpoint => &entry.dst,
        "elapsedTime" => Value::Int(elapsed_millis(entry.elapsed_nanos)),
        "entryFile" => Value::Text(entry.entry_file().into()),
        "error" => OrNull(entry.error.as_ref()),
        "failed" => Value::Bool(false),
        "flags": Flags => &entry.flags,
        "id" => Value::Text(entry.id().into()),
        "index" => Value::Int(entry.index as i64),
        "node": Node => &*entry.node,
        "outgoing" => Value::Bool(entry.outgoing),
        "passed" => Value::Bool(false),
        "protocol": Protocol => entry.protocol,
        "record" => Value::text(""),
        "request" => half(entry.request.as_deref()),
        "requestSize" => Value::Int(entry.request_size as i64),
        "response" => half(entry.response.as_deref()),
        "responseSize" => Value::Int(entry.response_size as i64),
        "src": Endpoint => &entry.src,
        "startTime" => Value::Text(entry.at.rfc_3339().into()),
        "stream" => Value::Text(entry.stream.name().into()),
        "timestamp" => Value::Int(entry.at.millis()),
        "tls" => Value::Bool(false),
        "worker" => Value::text(&entry.node.worker),
    }
}

kfl::record! {
    impl Record for Fault as fault {
        "msg" => Value::text(fault.message),
        "type" => Value::Int(fault.kind as i64),
    }
}

kfl::record! {
    impl Record for Flags as flags {
        "ambiguous" => Value::Bool(flags.ambiguous),
        "gap" => Value::Int(flags.gap as i64),
        "midstream" => Value::Bool(flags.midstream),
        "overlap" => Value::Bool(flags.overlap),
        "requestMissing" => Value::Bool(flags.request_missing),
        "responseMissing" => Value::Bool(flags.response_missing),
        "truncated" => Value::Bool(flags.truncated),
    }
}
