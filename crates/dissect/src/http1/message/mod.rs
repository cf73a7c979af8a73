//! Requests and responses as users see them: HAR 1.2 with maps for lists.

mod fields;

use api::Protocol;

use super::{
    HINT_CONNECT, HINT_HEAD, HTTP_10, HTTP_11, broken,
    form::{self, Param},
    framing::{Body, Length, Partial},
    parser::{Head, StartLine},
    text::{Map, MultiMap, Span, Text, Texts},
};
use crate::{
    Limits, Message, Role,
    body::{Decoded, decode},
    dissector::Part,
};

/// `headersSize`: HAR's word for "not known"; the original never knows it.
const UNKNOWN_SIZE: i64 = -1;

/// What was asked. Whoever has an entry finds it behind [`api::Payload`], which is [`std::any::Any`].
#[derive(Debug)]
pub struct Request {
    pub(super) text: Text,
    pub(super) method: Span,
    pub(super) target: Span,
    pub(super) version: Span,
    pub(super) path: Span,
    pub(super) headers: Vec<(Span, Span)>,
    pub(super) cookies: Vec<(Span, Span)>,
    pub(super) query: Vec<(Span, Span)>,
    /// As the head says: -1 for chunks.
    pub(super) body_size: i64,
    pub(super) post: Option<PostData>,
}

/// The body of a request.
#[derive(Debug)]
pub(super) struct PostData {
    pub(super) mime_type: Box<str>,
    pub(super) params: Params,
    pub(super) body: TextOrBytes,
}

#[derive(Debug)]
pub(super) struct Params(pub(super) Vec<Param>);

/// A body that is shown as text where it is UTF-8.
#[derive(Debug)]
pub(super) enum TextOrBytes {
    Text(String),
    Bytes(Vec<u8>),
}

/// What was answered. Whoever has an entry finds it behind [`api::Payload`], which is [`std::any::Any`].
#[derive(Debug)]
pub struct Response {
    pub(super) text: Text,
    pub(super) version: Span,
    pub(super) status: u16,
    pub(super) interim: Interim,
    pub(super) headers: Vec<(Span, Span)>,
    pub(super) cookies: Vec<(Span, Span)>,
    /// As the head says; 0 where it does not.
    pub(super) body_size: i64,
    pub(super) content: Content,
}

/// Codes of the interim responses (RFC 9110 §15.2) before a final one.
#[derive(Debug)]
pub(super) struct Interim(pub(super) Box<[u16]>);

/// Whether a response is followed by another to the same request. 101 is not: HTTP ends with it.
pub(super) fn is_interim(code: u16) -> bool {
    code / 100 == 1 && code != 101
}

/// The body of a response, without its encodings.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) mime_type: Span,
    /// Prints as base64.
    pub(super) text: Vec<u8>,
    /// Its length; more than the bytes kept where a limit cut it.
    pub(super) size: i64,
}

/// Makes the message of a head and what came of its body.
pub(super) fn build(partial: Partial, requests: bool, limits: &Limits) -> Message {
    let Partial { head, mut body, interim, .. } = partial;
    let (line, error) = (head.line, body.broken.then(broken));
    let (gap, cut) = (body.gap, body.truncated || body.broken);
    let mut notes = Notes { ambiguous: head.ambiguous || body.ambiguous, truncated: head.truncated || cut };
    body.bytes.shrink_to_fit();
    let (role, version, hint, payload): (_, _, _, Box<dyn Part>) = match line {
        StartLine::Request { method, target, version } => {
            let hint = match head.text.get(method) {
                "HEAD" => HINT_HEAD,
                "CONNECT" => HINT_CONNECT,
                _ => 0,
            };
            let protocol = protocol(head.text.get(version));
            let request = Request::new(head, [method, target, version], body, &mut notes, limits);
            (Role::Request, protocol, hint, Box::new(request))
        }
        StartLine::Status { version, code } => {
            let role = if is_interim(code) { Role::Interim } else { Role::Response };
            let protocol = protocol(head.text.get(version));
            let mut response = Response::new(head, version, code, body, &mut notes, limits);
            response.interim = Interim(interim.into());
            (role, protocol, 0, Box::new(response))
        }
    };
    debug_assert_eq!(requests, role == Role::Request);
    let Notes { ambiguous, truncated } = notes;
    Message { protocol: version, role, payload, key: None, hint, ambiguous, truncated, gap, error }
}

fn protocol(version: &str) -> &'static Protocol {
    if matches!(version, "HTTP/1.0" | "HTTP/0.9" | "") { &HTTP_10 } else { &HTTP_11 }
}

/// What building finds out about the message.
struct Notes {
    ambiguous: bool,
    truncated: bool,
}

