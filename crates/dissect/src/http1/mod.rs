//! HTTP/1.0 and HTTP/1.1: RFC 9112 for the syntax, RFC 9110 for the meaning.
//!
//! What users should know of the entries:
//!
//! - A head with bytes that are not UTF-8 is read as Latin-1, which loses nothing.
//! - Bodies are shown without chunk framing and content encodings. One that cannot be decoded stays as it was sent:
//!   `truncated` if it was cut on the way, `ambiguous` if it is whole. One that breaks off in the middle is shown as
//!   far as it goes, `truncated`.
//! - Interim responses (100, 102, 103) are counted, and the final response lists their codes as `interim`; time and size
//!   are those of the final response.
//! - After 101 the flow is not looked into; after a granted CONNECT it is probed anew.

mod form;
mod framing;
mod message;
mod parser;
mod readable;
#[cfg(test)]
mod tests;
mod text;
mod words;

use api::{Fault, FaultKind, Protocol};
use flow::{Direction, Transport};

use crate::{DissectError, Dissector, Limits, Message, Probe, Role, Scene, Spec, Step, dissector::Ending};
use framing::{Chunk, Fed, Framing, Gapped, Length, Partial};
pub use message::{Request, Response};
use parser::{Head, StartLine};

/// HTTP/1.0 and HTTP/1.1.
pub(crate) const SPEC: Spec =
    Spec { row: "flowsHttp1", over: |transport| transport == Transport::Tcp, probe, new };

/// RFC 1945.
pub(crate) static HTTP_10: Protocol = Protocol {
    abbr: "HTTP",
    background_color: "#416CDE",
    font_size: 12,
    long_name: "Hypertext Transfer Protocol -- HTTP/1.0",
    macro_name: "http",
    name: "http",
    ports: &["80", "443", "8080"],
    priority: 0,
    reference_link: "https://datatracker.ietf.org/doc/html/rfc1945",
    layer4: "tcp",
    version: "1.0",
    json: std::sync::OnceLock::new(),
};

/// RFC 2616 and its successors.
pub(crate) static HTTP_11: Protocol = Protocol {
    long_name: "Hypertext Transfer Protocol -- HTTP/1.1",
    reference_link: "https://datatracker.ietf.org/doc/html/rfc2616",
    version: "1.1",
    json: std::sync::OnceLock::new(),
    ..HTTP_10
};

/// The response has no body, whatever its head says.
const HINT_HEAD: u8 = 1;
/// A response of 2xx has no body, and begins a tunnel.
const HINT_CONNECT: u8 = 2;

/// So many codes of interim responses are listed; RFC 9110 §15.2 sets no bound.
const MAX_INTERIM: usize = 16;

fn probe(_: Transport, input: &[u8], limits: &Limits) -> Probe {
    parser::probe(input, limits)
}

fn new(_: Transport, direction: Direction, role: Role) -> Box<dyn Dissector> {
    let requests = if role == Role::Request { direction } else { direction.reverse() };
    Box::new(Http1 {
        requests,
        request: Reading::default(),
        response: Reading::default(),
        interim: Vec::new(),
        after: After::Http,
    })
}

struct Http1 {
    /// Which way requests go.
    requests: Direction,
    request: Reading,
    response: Reading,
    /// The codes of interim responses since the last final one, at most [`MAX_INTERIM`].
    interim: Vec<u16>,
    after: After,
}

/// What the bytes after the last message are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Http,
    /// CONNECT was granted: anything, HTTP too.
    Tunnel,
    /// 101: what the head said, and nothing that HTTP could be.
    Upgrade,
}

/// ```text
///           head complete             body complete
///   Start ────────────────▶ Body ──────────────────▶ Start
///     │ error, gap            │ gap beyond its end
///     ▼                       ▼
///   Seek ──── a start line at the beginning of delivered bytes ───▶ Start
/// ```
enum Reading {
    /// At the start of a message, of which so many bytes hold no end of a head.
    Start {
        looked: usize,
    },
    Body(Box<Partial>),
    Seek,
}

impl Default for Reading {
    fn default() -> Self {
        Self::Start { looked: 0 }
    }
}

