//! Input made to cost more than it is long.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use support::{
    craft::{self, ACK, PLAIN, SYN, Side, Talk},
    pcap::{Capture, Endian, Frame, gzip},
};

type Make = fn(usize) -> Capture;

/// By name: how many at first, and what makes them.
pub(crate) const ALL: [(&str, usize, Make); 27] = [
    ("segments of one byte, with holes", 4000, holes),
    ("segments of one byte, the last one first", 4000, reversed),
    ("the same, in rounds that a queue can hold", 900, rounds),
    ("segments that overlap in a queue", 900, overlapping),
    ("a hole in a queue, filled again and again", 2000, refilled),
    ("segments that come again and again, with other bytes", 2000, contradicting),
    ("header lines", 1000, headers),
    ("header lines beyond every limit", 16_000, headers),
    ("a head in segments of one byte", 8000, dripping_head),
    ("chunks of one byte", 16_000, chunks),
    ("chunks of one byte in segments of one byte", 2000, dripping_chunks),
    ("a chunk's size that never ends, in segments of one byte", 8000, dripping_size),
    ("a body in segments of one byte", 8000, dripping_body),
    ("a start line that never comes, in segments of one byte", 8000, dripping_word),
    ("requests without an answer", 4000, unanswered),
    ("answers without a request", 4000, unasked),
    ("interim answers", 8000, interim),
    ("zeros, compressed", 8_000_000, bomb),
    ("names that point to names", 100, pointers),
    ("names in one message, each of which points to the one before", 250, long_pointers),
    ("names of 127 labels", 100, labels),
    ("questions with one number, never answered", 4000, same_number),
    ("messages over TCP in segments of one byte", 100, dripping_messages),
    ("fragments of datagrams that never end", 8000, fragments),
    ("fragments of 8 bytes, the last one first", 2000, small_fragments),
    ("half-open flows", 8000, half_open),
    ("one pair of ports, used again and again", 4000, reused),
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
    for at in (0..n).rev() {
        talk.push(Side::Client, at as i64, ACK, b"x");
    }
    dressed(&talk)
}