impl Request {
    fn new(head: Head, line: [Span; 3], body: Body, notes: &mut Notes, limits: &Limits) -> Self {
        let [method, target, version] = line;
        let Head { mut text, fields: headers, cookies, length, .. } = head;
        let (path, query) = split_target(&mut text, target);
        let query = query_pairs(&mut text, query, limits, notes);
        let pairs = cookies.iter().flat_map(|cookie| {
            let cookies = text.get(*cookie).split(';').map(str::trim);
            cookies
                .filter(|pair| !pair.is_empty())
                .map(|pair| split_cookie(&text, *cookie, pair))
                .collect::<Vec<_>>()
        });
        let cookies = pairs.collect();
        let cookies = joined(&mut text, cookies);
        let (sized, body_size) = match length {
            Length::Chunked(_) => (true, -1),
            Length::Exactly(len) => (len > 0, i64::try_from(len).unwrap_or(i64::MAX)),
            Length::Absent | Length::Unknown => (false, 0),
        };
        let post = sized.then(|| {
            let map = Map { text: &text, rows: &headers };
            let bytes = plain(body, &map, &length, notes, limits).0;
            let mime_type = map.find("Content-Type").map(|value| text.get(value)).unwrap_or_default();
            PostData::new(mime_type.into(), bytes, notes, limits)
        });
        text.shrink();
        Self { text, method, target, version, path, headers, cookies, query, body_size, post }
    }

    /// Its method: `GET`.
    pub fn method(&self) -> &str {
        self.text.get(self.method)
    }

    /// The path of its target, decoded.
    pub fn path(&self) -> &str {
        self.text.get(self.path)
    }

    /// The value of the header of this canonical name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(name).map(|value| self.text.get(value))
    }

    pub(super) fn headers(&self) -> Map<'_> {
        Map { text: &self.text, rows: &self.headers }
    }

    pub(super) fn cookies(&self) -> Map<'_> {
        Map { text: &self.text, rows: &self.cookies }
    }

    pub(super) fn query(&self) -> MultiMap<'_> {
        MultiMap { text: &self.text, rows: &self.query }
    }

    pub(super) fn target(&self) -> &str {
        self.text.get(self.target)
    }

    pub(super) fn segments(&self) -> Texts<'_> {
        let path = self.text.get(self.path);
        Texts(path.split('/').skip(1).collect())
    }
}

/// The path of a target and its query: RFC 9112 §3.2. A target that is no URL is all path.
fn split_target(text: &mut Text, target: Span) -> (Span, Span) {
    let whole = text.get(target);
    let place = whole.split_once('#').map_or(whole, |(place, _)| place);
    let (before, query) = place.split_once('?').unwrap_or((place, ""));
    let path = match before.split_once("://") {
        Some((scheme, rest))
            if !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or_default()
        }
        // `host:port` of CONNECT is no URL.
        _ if !before.starts_with('/') && before.contains(':') => return (target, Span::default()),
        _ => before,
    };
    let query = if query.is_empty() { Span::default() } else { text.within(target, query) };
    if !path.contains('%') {
        let path = if path.is_empty() { Span::default() } else { text.within(target, path) };
        return (path, query);
    }
    match form::unescaped_path(path) {
        Some(path) => (text.push(&path), query),
        None => (target, Span::default()),
    }
}

/// Sorted by name; values of one name in the order of the text.
fn query_pairs(text: &mut Text, query: Span, limits: &Limits, notes: &mut Notes) -> Vec<(Span, Span)> {
    if query.is_empty() {
        return Vec::new();
    }
    let mut pairs: Vec<(String, String)> =
        form::pairs(text.get(query)).take(limits.form_params + 1).collect();
    notes.truncated |= pairs.len() > limits.form_params;
    pairs.truncate(limits.form_params);
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    pairs.iter().map(|(name, value)| (text.push(name), text.push(value))).collect()
}

fn split_cookie(text: &Text, whole: Span, pair: &str) -> (Span, Span) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let part = |part: &str| if part.is_empty() { Span::default() } else { text.within(whole, part) };
    (part(name.trim()), part(value.trim()))
}

/// Sorted by name, values of equal names joined with `,`.
fn joined(text: &mut Text, mut rows: Vec<(Span, Span)>) -> Vec<(Span, Span)> {
    rows.sort_by(|(a, _), (b, _)| text.get(*a).cmp(text.get(*b)));
    let mut merged: Vec<(Span, Span)> = Vec::with_capacity(rows.len());
    for group in
        rows.chunk_by(|(a, _), (b, _)| text.get(*a) == text.get(*b)).map(<[_]>::to_vec).collect::<Vec<_>>()
    {
        match group.as_slice() {
            [] => {}
            [row] => merged.push(*row),
            [(name, _), ..] => {
                let values: Vec<&str> = group.iter().map(|(_, value)| text.get(*value)).collect();
                let values = values.join(",");
                merged.push((*name, text.push(&values)));
            }
        }
    }
    merged
}