impl Dissector for Http1 {
    fn step(&mut self, direction: Direction, input: &[u8], scene: &Scene<'_>) -> Result<Step, DissectError> {
        match self.after {
            After::Http => {}
            After::Tunnel => return Ok(Step::HandOver),
            After::Upgrade => return Ok(Step::Opaque),
        }
        let requests = direction == self.requests;
        match std::mem::replace(self.reading(direction), Reading::Seek) {
            Reading::Seek => self.seek(direction, input, scene),
            Reading::Start { looked } => {
                let step = self.start(direction, looked, input, scene);
                if step.is_err() {
                    *self.reading(direction) = Reading::Seek;
                }
                step
            }
            Reading::Body(mut partial) => match partial.feed(input, scene.limits) {
                Ok(Fed::Done(consumed)) => {
                    *self.reading(direction) = Reading::default();
                    Ok(self.message(requests, *partial, consumed, scene.limits))
                }
                Ok(Fed::Took(consumed)) => {
                    *self.reading(direction) = Reading::Body(partial);
                    Ok(if consumed == 0 {
                        Step::NeedMore { at_least: input.len() + 1 }
                    } else {
                        Step::Take { consumed }
                    })
                }
                Err(_) => {
                    // The message is shown as far as it went; its last bytes are where it broke.
                    partial.body.broken = true;
                    Ok(self.message(requests, *partial, input.len(), scene.limits))
                }
            },
        }
    }

    fn gap(&mut self, direction: Direction, len: u64, _: &[u8], scene: &Scene<'_>) -> Ending {
        let requests = direction == self.requests;
        match std::mem::replace(self.reading(direction), Reading::Seek) {
            Reading::Body(mut partial) if len > 0 => match partial.gap(len) {
                Gapped::Inside => {
                    *self.reading(direction) = Reading::Body(partial);
                    Ending::default()
                }
                gapped => {
                    if gapped == Gapped::AtEnd {
                        *self.reading(direction) = Reading::default();
                    }
                    let message = message::build(*partial, requests, scene.limits);
                    Ending { message: Some(message), lost: gapped == Gapped::Beyond }
                }
            },
            _ => {
                if !requests {
                    // The responses that they announced may be what was lost.
                    self.interim.clear();
                }
                Ending { message: None, lost: true }
            }
        }
    }

    fn end(&mut self, direction: Direction, rest: &[u8], clean: bool, scene: &Scene<'_>) -> Ending {
        let requests = direction == self.requests;
        match std::mem::replace(self.reading(direction), Reading::Seek) {
            Reading::Body(mut partial) => {
                partial.end(rest, scene.limits);
                partial.body.truncated |= !(clean && partial.framing == Framing::UntilClose);
                Ending { message: Some(message::build(*partial, requests, scene.limits)), lost: false }
            }
            Reading::Start { .. } => Ending { message: cut_head(rest, requests, scene.limits), lost: false },
            Reading::Seek => Ending::default(),
        }
    }
}

impl Http1 {
    fn reading(&mut self, direction: Direction) -> &mut Reading {
        if direction == self.requests { &mut self.request } else { &mut self.response }
    }

    /// Looks for a start line where delivered bytes begin: a peer begins a message with a segment of its own but when
    /// it pipelines, and inside a body anything may look like a start line.
    fn seek(&mut self, direction: Direction, input: &[u8], scene: &Scene<'_>) -> Result<Step, DissectError> {
        match parser::probe_for(direction == self.requests, input, scene.limits) {
            Probe::Yes(_) => self.start(direction, 0, input, scene),
            Probe::Maybe => Ok(Step::NeedMore { at_least: input.len() + 1 + input.len() / 8 }),
            Probe::No => Ok(Step::Skip { consumed: input.len() }),
        }
    }

