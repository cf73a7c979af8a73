//! The wire format: RFC 1035 §4.
//!
//! Linear in the length of the message: a compression pointer must point before the labels that it continues, a name
//! is at most 255 bytes long, and follows at most [`POINTERS`] pointers.

use std::{
    fmt::Write,
    hash::{DefaultHasher, Hasher},
    net::IpAddr,
};

use super::words;
use crate::{DissectError, Probe, Role, cursor::Cursor};

/// Pointers in one name. Compressors need one or two.
const POINTERS: usize = 64;
const NAME_BYTES: usize = 255;
/// More questions than one are unheard of outside of tests; a flow is not taken for DNS because of them.
const PROBE_QUESTIONS: u16 = 4;

/// A message.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) id: u16,
    pub(super) response: bool,
    pub(super) opcode: u8,
    /// With the upper bits that EDNS adds.
    pub(super) code: u16,
    pub(super) questions: Vec<Question>,
    pub(super) answers: Vec<Resource>,
    pub(super) authorities: Vec<Resource>,
    pub(super) additionals: Vec<Resource>,
    /// What ended the records early.
    pub(super) broken: Option<Broken>,
}

/// Why records are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The message is shorter than its counts say.
    Short,
    /// A name or a record is not well-formed.
    Bad,
}

#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) name: Box<str>,
    pub(super) kind: u16,
    pub(super) class: u16,
}

#[derive(Debug)]
pub(super) struct Resource {
    pub(super) name: Box<str>,
    pub(super) kind: u16,
    pub(super) class: u16,
    pub(super) ttl: u32,
    pub(super) data: Data,
}

/// What the fields of an entry show of a record's data.
#[derive(Debug)]
pub(super) enum Data {
    Other,
    Ip(IpAddr),
    Cname(Box<str>),
    Mx(Box<str>),
    Ns(Box<str>),
    Opt(Box<str>),
    Ptr(Box<str>),
    Soa(Box<str>),
    Srv(Box<str>),
    Txts(Box<str>),
    Uri(Box<str>),
}

struct Header {
    id: u16,
    flags: u16,
    counts: [u16; 4],
}

impl Header {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let (id, flags) = (cursor.u16()?, cursor.u16()?);
        let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
        Some(Self { id, flags, counts })
    }

    fn response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    fn opcode(&self) -> u8 {
        (self.flags >> 11 & 0xf) as u8
    }

    fn recursion_desired(&self) -> bool {
        self.flags & 0x0100 != 0
    }

    fn code(&self) -> u16 {
        self.flags & 0xf
    }
}

impl Question {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Broken> {
        let name = name(cursor)?;
        let kind = cursor.u16().ok_or(Broken::Short)?;
        let class = cursor.u16().ok_or(Broken::Short)?;
        Ok(Self { name, kind, class })
    }

    /// What a response repeats; a resolver may play with the case of letters (draft "0x20").
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut lower = [0; 64];
        for piece in self.name.as_bytes().chunks(lower.len()) {
            let lower = lower.get_mut(..piece.len()).unwrap_or_default();
            lower.copy_from_slice(piece);
            lower.make_ascii_lowercase();
            hasher.write(lower);
        }
        hasher.write_u32(u32::from(self.kind) << 16 | u32::from(self.class));
        hasher.finish()
    }
}

/// Whether these bytes are the beginning of DNS. `whole`: they are all of the message. `datagram`: they came over UDP.
pub(super) fn probe(bytes: &[u8], whole: bool, datagram: bool) -> Probe {
    let mut cursor = Cursor::new(bytes);
    let short = if whole { Probe::No } else { Probe::Maybe };
    let Some(header) = Header::read(&mut cursor) else {
        return short;
    };
    let [questions, answers, ..] = header.counts;
    let known = matches!(header.opcode(), 0 | 1 | 2 | 4 | 5) && header.flags & 0x0040 == 0;
    let asks =
        !header.response() && questions > 0 && header.code() == 0 && (answers == 0 || header.opcode() != 0);
    let answered = header.response() && (questions > 0 || (answers > 0 && header.id != 0));
    if !known || !(asks || answered) || questions > PROBE_QUESTIONS {
        return Probe::No;
    }
    if datagram && header.id == 0 && header.opcode() == 0 && !header.recursion_desired() {
        return Probe::No; // Multicast DNS.
    }
    for _ in 0..questions {
        match Question::read(&mut cursor) {
            Ok(question) if plausible(&question) => {}
            Err(Broken::Short) => return short,
            Ok(_) | Err(Broken::Bad) => return Probe::No,
        }
    }
    let role = if header.response() { Role::Response } else { Role::Request };
    let parsed = parse(bytes, false);
    if let Ok(Some(first)) = parsed.as_ref().map(|parsed| parsed.answers.first())
        && is_netbios(first.kind, &first.name)
    {
        return Probe::No;
    }
    // Without a question the records must show what this is; with one they must at least not contradict.
    match (parsed, questions, whole) {
        (Ok(parsed), _, _) if parsed.broken.is_none() => Probe::Yes(role),
        (Ok(parsed), 1.., _) if parsed.broken == Some(Broken::Short) => Probe::Yes(role),
        (Ok(parsed), 0, false) if parsed.broken == Some(Broken::Short) => Probe::Maybe,
        _ => Probe::No,
    }
}