/// A body without its transfer codings and content encodings; and whether anything was undone.
///
/// What cannot be decoded stays as it was sent, `truncated` if it was cut and `ambiguous` if it was not.
fn plain(
    body: Body,
    headers: &Map<'_>,
    length: &Length,
    notes: &mut Notes,
    limits: &Limits,
) -> (Vec<u8>, bool) {
    let transfer = match length {
        Length::Chunked(codings) => codings.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let content = headers.find("Content-Encoding").map(|value| headers.text.get(value)).unwrap_or_default();
    let content = content
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
    let codings: Vec<&str> = content.chain(transfer).collect();
    let cut = body.truncated || body.broken;
    let mut bytes = body.bytes;
    if codings.is_empty() || bytes.is_empty() {
        return (bytes, false);
    }
    if codings.len() > limits.encodings {
        notes.truncated = true;
        return (bytes, false);
    }
    let mut undone = false;
    for coding in codings.iter().rev() {
        match decode(coding, &bytes, limits) {
            Decoded::Whole(decoded) => bytes = decoded,
            Decoded::Part(decoded) => {
                notes.truncated = true;
                bytes = decoded;
            }
            Decoded::Not => {
                notes.ambiguous |= !cut;
                return (bytes, undone);
            }
        }
        undone = true;
    }
    bytes.shrink_to_fit();
    (bytes, undone)
}

impl PostData {
    fn new(mime_type: Box<str>, bytes: Vec<u8>, notes: &mut Notes, limits: &Limits) -> Self {
        let media = mime_type.split(';').next().unwrap_or_default().trim();
        let mut params = Vec::new();
        if media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let text = String::from_utf8_lossy(&bytes);
            let pairs = form::pairs(text.trim_end()).take(limits.form_params + 1);
            params =
                pairs.map(|(name, value)| Param { name, value: Some(value), ..Param::default() }).collect();
        } else if media.eq_ignore_ascii_case("multipart/form-data")
            // RFC 2046 §5.1.1: at most 70 characters.
            && let Some(boundary) = form::field_param(&mime_type, "boundary").filter(|text| (1..=70).contains(&text.len()))
        {
            params = form::multipart(&bytes, boundary, limits.form_params + 1).0;
        }
        notes.truncated |= params.len() > limits.form_params;
        params.truncate(limits.form_params);
        let bytes = if params.is_empty() { bytes } else { Vec::new() };
        let body = String::from_utf8(bytes)
            .map_or_else(|error| TextOrBytes::Bytes(error.into_bytes()), TextOrBytes::Text);
        Self { mime_type, params: Params(params), body }
    }
}

impl Response {
    fn new(head: Head, version: Span, status: u16, body: Body, notes: &mut Notes, limits: &Limits) -> Self {
        let Head { mut text, fields: headers, cookies, length, .. } = head;
        // Of `Set-Cookie: a=1; Path=/`, the pair before the attributes (RFC 6265 §4.1).
        let pairs = cookies.iter().map(|cookie| {
            let pair = text.get(*cookie).split(';').next().unwrap_or_default();
            split_cookie(&text, *cookie, pair)
        });
        let cookies = pairs.collect();
        let cookies = joined(&mut text, cookies);
        let total = body.total;
        let map = Map { text: &text, rows: &headers };
        let mime_type = map.find("Content-Type").unwrap_or_default();
        let (bytes, decoded) = plain(body, &map, &length, notes, limits);
        let size = if decoded { bytes.len() as u64 } else { total };
        let content = Content { mime_type, size: i64::try_from(size).unwrap_or(i64::MAX), text: bytes };
        let body_size = match length {
            Length::Exactly(len) => i64::try_from(len).unwrap_or(i64::MAX),
            _ => 0,
        };
        text.shrink();
        Self { text, version, status, interim: Interim(Box::default()), headers, cookies, body_size, content }
    }

    /// Its status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn headers(&self) -> Map<'_> {
        Map { text: &self.text, rows: &self.headers }
    }

    pub(super) fn cookies(&self) -> Map<'_> {
        Map { text: &self.text, rows: &self.cookies }
    }

    fn redirect_url(&self) -> &str {
        let location = (self.status / 100 == 3).then(|| self.headers().find("Location")).flatten();
        location.map(|value| self.text.get(value)).unwrap_or_default()
    }
}