fn rounds(n: usize) -> Capture {
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

fn refilled(n: usize) -> Capture {
    let mut talk = Talk::open();
    for at in 0..n {
        let at = at as i64 * 4;
        talk.push(Side::Client, at + 2, ACK, b"cd").push(Side::Client, at + 1, ACK, b"bc");
        talk.push(Side::Client, at, ACK, b"a");
    }
    dressed(&talk)
}

fn contradicting(n: usize) -> Capture {
    let mut talk = Talk::open();
    for at in 0..n {
        let at = at as i64 / 2 * 1000;
        talk.push(Side::Client, at, ACK, &[b'a'; 1000]).push(Side::Client, at, ACK, &[b'b'; 1000]);
    }
    dressed(&talk)
}

/// Says it in segments of a usual size.
fn said(from: Side, text: &[u8]) -> Talk {
    said_by(1400, from, text)
}

/// Says it in segments of so many bytes.
fn said_by(len: usize, from: Side, text: &[u8]) -> Talk {
    let mut talk = Talk::open();
    if from == Side::Server {
        talk.say(Side::Client, REQUEST.as_bytes());
    }
    let cuts: Vec<_> = (len..text.len()).step_by(len).collect();
    talk.split(from, text, &cuts);
    talk
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Ten requests with so many.
fn headers(n: usize) -> Capture {
    let lines = (0..n).map(|line| format!("a{line}: b\r\n")).collect::<Vec<_>>().concat();
    dressed(&said(Side::Client, format!("GET / HTTP/1.1\r\n{lines}\r\n").repeat(10).as_bytes()))
}

fn dripping_head(n: usize) -> Capture {
    dressed(&said_by(
        1,
        Side::Client,
        format!("GET / HTTP/1.1\r\na: {}", "b\r\nc: ".repeat(n / 6)).as_bytes(),
    ))
}

fn chunks(n: usize) -> Capture {
    dressed(&said(Side::Server, (CHUNKED.to_owned() + &"1\r\nx\r\n".repeat(n)).as_bytes()))
}

fn dripping_chunks(n: usize) -> Capture {
    dressed(&said_by(1, Side::Server, (CHUNKED.to_owned() + &"1\r\nx\r\n".repeat(n)).as_bytes()))
}

fn dripping_size(n: usize) -> Capture {
    dressed(&said_by(1, Side::Server, (CHUNKED.to_owned() + "1;" + &"a".repeat(n)).as_bytes()))
}

fn dripping_body(n: usize) -> Capture {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n");
    dressed(&said_by(1, Side::Server, (head + &"x".repeat(n)).as_bytes()))
}

fn dripping_word(n: usize) -> Capture {
    let mut talk = said_by(1, Side::Client, "G".repeat(n).as_bytes());
    // Its start is not in the capture, so every byte could begin a message.
    talk.lose(&[0, 1, 2]);
    dressed(&talk)
}

fn unanswered(n: usize) -> Capture {
    dressed(&said(Side::Client, REQUEST.repeat(n).as_bytes()))
}

fn unasked(n: usize) -> Capture {
    dressed(&said(Side::Server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(n).as_bytes()))
}

fn interim(n: usize) -> Capture {
    dressed(&said(Side::Server, "HTTP/1.1 102 Processing\r\n\r\n".repeat(n).as_bytes()))
}

/// Answers with a body of a megabyte of zeros each, compressed by gzip; `n` is the bytes in all.
fn bomb(n: usize) -> Capture {
    let body = gzip(&vec![0; 1_000_000]);
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length";
    let answer = [format!("{head}: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    let mut talk = Talk::open();
    for _ in 0..n / 1_000_000 {
        talk.say(Side::Client, REQUEST.as_bytes()).say(Side::Server, &answer);
    }
    dressed(&talk)
}

/// Datagrams with 200 answers.
fn pointers(n: usize) -> Capture {
    let message = chain(200);
    let frame = |number: usize| message_frame(number, &craft::udp(53, 4000 + number as u16, &message));
    Capture { link_type: 101, frames: (0..n).map(frame).collect() }
}

/// A DNS message with `n` answers whose names are a label and a pointer to the name before.
fn chain(n: usize) -> Vec<u8> {
    let mut message =
        vec![0, 1, 0x81, 0x80, 0, 1, (n >> 8) as u8, n as u8, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
    let mut name = 12_u16;
    for _ in 0..n {
        let here = message.len() as u16;
        message.extend([1, b'b', 0xc0 | (name >> 8) as u8, name as u8, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0]);
        name = here;
    }
    message
}

/// Twenty of one kind, so that it shows.
fn long_pointers(n: usize) -> Capture {
    let message = chain(n);
    let message = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let mut talk = Talk::open();
    talk.say(Side::Client, &[&[0, 19][..], &question(1, b"\x01a")].concat());
    let answers = message.repeat(20);
    let cuts: Vec<_> = (1400..answers.len()).step_by(1400).collect();
    dressed(talk.split(Side::Server, &answers, &cuts))
}

fn question(number: usize, name: &[u8]) -> Vec<u8> {
    let head = [(number >> 8) as u8, number as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&head[..], name, &[0, 0, 1, 0, 1]].concat()
}

fn labels(n: usize) -> Capture {
    let name = [1, b'a'].repeat(127);
    let frame = |number: usize| message_frame(number, &craft::udp(4000, 53, &question(number, &name)));
    Capture { link_type: 101, frames: (0..n).map(frame).collect() }
}

fn same_number(n: usize) -> Capture {
    let frame = |number: usize| message_frame(number, &craft::udp(4000, 53, &question(7, b"\x01a")));
    Capture { link_type: 101, frames: (0..n).map(frame).collect() }
}

fn dripping_messages(n: usize) -> Capture {
    let message = question(7, &[1, b'a'].repeat(20));
    let message = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    dressed(&said_by(1, Side::Client, &message.repeat(n)))
}

fn message_frame(number: usize, datagram: &[u8]) -> Frame {
    Frame::new(number as u64 * 1000, craft::ipv4(&[10, 0, 0, 1], &[10, 0, 0, 2], 17, 1, 0, datagram))
}

fn fragments(n: usize) -> Capture {
    let fragment = |id: usize| {
        let bytes =
            craft::ipv4(&[10, 0, 0, (id >> 16) as u8], &[10, 0, 1, 2], 17, id as u16, 0x2001, &[7; 64]);
        Frame::new(id as u64 * 1000, bytes)
    };
    Capture { link_type: 101, frames: (0..n).map(fragment).collect() }
}

/// Datagrams of 1000 bytes in fragments of 8, from the last to the first.
fn small_fragments(n: usize) -> Capture {
    let fragment = |number: usize| {
        let (id, place) = ((number / 125) as u16, 124 - number % 125);
        let field = place as u16 | if place == 124 { 0 } else { 0x2000 };
        Frame::new(number as u64 * 1000, craft::ipv4(&[10, 0, 0, 1], &[10, 0, 1, 2], 17, id, field, &[7; 8]))
    };
    Capture { link_type: 101, frames: (0..n).map(fragment).collect() }
}

/// Connections between the same ends, each with one exchange and no farewell.
fn reused(n: usize) -> Capture {
    let mut capture = Capture { link_type: 1, frames: Vec::new() };
    for number in 0..n / 4 {
        let mut talk = Talk::open();
        talk.say(Side::Client, REQUEST.as_bytes());
        let dress =
            craft::Dress { initial: [number as u32 * 100_000_007, number as u32 * 50_000_017], ..PLAIN };
        let at = number as u64 * 1_000_000_000;
        let frames = dress.capture(&talk.segments).frames.into_iter();
        capture.frames.extend(frames.map(|frame| Frame { at: frame.at + at, ..frame }));
    }
    capture
}

fn half_open(n: usize) -> Capture {
    Capture {
        link_type: 101,
        frames: (0..n).map(|number| Frame::new(number as u64 * 1000, syn(number))).collect(),
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
