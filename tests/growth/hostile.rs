//! Input made to cost more than it is long.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use support::{
    craft::{self, ACK, PLAIN, SYN, Side, Talk},
    pcap::{Capture, Endian, Frame},
};

type Make = fn(usize) -> Capture;

/// By name: how many at first, and what makes them.
pub(crate) const ALL: [(&str, usize, Make); 9] = [
    ("segments of one byte, with holes", 4000, holes),
    ("segments of one byte, the last one first", 900, reversed),
    ("segments that overlap in a queue", 900, overlapping),
    ("header lines", 500, headers),
    ("chunks of one byte", 16_000, chunks),
    ("requests without an answer", 4000, unanswered),
    ("names that point to names", 100, pointers),
    ("fragments of datagrams that never end", 8000, fragments),
    ("half-open flows", 8000, half_open),
];

fn dressed(talk: &Talk) -> Capture {
    PLAIN.capture(&talk.segments)
}

fn holes(n: usize) -> Capture {
    let mut talk = Talk::open();
    for at in 0..n {
        talk.push(Side::Client, 1 + 2 * at as i64, ACK, b"x");
    }
    dressed(&talk)
}

fn reversed(n: usize) -> Capture {
    let mut talk = Talk::open();
    for round in 0..n / 900 {
        for at in (0..900).rev() {
            talk.push(Side::Client, (round * 900 + at) as i64, ACK, b"x");
        }
    }
    dressed(&talk)
}

fn overlapping(n: usize) -> Capture {
    let mut talk = Talk::open();
    for at in 0..n {
        talk.push(Side::Client, 1 + 3 * at as i64, ACK, &[b'a' + (at % 26) as u8; 500]);
    }
    dressed(&talk)
}

/// Says it in segments of a usual size.
fn said(from: Side, text: &[u8]) -> Talk {
    let mut talk = Talk::open();
    if from == Side::Server {
        talk.say(Side::Client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let cuts: Vec<_> = (1400..text.len()).step_by(1400).collect();
    talk.split(from, text, &cuts);
    talk
}

fn headers(n: usize) -> Capture {
    let lines = (0..n).map(|line| format!("a{line}: b\r\n")).collect::<Vec<_>>().concat();
    dressed(&said(Side::Client, format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()))
}

fn chunks(n: usize) -> Capture {
    let chunks = "1\r\nx\r\n".repeat(n);
    dressed(&said(
        Side::Server,
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes(),
    ))
}

fn unanswered(n: usize) -> Capture {
    dressed(&said(Side::Client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(n).as_bytes()))
}

/// Datagrams with 200 records whose names are a label and a pointer to the name before it.
fn pointers(n: usize) -> Capture {
    let mut message = vec![0, 1, 0x81, 0x80, 0, 1, 0, 200, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
    let mut name = 12_u16;
    for _ in 0..200 {
        let here = message.len() as u16;
        message.extend([1, b'b', 0xc0 | (name >> 8) as u8, name as u8, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0]);
        name = here;
    }
    let frame = |number: usize| message_frame(number, &craft::udp(53, 4000 + number as u16, &message));
    Capture { link_type: 101, frames: (0..n).map(frame).collect() }
}

fn message_frame(number: usize, datagram: &[u8]) -> Frame {
    Frame { at: number as u64 * 1000, bytes: craft::ipv4(&[10, 0, 0, 1], &[10, 0, 0, 2], 17, 1, 0, datagram) }
}

fn fragments(n: usize) -> Capture {
    let fragment = |id: usize| {
        let bytes =
            craft::ipv4(&[10, 0, 0, (id >> 16) as u8], &[10, 0, 1, 2], 17, id as u16, 0x2001, &[7; 64]);
        Frame { at: id as u64 * 1000, bytes }
    };
    Capture { link_type: 101, frames: (0..n).map(fragment).collect() }
}

fn half_open(n: usize) -> Capture {
    Capture {
        link_type: 101,
        frames: (0..n).map(|number| Frame { at: number as u64 * 1000, bytes: syn(number) }).collect(),
    }
}

/// A SYN from a client of its own.
fn syn(number: usize) -> Vec<u8> {
    let client = [11, (number >> 16) as u8, (number >> 8) as u8, number as u8];
    let mut tcp = [1024 + (number >> 20) as u16, 80].map(u16::to_be_bytes).concat();
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, SYN, 0xff, 0xff, 0, 0, 0, 0]);
    craft::ipv4(&client, &[10, 0, 0, 2], 6, number as u16, 0, &tcp)
}

/// Requests of the normal flow beside the flood.
pub(crate) const NORMAL: usize = 100;

/// Writes a flood of half-open flows within ten seconds, and one normal flow whose requests are spread over it.
pub(crate) fn flood(file: &Path, n: usize) {
    let mut talk = Talk::open();
    for number in 0..NORMAL {
        talk.say(Side::Client, format!("GET /normal/{number} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        talk.say(Side::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    let dress = craft::Dress { carrier: craft::Carrier::Raw, ..PLAIN };
    let mut normal = dress.capture(&talk.segments).frames.into_iter();
    let every = n / normal.len() + 1;
    let step = 10_000_000_000 / n.max(1) as u64;
    let mut out = BufWriter::new(File::create(file).expect("a temporary file"));
    let mut write = |bytes: &[u8]| out.write_all(bytes).expect("room for a temporary file");
    write(&Capture { link_type: 101, frames: Vec::new() }.pcap(Endian::Little, true));
    for number in 0..n {
        let at = 1_700_000_000_000_000_000 + number as u64 * step;
        let mut frame = |bytes: &[u8]| {
            let len = bytes.len() as u32;
            write(
                &[(at / 1_000_000_000) as u32, (at % 1_000_000_000) as u32, len, len]
                    .map(u32::to_le_bytes)
                    .concat(),
            );
            write(bytes);
        };
        if number % every == 0 {
            normal.next().iter().for_each(|normal| frame(&normal.bytes));
        }
        frame(&syn(number));
    }
}
