//! The one HTTP client: time limits, attempts, sizes, and which addresses are not for scripts.

use std::{error::Error as StdError, io, path::PathBuf, time::Duration};

use bytes::Bytes;
use reqwest::{
    Certificate, Client, ClientBuilder, Method, Url,
    header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use tokio::io::AsyncReadExt;

use crate::{
    config::{Config, Limits},
    error::{Error, Service},
    guard::{self, Forbidden, Guarded},
    secret::{Secret, scrub},
};

/// More than these, and they go round in circles.
const MAX_REDIRECTS: usize = 5;
/// A file is read in pieces of this size, in bytes.
const PIECE: usize = 64 << 10;

/// The client. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    guarded: bool,
}

/// A request that can be sent more than once.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) service: Service,
    /// What errors call its destination.
    pub(crate) target: String,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// What no error may show.
    pub(crate) secrets: Vec<Secret>,
    /// Whether to send it twice is the same as to send it once. The methods of which HTTP says so are.
    pub(crate) repeatable: bool,
    /// A client for this destination alone, whose certificate is pinned.
    pub(crate) client: Option<Client>,
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum Body {
    Bytes(Bytes),
    /// The first `len` bytes of a file, which may grow meanwhile.
    File {
        path: PathBuf,
        len: u64,
    },
}

/// What came back, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// At most `Limits::response_bytes`.
    pub(crate) body: Vec<u8>,
    /// How many attempts it took.
    pub(crate) attempts: u32,
}

/// Why an attempt gave no answer.
enum Failed {
    Forbidden,
    TimedOut,
    /// `sent`: the service may have seen the request.
    Network {
        cause: String,
        sent: bool,
    },
    File(PathBuf, io::Error),
}

/// What an answer says was wrong: code and message of an XML document, else all of it.
fn reason(body: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {}", message.lines().next().unwrap_or_default()),
        (Some(code), None) => code.to_owned(),
        _ => body.to_owned(),
    }
}

/// A URL that a user gave. The text itself may be a secret and is not repeated.
pub(crate) fn parse_url(service: Service, text: &str, what: &str) -> Result<Url, Error> {
    let url =
        Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| {
        let wrong = if text.trim().is_empty() { "is empty" } else { "is not a URL" };
        Error::invalid(service, format!("{what} {wrong}: give one that begins with http:// or https://"))
    })
}

/// Writes all but letters, digits, `-._~` and what `keep` names as a URL has it (RFC 3986 section 2).
pub(crate) fn encode(text: &str, keep: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || keep.contains(c) {
            encoded.push(c);
        } else {
            encoded.extend(["%", &format!("{byte:02X}")]);
        }
    }
    encoded
}

/// `scheme://host:port`, and `/…` for the rest, which may be secret.
fn shown(url: &Url) -> String {
    let rest = if url.path().len() > 1 || url.query().is_some() { "/…" } else { "" };
    format!("{}{rest}", url.origin().ascii_serialization())
}

/// A user's URL without what may be secret in it: `https://hooks.slack.com/…`.
pub fn shown_url(text: &str) -> String {
    Url::parse(text.trim()).map_or_else(|_| "…".to_owned(), |url| shown(&url))
}

/// The parts of a URL that may be secrets.
fn secrets_of(url: &Url) -> Vec<Secret> {
    let mut parts = Vec::new();
    if let Some(password) = url.password() {
        // Both together are what is sent, in base64.
        parts.extend([password.to_owned(), format!("{}:{password}", url.username())]);
    }
    parts.extend(url.path_segments().into_iter().flatten().filter(|part| part.len() >= 8).map(str::to_owned));
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()).filter(|value| value.len() >= 8));
    parts.into_iter().map(Secret::new).collect()
}

impl Request {
    pub(crate) fn new(service: Service, method: Method, url: Url) -> Self {
        Self {
            service,
            target: shown(&url),
            repeatable: method.is_idempotent(),
            method,
            headers: HeaderMap::new(),
            body: Body::Bytes(Bytes::new()),
            secrets: secrets_of(&url),
            url,
            client: None,
        }
    }

