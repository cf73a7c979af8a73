//! The head of a message: start line and fields, RFC 9112 §2–§5.
//!
//! Shapes that peers read differently (bare LF, obs-fold, a space before the colon …) are read as the RFC says and
//! make the head `ambiguous`. Bytes that are not UTF-8 make the whole head be read as Latin-1, which loses nothing.

use std::ops::Range;

use super::{
    framing::Length,
    text::{Span, Text},
};
use crate::{DissectError, Limits, Probe, Role};

/// A parsed head. Every [`Span`] is a part of `text`.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) text: Text,
    pub(super) line: StartLine,
    /// Sorted by name; names are canonical, the values of equal names are joined with `,`.
    pub(super) fields: Vec<(Span, Span)>,
    /// The values of `Cookie` or `Set-Cookie`, one by one.
    pub(super) cookies: Vec<Span>,
    pub(super) length: Length,
    pub(super) ambiguous: bool,
    /// Fields beyond the limit are missing.
    pub(super) truncated: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum StartLine {
    Request { method: Span, target: Span, version: Span },
    Status { version: Span, code: u16 },
}

/// Methods that may begin a request line without a version, or in odd shapes.
const METHODS: &[&str] = &[
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
];

/// The longest token that a probe takes for a method.
const METHOD_BYTES: usize = 32;

/// Whether `input` begins a message.
pub(super) fn probe(input: &[u8], limits: &Limits) -> Probe {
    match probe_status(input) {
        Probe::No => probe_request(input, limits),
        verdict => verdict,
    }
}

/// Whether `input` begins a message of one role.
pub(super) fn probe_for(requests: bool, input: &[u8], limits: &Limits) -> Probe {
    if requests { probe_request(input, limits) } else { probe_status(input) }
}

fn probe_status(input: &[u8]) -> Probe {
    const START: &[u8] = b"HTTP/1.";
    match input.get(..START.len()) {
        Some(start) if start == START => Probe::Yes(Role::Response),
        None if START.starts_with(input) => Probe::Maybe,
        _ => Probe::No,
    }
}

/// A token, a space, a target, a space, `HTTP/1.`: for methods that are not known the target must look like one,
/// because every text has words.
fn probe_request(input: &[u8], limits: &Limits) -> Probe {
    let window = input.get(..limits.probe_bytes).unwrap_or(input);
    let Some(space) = window.iter().position(|byte| !is_token(*byte)) else {
        return if window.len() > METHOD_BYTES { Probe::No } else { Probe::Maybe };
    };
    if space == 0 || space > METHOD_BYTES || window.get(space) != Some(&b' ') {
        return Probe::No;
    }
    let known = METHODS.iter().any(|method| window.get(..space) == Some(method.as_bytes()));
    let after = window.get(space + 1..).unwrap_or_default();
    let end = after.iter().position(|byte| *byte == b'\n');
    let line = after.get(..end.unwrap_or(after.len())).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let target = matches!(line.first(), None | Some(b'/' | b'*' | b'h'));
    if (!known && !target) || line.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        return Probe::No;
    }
    if end.is_none() {
        return if window.len() < input.len() { Probe::No } else { Probe::Maybe };
    }
    let version = line.windows(8).rposition(|part| part == b" HTTP/1.");
    let versioned = version.and_then(|at| line.get(at + 8..)).is_some_and(|minor| {
        minor.len() <= 3 && minor.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    });
    // Known methods may lack a version (HTTP/0.9), or have what a careless tool for testing left of it: no target, or
    // no space before the version.
    let careless = known && (line.is_empty() || line.starts_with(b"/") || line.starts_with(b"HTTP/1."));
    let careless = careless || glued(line);
    if versioned || careless { Probe::Yes(Role::Request) } else { Probe::No }
}