fn plausible(question: &Question) -> bool {
    let printable = question.name.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    let escaped = question.name.as_bytes().windows(2).any(|pair| matches!(pair, [b'\\', b'0'..=b'9']));
    question.kind != 0
        && matches!(question.class, 1 | 3 | 4 | 254 | 255)
        && printable
        && !escaped
        && !is_netbios(question.kind, &question.name)
}

/// RFC 1001 §14.1: a label of 32 letters from A to P, of type NB or NBSTAT.
fn is_netbios(kind: u16, name: &str) -> bool {
    let label = name.split('.').next().unwrap_or_default();
    matches!(kind, 32 | 33) && label.len() == 32 && label.bytes().all(|byte| (b'A'..=b'P').contains(&byte))
}

/// Parses one message. Records after one whose end is not known are missing; of one that the capture `cut` there may be
/// nothing but its header.
pub(super) fn parse(bytes: &[u8], cut: bool) -> Result<Parsed, DissectError> {
    let mut cursor = Cursor::new(bytes);
    let header = Header::read(&mut cursor).ok_or(DissectError::malformed("shorter than a header"))?;
    let [n_questions, n_answers, n_authorities, n_additionals] = header.counts;
    let mut parsed = Parsed {
        id: header.id,
        response: header.response(),
        opcode: header.opcode(),
        code: header.code(),
        questions: Vec::new(),
        answers: Vec::new(),
        authorities: Vec::new(),
        additionals: Vec::new(),
        broken: None,
    };
    for index in 0..n_questions {
        let start = cursor;
        match Question::read(&mut cursor) {
            Ok(question) => parsed.questions.push(question),
            Err(broken) if index == 0 && !(cut && broken == Broken::Short) => {
                return Err(DissectError::malformed("no question can be read"));
            }
            Err(broken) => {
                parsed.broken = Some(broken);
                // What follows a name that cannot be read can be, as long as its end can be found.
                cursor = start;
                if broken == Broken::Short || pass_name(&mut cursor).and_then(|()| cursor.u32()).is_none() {
                    return Ok(parsed);
                }
            }
        }
    }
    let sections = [&mut parsed.answers, &mut parsed.authorities, &mut parsed.additionals];
    'records: for (count, section) in [n_answers, n_authorities, n_additionals].into_iter().zip(sections) {
        // A record has at least 11 bytes, so the count cannot ask for more than there can be.
        section.reserve_exact(usize::from(count).min(bytes.len().saturating_sub(cursor.at()) / 11));
        for _ in 0..count {
            match resource(&mut cursor) {
                Ok(Framed { resource, upper_code, bad }) => {
                    section.extend(resource);
                    parsed.code |= upper_code;
                    parsed.broken = parsed.broken.or(bad.then_some(Broken::Bad));
                }
                Err(broken) => {
                    parsed.broken = Some(broken);
                    break 'records;
                }
            }
        }
    }
    Ok(parsed)
}

/// A record whose length is known, whatever its data.
struct Framed {
    /// `None` if its name is not well-formed.
    resource: Option<Resource>,
    /// The upper bits of the response code if it is OPT (RFC 6891 §6.1.3).
    upper_code: u16,
    /// Its data is not what its type says, and not shown.
    bad: bool,
}

fn resource(cursor: &mut Cursor<'_>) -> Result<Framed, Broken> {
    let start = *cursor;
    let name = match name(cursor) {
        Err(Broken::Bad) => {
            *cursor = start;
            pass_name(cursor).map(|()| None).ok_or(Broken::Bad)?
        }
        name => Some(name?),
    };
    let kind = cursor.u16().ok_or(Broken::Short)?;
    let class = cursor.u16().ok_or(Broken::Short)?;
    let ttl = cursor.u32().ok_or(Broken::Short)?;
    let len = usize::from(cursor.u16().ok_or(Broken::Short)?);
    let start = cursor.at();
    let bytes = cursor.take(len).ok_or(Broken::Short)?;
    let upper_code = if kind == words::OPT { (ttl >> 24) as u16 } else { 0 };
    // Names in the data may point anywhere before, so they are read out of the whole message.
    let mut inner = Cursor::new(cursor.whole());
    inner.move_to(start);
    let data = data(kind, bytes, &mut inner).filter(|_| inner.at() <= cursor.at());
    let bad = data.is_none() || name.is_none();
    let resource = name.map(|name| Resource { name, kind, class, ttl, data: data.unwrap_or(Data::Other) });
    Ok(Framed { resource, upper_code: upper_code << 4, bad })
}

