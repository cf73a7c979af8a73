//! Traffic that nobody had to capture: HTTP connections and DNS questions, interleaved, the same for the same seed.

use crate::pcap::{Capture, Frame};

/// How much of what.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// TCP connections.
    pub connections: u32,
    /// HTTP transactions of each.
    pub requests: u32,
    /// DNS questions, each with its answer.
    pub questions: u32,
    /// The seed of everything that varies.
    pub seed: u64,
}

/// Flows that are open at a time.
const AT_ONCE: usize = 64;
const FIN: u8 = 1;
const SYN: u8 = 2;
const PUSH: u8 = 8;
const ACK: u8 = 16;

/// A small generator of numbers (SplitMix64): the traffic must not change with a library's version.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }
}

/// The packets of a mix, as Ethernet frames 20 µs apart.
pub fn capture(mix: &Mix) -> Capture {
    let random = &mut Random::new(mix.seed);
    let (mut connections, mut questions) = (0, 0);
    let mut open: Vec<std::vec::IntoIter<Vec<u8>>> = Vec::new();
    let mut capture = Capture { link_type: 1, frames: Vec::new() };
    let mut at = 1_700_000_000_000_000_000;
    loop {
        while open.len() < AT_ONCE && (connections < mix.connections || questions < mix.questions) {
            let left = u64::from(mix.connections - connections);
            let of = left + u64::from(mix.questions - questions);
            if random.below(of) < left {
                open.push(connection(connections, mix.requests, random).into_iter());
                connections += 1;
            } else {
                open.push(question(questions, random).into_iter());
                questions += 1;
            }
        }
        if open.is_empty() {
            return capture;
        }
        let turn = random.below(open.len() as u64) as usize;
        match open[turn].next() {
            Some(bytes) => {
                capture.frames.push(Frame::new(at, bytes));
                at += 20_000;
            }
            None => drop(open.swap_remove(turn)),
        }
    }
}

/// One connection: handshake, requests with their answers, farewell.
fn connection(number: u32, requests: u32, random: &mut Random) -> Vec<Vec<u8>> {
    let client = [10, 0, random.below(200) as u8, 1 + random.below(250) as u8];
    let server = [10, 100, 0, 1 + random.below(250) as u8];
    let ports = [1024 + (number % 60_000) as u16, 80];
    let mut sequences = [random.bits() as u32, random.bits() as u32];
    let mut frames = Vec::new();
    // `from` is 0 for the client; SYN and FIN take a sequence number each.
    let mut send = |from: usize, flags: u8, payload: &[u8]| {
        let (to, ends) = (1 - from, [client, server]);
        let mut segment = [ports[from].to_be_bytes(), ports[to].to_be_bytes()].concat();
        segment.extend(sequences[from].to_be_bytes());
        segment.extend(if flags & ACK == 0 { [0; 4] } else { sequences[to].to_be_bytes() });
        segment.extend([0x50, flags, 0xfd, 0xe8, 0, 0, 0, 0]);
        segment.extend(payload);
        sequences[from] =
            sequences[from].wrapping_add(payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
        frames.push(packet(ends[from], ends[to], 6, 16, segment));
    };
    send(0, SYN, b"");
    send(1, SYN | ACK, b"");
    send(0, ACK, b"");
    for index in 0..requests {
        let request = format!(
            "GET /api/v1/carts/{number}/lines/{index}?trace={:016x} HTTP/1.1\r\nHost: shop-{}.prod.svc.cluster.local\r\n\
             User-Agent: generator/1\r\nAccept: application/json\r\nX-Request-Id: {:016x}{:016x}\r\n\r\n",
            random.bits(),
            number % 40,
            random.bits(),
            random.bits(),
        );
        let (status, reason) = match random.below(20) {
            0 => (404, "Not Found"),
            1 => (500, "Internal Server Error"),
            2 => (503, "Service Unavailable"),
            _ => (200, "OK"),
        };
        let lines: Vec<_> = (0..18)
            .map(|line| format!("{{\"line\":{line},\"article\":\"no {line}\",\"cents\":1{line}9}}"))
            .collect();
        let body = format!("{{\"lines\":[{}]}}", lines.join(","));
        let response = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nServer: generator\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        send(0, PUSH | ACK, request.as_bytes());
        send(1, PUSH | ACK, response.as_bytes());
        send(0, ACK, b"");
    }
    send(0, FIN | ACK, b"");
    send(1, FIN | ACK, b"");
    send(0, ACK, b"");
    frames
}

/// A question for an address, and its answer.
fn question(number: u32, random: &mut Random) -> Vec<Vec<u8>> {
    let client = [10, 0, random.below(200) as u8, 1 + random.below(250) as u8];
    let server = [10, 96, 0, 10];
    let port = (20_000 + random.below(40_000)) as u16;
    let id = (random.bits() as u16).to_be_bytes();
    let mut name = Vec::new();
    for label in [
        format!("shop-{}", number % 500),
        format!("ns{}", number % 9),
        "svc".into(),
        "cluster".into(),
        "local".into(),
    ] {
        name.push(label.len() as u8);
        name.extend(label.bytes());
    }
    name.extend([0, 0, 1, 0, 1]);
    let asked = [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &name].concat();
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 100, (number >> 8) as u8, number as u8];
    let answered = [&id[..], &[0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], &name, &record].concat();
    vec![
        packet(client, server, 17, 6, datagram(port, 53, &asked)),
        packet(server, client, 17, 6, datagram(53, port, &answered)),
    ]
}

fn datagram(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let header = [from, to, 8 + payload.len() as u16, 0].map(u16::to_be_bytes).concat();
    [&header, payload].concat()
}

/// An Ethernet frame of an IPv4 packet, with its checksums; `checksum_at` is where TCP or UDP has its own.
fn packet(from: [u8; 4], to: [u8; 4], protocol: u8, checksum_at: usize, mut segment: Vec<u8>) -> Vec<u8> {
    let len = (segment.len() as u16).to_be_bytes();
    let pseudo_header = [&from[..], &to, &[0, protocol], &len].concat();
    let checksum = checksum(&[&pseudo_header[..], &segment].concat());
    segment[checksum_at..checksum_at + 2].copy_from_slice(&checksum);
    let total = (segment.len() as u16 + 20).to_be_bytes();
    let mut header = [&[0x45, 0][..], &total, &[0, 0, 0x40, 0, 64, protocol, 0, 0], &from, &to].concat();
    let of_header = self::checksum(&header);
    header[10..12].copy_from_slice(&of_header);
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &header, &segment].concat()
}

/// The checksum of RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}