    /// Adds a header. The value is not repeated in the error.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let bad = || {
            Error::invalid(
                self.service,
                format!(
                    "the header {name:?} can't be sent: its name or value has a character that HTTP does not allow"
                ),
            )
        };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let value = HeaderValue::from_str(value).map_err(|_| bad())?;
        self.headers.insert(key, value);
        Ok(self)
    }

    /// Adds a header that is secret, of which `secret` is the part that errors must not show.
    pub(crate) fn credentials(self, name: &str, value: &str, secret: &Secret) -> Result<Self, Error> {
        let mut request = self.header(name, value)?;
        request.secrets.push(secret.clone());
        for value in request.headers.values_mut().filter(|held| held.as_bytes() == value.as_bytes()) {
            value.set_sensitive(true);
        }
        Ok(request)
    }

    pub(crate) fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Body::Bytes(bytes.into());
        self
    }

    pub(crate) fn json(self, value: &impl serde::Serialize) -> Result<Self, Error> {
        let bytes =
            serde_json::to_vec(value).map_err(|error| Error::invalid(self.service, error.to_string()))?;
        Ok(self.header("content-type", "application/json")?.body(bytes))
    }

    fn len(&self) -> u64 {
        match &self.body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File { len, .. } => *len,
        }
    }

    /// The answer, if the service did what it was asked.
    pub(crate) fn accept(&self, answer: Answer) -> Result<Answer, Error> {
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let said = scrub(&reason(&answer.text()), &self.secrets);
        Err(Error::refused(self.service, &self.target, answer.status, &said, answer.attempts))
    }
}

