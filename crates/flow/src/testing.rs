//! Flows written down as text, for tests: what goes in, and what the handler is told.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use crate::counters::FlowCounters;
use crate::handler::{Closing, Data, Direction, FlowHandler, Gap, Opening};
use crate::limits::Limits;
use crate::packet::{FlowKey, Layer4, Ordinal, Packet, Peer, TcpFields, Timestamp, Transport};
use crate::table::FlowTable;

pub(crate) const MS: i64 = 1_000_000;

/// Writes down what it is told.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) log: String,
    /// What each direction got; a gap is that many `?`.
    pub(crate) streams: [Vec<u8>; 2],
    pub(crate) gaps: [u64; 2],
    pub(crate) ticks: u32,
    /// Whether flows wait for ticks.
    pub(crate) waits: bool,
}

impl Recorder {
    fn line(&mut self, text: &str) {
        let separator = if self.log.is_empty() { "" } else { "; " };
        write!(self.log, "{separator}{text}").unwrap();
    }
}

fn arrow(direction: Direction) -> char {
    if direction == Direction::ToServer { '>' } else { '<' }
}

impl FlowHandler for Recorder {
    type Flow = Ordinal;

    fn open(&mut self, opening: &Opening) -> Ordinal {
        let client = if opening.client_is_low { "low" } else { "high" };
        self.line(&format!("open {client}{}", if opening.midstream { " midstream" } else { "" }));
        opening.ordinal
    }

    fn data(&mut self, _: &mut Ordinal, data: &Data<'_>) {
        let flags = [(data.overlap, " overlap"), (data.ambiguous, " ambiguous")];
        let flags: String = flags.iter().filter(|it| it.0).map(|it| it.1).collect();
        self.line(&format!("{}{}{flags}", arrow(data.direction), String::from_utf8_lossy(data.bytes)));
        self.streams[data.direction as usize].extend_from_slice(data.bytes);
    }

    fn gap(&mut self, _: &mut Ordinal, gap: &Gap) {
        self.line(&format!("{}gap {}", arrow(gap.direction), gap.len));
        self.gaps[gap.direction as usize] += gap.len;
        let stream = &mut self.streams[gap.direction as usize];
        stream.resize(stream.len() + gap.len.min(100_000) as usize, b'?');
    }

    fn contradicted(&mut self, _: &mut Ordinal, direction: Direction, _: Ordinal, _: Timestamp) {
        self.line(&format!("{}contradicted", arrow(direction)));
    }

    fn half_close(&mut self, _: &mut Ordinal, direction: Direction, _: Ordinal, _: Timestamp) {
        self.line(&format!("{}end", arrow(direction)));
    }

    fn waits(&self, _: &Ordinal) -> bool {
        self.waits
    }

    fn tick(&mut self, _: &mut Ordinal, _: Ordinal, _: Timestamp) {
        self.ticks += 1;
    }

    fn close(&mut self, _: Ordinal, closing: &Closing) {
        self.line(&format!("{:?}", closing.why));
    }
}

/// The two ends of a test's flow: `>` is sent by the low one.
pub(crate) fn key(transport: Transport) -> FlowKey {
    let peer = |last, port| Peer { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port };
    FlowKey::of(peer(1, 40_000), peer(2, 80), transport, 0).0
}

/// A TCP segment of the test's flow.
pub(crate) fn segment(at: i64, from_low: bool, fields: TcpFields, payload: &[u8]) -> Packet<'_> {
    Packet {
        ordinal: 0,
        at: Timestamp(at),
        interface: 0,
        key: key(Transport::Tcp),
        from_low,
        layer4: Layer4::Segment(fields),
        cut: 0,
        ip_id: 0,
        outer: None,
        payload,
    }
}

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

pub(crate) fn fields(flags: u8, sequence: u32, acknowledgment: u32) -> TcpFields {
    TcpFields { sequence, acknowledgment, flags, window: 65_535, urgent: 0, scale: None }
}

/// Checks that every byte of TCP payload is in one counter, and none waits any more.
pub(crate) fn assert_closed(counters: &FlowCounters) {
    let c = counters;
    let ends = c.delivered + c.duplicate + c.copied + c.outside_window + c.after_fin + c.before_start;
    assert_eq!(c.tcp_bytes, ends + c.late + c.on_reset + c.after_close + c.shed_bytes, "{c:?}");
    assert_eq!((c.held, c.held_segments), (0, 0), "{c:?}");
    let closed = c.closed_finished + c.closed_reset + c.closed_idle + c.closed_evicted;
    assert_eq!(c.tcp_opened + c.udp_opened, closed + c.closed_reused + c.closed_at_end, "{c:?}");
}

/// Runs a script and gives what the handler was told, and the counters.
///
/// Each line is a packet: `>` or `<`, then in any order flags (`S`, `SA`, `F`, `R`), the sequence number, `a` and the
/// acknowledgment number, `w` and the window, `s` and its scale, `c` and the bytes cut off, `i` and the interface, `#`
/// and the IP identification, `'` and the payload. `wait` lets milliseconds pass, `tick` too, with a tick at the end.
pub(crate) fn run_with(limits: &Limits, script: &str) -> (String, FlowCounters) {
    let mut table = FlowTable::new(limits);
    let mut recorder = Recorder::default();
    let mut at = 0;
    let mut ordinal = 0;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (head, rest) = line.split_once(' ').unwrap();
        match head {
            "wait" => at += rest.parse::<i64>().unwrap() * MS,
            "tick" => {
                at += rest.parse::<i64>().unwrap() * MS;
                table.tick(ordinal, Timestamp(at), &mut recorder);
            }
            _ => {
                ordinal += 1;
                at += 1000;
                let mut packet = Packet { ordinal, ..segment(at, head == ">", fields(0, 0, 0), &[]) };
                let tcp = parse(rest, &mut packet);
                packet.layer4 = Layer4::Segment(tcp);
                table.packet(&packet, &mut recorder);
            }
        }
    }
    table.finish(ordinal, Timestamp(at), &mut recorder);
    assert_closed(table.counters());
    (recorder.log, table.counters().clone())
}

pub(crate) fn run(script: &str) -> String {
    run_with(&Limits::default(), script).0
}

fn parse<'a>(text: &'a str, packet: &mut Packet<'a>) -> TcpFields {
    let mut tcp = fields(0, 0, 0);
    for token in text.split_whitespace() {
        let (kind, value) = token.split_at(1);
        match kind {
            "a" => {
                tcp.acknowledgment = value.parse().unwrap();
                tcp.flags |= ACK;
            }
            "w" => tcp.window = value.parse().unwrap(),
            "s" => tcp.scale = Some(value.parse().unwrap()),
            "c" => packet.cut = value.parse().unwrap(),
            "i" => packet.interface = value.parse().unwrap(),
            "#" => packet.ip_id = value.parse().unwrap(),
            "'" => packet.payload = value.as_bytes(),
            "S" => tcp.flags |= SYN,
            "F" => tcp.flags |= FIN,
            "R" => tcp.flags |= RST,
            _ => tcp.sequence = token.parse().unwrap(),
        }
    }
    tcp
}