fn data(kind: u16, bytes: &[u8], inner: &mut Cursor<'_>) -> Option<Data> {
    // An UPDATE deletes by records without data (RFC 2136 §2.5).
    if bytes.is_empty() {
        return Some(Data::Other);
    }
    Some(match kind {
        1 => Data::Ip(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        28 => Data::Ip(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        2 => Data::Ns(name(inner).ok()?),
        5 => Data::Cname(name(inner).ok()?),
        12 => Data::Ptr(name(inner).ok()?),
        6 => {
            name(inner).ok()?; // The primary server; the mailbox follows.
            Data::Soa(name(inner).ok()?)
        }
        15 => {
            inner.u16()?;
            Data::Mx(name(inner).ok()?)
        }
        33 => {
            inner.take(6)?;
            Data::Srv(name(inner).ok()?)
        }
        16 | 99 => Data::Txts(texts(bytes)?),
        words::OPT => Data::Opt(options(bytes)?),
        256 => {
            let (priority, weight) = (inner.u16()?, inner.u16()?);
            let target = String::from_utf8_lossy(bytes.get(4..)?);
            Data::Uri(format!("{priority} {weight} {target}").into())
        }
        _ => Data::Other,
    })
}

/// Character strings, RFC 1035 §3.3; `, ` before each, as the original prints them.
fn texts(bytes: &[u8]) -> Option<Box<str>> {
    let mut cursor = Cursor::new(bytes);
    let mut out = String::with_capacity(bytes.len() + 2);
    while !cursor.is_at_end() {
        let len = cursor.u8()?;
        out.push_str(", ");
        out.push_str(&String::from_utf8_lossy(cursor.take(usize::from(len))?));
    }
    Some(out.into())
}

/// EDNS options, RFC 6891 §6.1.2; `, ` before each `code=hex`, as the original prints them.
fn options(bytes: &[u8]) -> Option<Box<str>> {
    let mut cursor = Cursor::new(bytes);
    let mut out = String::new();
    while !cursor.is_at_end() {
        let (code, len) = (cursor.u16()?, cursor.u16()?);
        out.push_str(", ");
        out.push_str(&words::option(code));
        out.push('=');
        for byte in cursor.take(usize::from(len))? {
            write!(out, "{byte:02x}").ok()?;
        }
    }
    Some(out.into())
}

/// A name as text without its last dot; the root is empty. Bytes that are neither printable nor UTF-8 are escaped as
/// RFC 1035 §5.1 says, and so is a dot inside a label.
fn name(cursor: &mut Cursor<'_>) -> Result<Box<str>, Broken> {
    let mut at = *cursor;
    let mut out = String::new();
    let (mut len, mut pointers, mut labels_from) = (0, 0, at.at());
    loop {
        match at.u8().ok_or(Broken::Short)? {
            0 => break,
            size @ 1..=63 => {
                let label = at.take(usize::from(size)).ok_or(Broken::Short)?;
                len += label.len() + 1;
                if len >= NAME_BYTES {
                    return Err(Broken::Bad);
                }
                if out.is_empty() {
                    out.reserve_exact(40);
                } else {
                    out.push('.');
                }
                push_label(&mut out, label);
            }
            high @ 192.. => {
                let low = at.u8().ok_or(Broken::Short)?;
                let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                pointers += 1;
                if target >= labels_from || pointers > POINTERS {
                    return Err(Broken::Bad);
                }
                if pointers == 1 {
                    cursor.move_to(at.at());
                }
                labels_from = target;
                at.move_to(target);
            }
            _ => return Err(Broken::Bad),
        }
    }
    if pointers == 0 {
        cursor.move_to(at.at());
    }
    Ok(out.into())
}

/// Passes over a name, whatever it is, if its end can be found.
fn pass_name(cursor: &mut Cursor<'_>) -> Option<()> {
    loop {
        match cursor.u8()? {
            0 => return Some(()),
            size @ 1..=63 => drop(cursor.take(usize::from(size))?),
            192.. => return cursor.u8().map(|_| ()),
            _ => return None,
        }
    }
}

fn push_label(out: &mut String, label: &[u8]) {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(*byte, b'.' | b'\\');
    if let Ok(text) = std::str::from_utf8(label)
        && label.iter().all(|byte| plain(byte) || *byte >= 0x80)
    {
        return out.push_str(text);
    }
    for byte in label {
        match byte {
            b'.' | b'\\' => out.extend(['\\', char::from(*byte)]),
            byte if plain(byte) => out.push(char::from(*byte)),
            byte => {
                out.push('\\');
                out.extend([byte / 100, byte / 10 % 10, byte % 10].map(|digit| char::from(b'0' + digit)));
            }
        }
    }
}