impl Answer {
    /// Its body as text, with what is no UTF-8 replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What every client of ours has in common.
pub(crate) fn builder(limits: &Limits, guarded: bool) -> ClientBuilder {
    let policy = redirect::Policy::custom(move |attempt| {
        if guarded && guard::permit_url(attempt.url()).is_err() {
            return attempt.error(Forbidden);
        }
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error(format!("it redirects more than {MAX_REDIRECTS} times"));
        }
        attempt.follow()
    });
    let builder = Client::builder()
        .user_agent(concat!("kubeshark/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect)
        .redirect(policy);
    if guarded { builder.dns_resolver(Guarded) } else { builder }
}

impl Http {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let guarded = !config.allow_metadata_address;
        let mut builder = builder(&config.limits, guarded);
        if let Some(pem) = &config.ca_pem {
            let wrong = || {
                Error::invalid(Service::Webhook, "the certificates to trust can't be read: give them in PEM")
            };
            let own = Certificate::from_pem_bundle(pem).map_err(|_| wrong())?;
            if own.is_empty() {
                return Err(wrong());
            }
            builder = builder.tls_certs_merge(own);
        }
        let client = builder.build().map_err(|error| {
            let cause = root(&error);
            let what =
                format!("no HTTPS here: {cause}. Does this machine have certificates (ca-certificates)?");
            Error::invalid(Service::Webhook, what)
        })?;
        Ok(Self { client, guarded })
    }

    /// Refuses URLs that name a forbidden address outright.
    fn permit(&self, request: &Request) -> Result<(), Error> {
        if self.guarded && guard::permit_url(&request.url).is_err() {
            return Err(Error::MetadataAddress { service: request.service, target: request.target.clone() });
        }
        Ok(())
    }

    /// Sends until there is an answer that another attempt would not better.
    ///
    /// A connection that was not made, and an answer of 429 or 5xx, are tried again whatever the request is: it was not
    /// done. A connection that was lost, or was too slow, is tried again if the request is repeatable.
    pub(crate) async fn send(&self, request: &Request, limits: &Limits) -> Result<Answer, Error> {
        self.permit(request)?;
        if matches!(&request.body, Body::Bytes(bytes) if bytes.len() > limits.request_bytes) {
            let what = format!("{} bytes are too many: the limit is {}", request.len(), limits.request_bytes);
            return Err(Error::invalid(request.service, what));
        }
        let mut attempts = 1;
        loop {
            let result = self.attempt(request, limits).await;
            let mut pause = limits.pause(attempts + 1);
            let again = match &result {
                Ok(answer) if matches!(answer.status, 429 | 500 | 502..=504) => {
                    pause = pause.max(asked_pause(&answer.headers)).min(limits.backoff_max);
                    true
                }
                Err(Failed::Network { sent, .. }) => !sent || request.repeatable,
                Err(Failed::TimedOut) => request.repeatable,
                _ => false,
            };
            if !again || attempts >= limits.attempts {
                return finish(request, result, attempts, limits);
            }
            attempts += 1;
            tracing::debug!(service = %request.service, target = %request.target, attempts, "Trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, request: &Request, limits: &Limits) -> Result<Answer, Failed> {
        let client = request.client.as_ref().unwrap_or(&self.client);
        let mut sending = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .timeout(limits.transfer(request.len()));
        match &request.body {
            Body::Bytes(bytes) if bytes.is_empty() && request.method.is_safe() => {}
            // Left out, some servers ask for it (RFC 9110 section 8.6).
            Body::Bytes(bytes) if bytes.is_empty() => sending = sending.header(CONTENT_LENGTH, 0),
            Body::Bytes(bytes) => sending = sending.body(bytes.clone()),
            Body::File { path, len } => {
                let opened = tokio::fs::File::open(path).await;
                let file = opened.map_err(|error| Failed::File(path.clone(), error))?;
                sending = sending.header(CONTENT_LENGTH, *len).body(stream(file, *len));
            }
        }
        let mut response = sending.send().await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut read = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| failed(&error))? {
            let room = limits.response_bytes.saturating_sub(read.len());
            read.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
            if read.len() >= limits.response_bytes {
                break;
            }
        }
        Ok(Answer { status, headers, body: read, attempts: 1 })
    }
}

/// Names what is left when no attempt is.
fn finish(
    request: &Request,
    result: Result<Answer, Failed>,
    attempts: u32,
    limits: &Limits,
) -> Result<Answer, Error> {
    let (service, target) = (request.service, request.target.clone());
    Err(match result {
        Ok(answer) => return Ok(Answer { attempts, ..answer }),
        Err(Failed::Forbidden) => Error::MetadataAddress { service, target },
        Err(Failed::TimedOut) => {
            Error::TimedOut { service, target, after: limits.transfer(request.len()), attempts }
        }
        Err(Failed::Network { cause, .. }) => {
            Error::Unreachable { service, target, cause: scrub(&cause, &request.secrets), attempts }
        }
        Err(Failed::File(path, source)) => Error::File { service, path, source },
    })
}

fn failed(error: &reqwest::Error) -> Failed {
    if guard::caused(error) {
        return Failed::Forbidden;
    }
    if error.is_timeout() && !error.is_connect() {
        return Failed::TimedOut;
    }
    Failed::Network { cause: root(error), sent: !error.is_connect() }
}

/// The innermost cause, which says what the network did; those around it say where, as far as the secret in the URL.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.is::<reqwest::Error>() { "the connection failed".to_owned() } else { cause.to_string() }
}

/// How long the service wants to be left alone, if it says so in seconds.
fn asked_pause(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

/// The first `len` bytes of a file. A file that has become shorter breaks the request off.
fn stream(file: tokio::fs::File, len: u64) -> reqwest::Body {
    let pieces = futures_util::stream::unfold((file, len), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        match file.read(&mut piece).await {
            Ok(0) => Some((Err(io::ErrorKind::UnexpectedEof.into()), (file, 0))),
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(Bytes::from(piece)), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    });
    reqwest::Body::wrap_stream(pieces)
}

/// What a file holds, by its name.
pub(crate) fn content_type(path: &std::path::Path) -> &'static str {
    match path.extension().and_then(|kind| kind.to_str()).unwrap_or_default() {
        "pcap" => "application/vnd.tcpdump.pcap",
        "json" | "har" => "application/json",
        "gz" | "tgz" => "application/gzip",
        "txt" | "log" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The size of a file that is to be sent.
pub(crate) async fn file_len(service: Service, path: &std::path::Path) -> Result<u64, Error> {
    let cause = |source| Error::File { service, path: path.to_owned(), source };
    let found = tokio::fs::metadata(path).await.map_err(cause)?;
    if found.is_dir() {
        return Err(cause(io::ErrorKind::IsADirectory.into()));
    }
    Ok(found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_what_may_be_secret() {
        for (url, expected) in [
            ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/…"),
            ("http://user:word@host:8086", "http://host:8086"),
            ("http://host/?token=abc", "http://host/…"),
        ] {
            assert_eq!(shown(&Url::parse(url).unwrap()), expected);
        }
    }

    #[test]
    fn what_is_no_url_is_not_repeated() {
        for text in ["", "hunter2", "ftp://hunter2/", "unix:hunter2", "http://", "//hunter2"] {
            let error = parse_url(Service::Webhook, text, "url").unwrap_err().to_string();
            assert!(error.starts_with("webhook: url is ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn reasons() {
        let xml = "<?xml version=\"1.0\"?><Error><Code>NotFound</Code><Message>No such\nRequestId:1</Message></Error>";
        assert_eq!(reason(xml), "NotFound: No such");
        assert_eq!(reason("<Error><Code>NotFound</Code></Error>"), "NotFound");
        assert_eq!(reason("{\"code\":1}"), "{\"code\":1}");
    }

    #[test]
    fn encoding() {
        assert_eq!(encode("a b/ü", "/"), "a%20b/%C3%BC");
        assert_eq!(encode("a/b+c", ""), "a%2Fb%2Bc");
    }
}