/// Where the head that begins `input` ends: after its empty line. The first `looked` bytes are known to hold no end.
pub(super) fn head_end(input: &[u8], looked: usize) -> Option<usize> {
    let mut at = looked;
    while let Some(found) = input.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) {
        let next = at + found + 1;
        let after = input.get(next..).unwrap_or_default();
        // One CR; more are no line either, and make the head ambiguous.
        let returns = after.iter().take(4).take_while(|byte| **byte == b'\r').count();
        if after.get(returns) == Some(&b'\n') {
            return Some(next + returns + 1);
        }
        at = next;
    }
    None
}

/// Parses a head that is there whole, its empty line included.
pub(super) fn parse(head: &[u8], requests: bool, limits: &Limits) -> Result<Head, DissectError> {
    let mut draft = Draft { bytes: to_utf8(head), ambiguous: false };
    let mut lines = draft.lines();
    let first = lines.next().ok_or(DissectError::malformed("empty head"))?;
    let line = if requests { draft.request_line(first)? } else { draft.status_line(first)? };
    let (mut rows, truncated) = draft.rows(lines, limits);
    let cookie = if requests { "Cookie" } else { "Set-Cookie" };
    let cookies = rows
        .iter()
        .filter(|(name, _)| draft.part(name) == cookie.as_bytes())
        .map(|row| span(&row.1))
        .collect();
    let length = draft.length(&rows, &line);
    let fields = draft.join(&mut rows);
    let Draft { bytes, ambiguous } = draft;
    Ok(Head { text: Text::new(bytes), line, fields, cookies, length, ambiguous, truncated })
}

type Part = Range<usize>;
type Row = (Part, Part);

/// A head being read: its bytes are valid UTF-8 and are only ever changed from ASCII to ASCII.
struct Draft {
    bytes: Vec<u8>,
    ambiguous: bool,
}

impl Draft {
    /// The lines before the empty one, without their ends.
    fn lines(&mut self) -> std::vec::IntoIter<Part> {
        let mut lines = Vec::with_capacity(24);
        let mut start = 0;
        while let Some(len) =
            self.bytes.get(start..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let mut end = start + len;
            if end > start && self.bytes.get(end - 1) == Some(&b'\r') {
                end -= 1;
            } else {
                self.ambiguous = true; // A bare LF, RFC 9112 §2.2.
            }
            if end > start {
                lines.push(start..end);
            }
            start += len + 1;
        }
        lines.into_iter()
    }

    fn part(&self, part: &Part) -> &[u8] {
        self.bytes.get(part.clone()).unwrap_or_default()
    }

    /// RFC 9112 §3. The target ends at the first space; what a space inside it leaves is `ambiguous`.
    fn request_line(&mut self, line: Part) -> Result<StartLine, DissectError> {
        let bytes = self.part(&line);
        let space =
            bytes.iter().position(|byte| *byte == b' ').ok_or(DissectError::malformed("no request line"))?;
        if space == 0 || !bytes.iter().take(space).all(|byte| is_token(*byte)) {
            return Err(DissectError::malformed("the method is no token"));
        }
        let version = bytes
            .windows(6)
            .rposition(|part| part == b" HTTP/")
            .filter(|at| *at >= space)
            .map_or(bytes.len(), |at| at + 1);
        let known = METHODS.iter().any(|method| bytes.get(..space) == Some(method.as_bytes()));
        let glued = bytes.get(space + 1..).is_some_and(glued);
        if version == bytes.len() && !known && !glued {
            return Err(DissectError::malformed("a request line without a version"));
        }
        let lead = bytes.iter().skip(space).take_while(|byte| **byte == b' ').count();
        let from = (space + lead).min(version);
        // Without a target, what looks like the version is the target.
        let version = if from == version { bytes.len() } else { version };
        let between = bytes.get(from..version).unwrap_or_default();
        let target = between.iter().position(|byte| *byte == b' ').unwrap_or(between.len());
        let odd = lead != 1 || target + 1 != between.len() || !bytes.get(version..).is_some_and(is_version);
        let start = line.start;
        self.ambiguous |= odd;
        Ok(StartLine::Request {
            method: span(&(start..start + space)),
            target: span(&(start + from..start + from + target)),
            version: span(&(start + version..line.end)),
        })
    }