    fn start(
        &mut self,
        direction: Direction,
        looked: usize,
        input: &[u8],
        scene: &Scene<'_>,
    ) -> Result<Step, DissectError> {
        let limits = scene.limits;
        let requests = direction == self.requests;
        // Empty lines before a start line, RFC 9112 §2.2.
        let blank = input.iter().take_while(|byte| matches!(**byte, b'\r' | b'\n')).count();
        if blank > 0 {
            *self.reading(direction) = Reading::default();
            return Ok(Step::Skip { consumed: blank });
        }
        let Some(end) = parser::head_end(input, looked).filter(|end| *end <= limits.head_bytes) else {
            if input.len() >= limits.head_bytes {
                return Err(DissectError::limit("the head is too long"));
            }
            if looked < 16 && parser::probe_for(requests, input, limits) == Probe::No {
                return Err(DissectError::malformed("no start line"));
            }
            *self.reading(direction) = Reading::Start { looked: input.len().saturating_sub(6) };
            return Ok(Step::NeedMore { at_least: input.len() + 1 });
        };
        let (head, body) = input.split_at_checked(end).unwrap_or((input, &[]));
        let head = parser::parse(head, requests, limits)?;
        let framing = match head.line {
            StartLine::Request { .. } => request_framing(&head),
            StartLine::Status { code, .. } => {
                // Nothing tells a response to HEAD from others if its request is unknown, but what follows it.
                let headless = scene.expected.is_none() && body.starts_with(b"HTTP/1.");
                let hint = if headless { HINT_HEAD } else { scene.expected.unwrap_or(0) };
                match code {
                    101 => self.after = After::Upgrade,
                    200..300 if hint == HINT_CONNECT => self.after = After::Tunnel,
                    _ => {}
                }
                response_framing(&head, code, hint)
            }
        };
        let interim = self.announced(&head.line);
        let mut partial = Partial::new(head, framing);
        partial.interim = interim;
        match partial.feed(body, limits) {
            Ok(Fed::Done(len)) => {
                *self.reading(direction) = Reading::default();
                Ok(self.message(requests, partial, end + len, limits))
            }
            Ok(Fed::Took(len)) => {
                *self.reading(direction) = Reading::Body(Box::new(partial));
                Ok(Step::Take { consumed: end + len })
            }
            Err(_) => {
                partial.body.broken = true;
                *self.reading(direction) = Reading::Seek;
                Ok(self.message(requests, partial, input.len(), limits))
            }
        }
    }

    /// The interim responses before a final one; an interim one is remembered.
    fn announced(&mut self, line: &StartLine) -> Vec<u16> {
        match line {
            StartLine::Status { code, .. } if message::is_interim(*code) => {
                if self.interim.len() < MAX_INTERIM {
                    self.interim.push(*code);
                }
                Vec::new()
            }
            StartLine::Status { .. } => std::mem::take(&mut self.interim),
            StartLine::Request { .. } => Vec::new(),
        }
    }

    #[expect(clippy::unused_self, reason = "reads like the other ends of a step")]
    fn message(&self, requests: bool, partial: Partial, consumed: usize, limits: &Limits) -> Step {
        Step::Message { consumed, message: message::build(partial, requests, limits) }
    }
}

/// A head that breaks off after its start line at the earliest: whole lines of it are shown.
fn cut_head(rest: &[u8], requests: bool, limits: &Limits) -> Option<Message> {
    let lines = rest.iter().rposition(|byte| *byte == b'\n')?;
    let rest = rest.get(..=lines)?;
    if !matches!(parser::probe_for(requests, rest, limits), Probe::Yes(_)) {
        return None;
    }
    let mut head = parser::parse(rest, requests, limits).ok()?;
    head.truncated = true;
    Some(message::build(Partial::new(head, Framing::Left(0)), requests, limits))
}

/// RFC 9112 §6.3, for requests. Where the length cannot be known a server answers 400 and closes.
fn request_framing(head: &Head) -> Framing {
    match head.length {
        Length::Chunked(_) => Framing::Chunked(Chunk::Size),
        Length::Exactly(len) => Framing::Left(len),
        Length::Absent | Length::Unknown => Framing::Left(0),
    }
}

/// RFC 9112 §6.3, for responses.
fn response_framing(head: &Head, code: u16, hint: u8) -> Framing {
    let bodiless = hint == HINT_HEAD || (hint == HINT_CONNECT && code / 100 == 2);
    match head.length {
        _ if bodiless || code / 100 == 1 || matches!(code, 204 | 304) => Framing::Left(0),
        Length::Chunked(_) => Framing::Chunked(Chunk::Size),
        Length::Exactly(len) => Framing::Left(len),
        Length::Absent | Length::Unknown => Framing::UntilClose,
    }
}

/// Why a message whose chunk framing broke is not whole.
fn broken() -> Fault {
    Fault { kind: FaultKind::Dissection, message: "the chunked body breaks off: its framing is wrong" }
}