    /// RFC 9112 §4.
    fn status_line(&mut self, line: Part) -> Result<StartLine, DissectError> {
        let bytes = self.part(&line);
        if !bytes.starts_with(b"HTTP/") {
            return Err(DissectError::malformed("no status line"));
        }
        let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
        let version = bytes.iter().position(blank).ok_or(DissectError::malformed("no status code"))?;
        let after = bytes.get(version..).unwrap_or_default();
        let skipped = after.iter().position(|byte| !blank(byte)).unwrap_or(after.len());
        let digits = after.get(skipped..).unwrap_or_default();
        let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=3).contains(&len) {
            return Err(DissectError::malformed("the status code has not three digits"));
        }
        let code = digits.iter().take(len).fold(0, |code, digit| code * 10 + u16::from(*digit - b'0'));
        let odd = skipped != 1 || len != 3 || !bytes.get(..version).is_some_and(is_version);
        self.ambiguous |= odd;
        Ok(StartLine::Status { version: span(&(line.start..line.start + version)), code })
    }

    /// Names and values, in the order of the wire; whether some are missing.
    fn rows(&mut self, lines: impl Iterator<Item = Part>, limits: &Limits) -> (Vec<Row>, bool) {
        let mut rows: Vec<Row> = Vec::with_capacity(lines.size_hint().0);
        let mut truncated = false;
        for line in lines {
            let bytes = self.part(&line);
            if let [b' ' | b'\t', ..] = bytes {
                // obs-fold, RFC 9112 §5.2: the line end becomes spaces.
                self.ambiguous = true;
                if let Some((_, value)) = rows.last_mut() {
                    if let Some(fold) = self.bytes.get_mut(value.end..line.start) {
                        fold.fill(b' ');
                    }
                    value.end = line.end;
                }
                continue;
            }
            let Some(colon) = bytes.iter().position(|byte| *byte == b':') else {
                self.ambiguous = true;
                continue;
            };
            let name = line.start..line.start + bytes.get(..colon).unwrap_or_default().trim_ascii_end().len();
            let raw = bytes.get(colon + 1..).unwrap_or_default();
            let lead = raw.len() - raw.trim_ascii_start().len();
            let value = line.start + colon + 1 + lead..line.end;
            let bad = raw.iter().any(|byte| matches!(*byte, 0 | b'\r'));
            // A space before the colon, RFC 9112 §5.1; no name; CR or NUL in a value, RFC 9110 §5.5.
            self.ambiguous |= bad || name.end != line.start + colon || name.is_empty();
            if bad {
                let bytes = self.bytes.get_mut(value.clone()).unwrap_or_default();
                bytes.iter_mut().filter(|byte| matches!(**byte, 0 | b'\r')).for_each(|byte| *byte = b' ');
            }
            if !name.is_empty() {
                self.canonicalise(&name);
                rows.push((name, value));
            }
        }
        for (_, value) in &mut rows {
            let text = self.bytes.get(value.clone()).unwrap_or_default();
            let trimmed = text.trim_ascii_end().len();
            value.end = value.start + trimmed;
        }
        if rows.len() > limits.header_count {
            // Those that frame the body stay.
            let mut kept = 0;
            rows.retain(|(name, _)| {
                kept += 1;
                kept <= limits.header_count
                    || matches!(self.part(name), b"Content-Length" | b"Transfer-Encoding")
            });
            truncated = true;
        }
        (rows, truncated)
    }

    /// As Go's textproto: a capital first and after each `-`; a name with foreign bytes is left as it is.
    fn canonicalise(&mut self, name: &Part) {
        let Some(name) = self.bytes.get_mut(name.clone()) else {
            return;
        };
        if !name.iter().all(|byte| is_token(*byte)) {
            self.ambiguous = true;
            return;
        }
        let mut capital = true;
        for byte in name {
            *byte = if capital { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
            capital = *byte == b'-';
        }
    }

    /// RFC 9112 §6.3, as far as the fields decide it.
    fn length(&mut self, rows: &[Row], line: &StartLine) -> Length {
        let mut codings: Vec<String> = Vec::new();
        let mut lengths: Vec<Option<u64>> = Vec::new();
        let text = |part: &Part| String::from_utf8_lossy(self.part(part)).into_owned();
        for (name, value) in rows {
            match self.part(name) {
                b"Transfer-Encoding" => codings.extend(
                    text(value)
                        .split(',')
                        .map(|coding| coding.trim().to_ascii_lowercase())
                        .filter(|coding| !coding.is_empty()),
                ),
                b"Content-Length" => {
                    lengths.extend(text(value).split(',').map(|number| digits(number.trim())));
                }
                _ => {}
            }
        }
        let present =
            !codings.is_empty() || rows.iter().any(|(name, _)| self.part(name) == b"Transfer-Encoding");
        if present {
            let old = match line {
                StartLine::Request { version, .. } | StartLine::Status { version, .. } => {
                    self.part(&version.range()) == b"HTTP/1.0"
                }
            };
            let chunked = codings.iter().filter(|coding| *coding == "chunked").count();
            let last = codings.pop_if(|coding| coding == "chunked").is_some();
            // Both framings (§6.1), a coding after chunked or twice chunked (§6.1), chunked in HTTP/1.0 (§6.1).
            let known = codings.iter().all(|coding| matches!(coding.as_str(), "gzip" | "x-gzip" | "deflate"));
            self.ambiguous |= !lengths.is_empty() || chunked != usize::from(last) || !last || old || !known;
            return if last { Length::Chunked(codings) } else { Length::Unknown };
        }
        let Some(first) = lengths.first().copied() else {
            return Length::Absent;
        };
        // Equal numbers may be taken for one (§6.3 rule 5); of different ones nobody knows which counts.
        self.ambiguous |= first.is_none() || lengths.iter().any(|other| *other != first);
        first.map_or(Length::Unknown, Length::Exactly)
    }

    /// Sorts by name, and joins equal names. The joined values go behind the head.
    fn join(&mut self, rows: &mut [Row]) -> Vec<(Span, Span)> {
        let bytes = &self.bytes;
        rows.sort_by(|(a, _), (b, _)| bytes.get(a.clone()).cmp(&bytes.get(b.clone())));
        let mut fields: Vec<(Span, Span)> = Vec::with_capacity(rows.len());
        let mut joined = Vec::new();
        for group in rows.chunk_by(|(a, _), (b, _)| bytes.get(a.clone()) == bytes.get(b.clone())) {
            match group {
                [] => {}
                [(name, value)] => fields.push((span(name), span(value))),
                [(name, value), more @ ..] => {
                    let start = bytes.len() + joined.len();
                    joined.extend_from_slice(bytes.get(value.clone()).unwrap_or_default());
                    for (_, value) in more {
                        joined.push(b',');
                        joined.extend_from_slice(bytes.get(value.clone()).unwrap_or_default());
                    }
                    fields.push((span(name), span(&(start..bytes.len() + joined.len()))));
                }
            }
        }
        self.bytes.extend_from_slice(&joined);
        fields
    }
}

fn span(part: &Part) -> Span {
    Span::new(part.start, part.end)
}

fn to_utf8(head: &[u8]) -> Vec<u8> {
    if std::str::from_utf8(head).is_ok() {
        return head.to_vec();
    }
    head.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes()
}

/// `tchar`, RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_version(text: &[u8]) -> bool {
    matches!(text, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'])
}

/// A path with a version and no space between.
fn glued(target: &[u8]) -> bool {
    target.starts_with(b"/")
        && target.last_chunk::<8>().is_some_and(|version| is_version(version))
        && !target.contains(&b' ')
}

fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}
