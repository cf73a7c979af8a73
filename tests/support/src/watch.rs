//! A watcher: a WebSocket client that reads when the test says so.

use std::{
    io,
    net::TcpStream,
    time::{Duration, Instant},
};

use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket,
    client::IntoClientRequest,
    handshake::{HandshakeError, client::Request},
    http::{HeaderName, HeaderValue},
};

/// A connection to `/wsFull`, or one like it.
#[derive(Debug)]
pub struct Watcher(WebSocket<TcpStream>);

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    /// A text.
    Text(String),
    /// The end: code and reason.
    Closed(u16, String),
    /// Nothing, in the time given.
    Nothing,
}

impl Watcher {
    /// Connects to `ws://address/path`.
    pub fn connect(address: &str, path: &str) -> Self {
        Self::connect_with(address, path, &[])
            .unwrap_or_else(|status| panic!("{path}: refused with {status}"))
    }

    /// Connects with more headers; a refusal gives its status.
    pub fn connect_with(address: &str, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request: Request = format!("ws://{address}{path}").into_client_request().expect("an address");
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).expect("a value");
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        match tokio_tungstenite::tungstenite::client::client(request, stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Sends a filter.
    pub fn send(&mut self, query: &str) {
        self.0.send(Message::text(query)).expect("an open connection");
    }

    /// The next text, or the end, within `limit`.
    pub fn next(&mut self, limit: Duration) -> Got {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Got::Nothing;
            }
            self.0.get_ref().set_read_timeout(Some(left)).expect("a socket");
            match self.0.read() {
                Ok(Message::Text(text)) => return Got::Text(text.as_str().to_owned()),
                Ok(Message::Close(frame)) => {
                    let frame = frame.expect("a close with a code");
                    return Got::Closed(frame.code.into(), frame.reason.as_str().to_owned());
                }
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) => return Got::Closed(1006, error.to_string()),
            }
        }
    }

    /// Exactly this many texts, in ten seconds.
    pub fn texts(&mut self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut texts = Vec::new();
        while texts.len() < count {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Got::Text(text) => texts.push(text),
                other => panic!("{} of {count} entries, then {other:?}", texts.len()),
            }
        }
        texts
    }

    /// Exactly this many entries, in ten seconds.
    pub fn entries(&mut self, count: usize) -> Vec<serde_json::Value> {
        self.texts(count).iter().map(|text| serde_json::from_str(text).expect("an entry")).collect()
    }

    /// Nothing comes for a moment.
    pub fn expect_silence(&mut self) {
        assert_eq!(self.next(Duration::from_millis(400)), Got::Nothing);
    }
}

/// A follower of what scripts write.
#[derive(Debug)]
pub struct Console(Watcher);

impl Console {
    /// Follows the console of the hub at this address, from its last lines on.
    pub fn connect(hub: &str) -> Self {
        Self(Watcher::connect(hub, "/api/scripts/logs?tail=1000"))
    }

    /// Waits for a line that is as wanted, and gives it.
    pub fn until(&mut self, what: &str, is_wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut seen = Vec::new();
        loop {
            match self.0.next(deadline.saturating_duration_since(Instant::now())) {
                Got::Text(line) if is_wanted(&line) => return line,
                Got::Text(line) => seen.push(line),
                other => panic!("waited in vain for {what}: {other:?} after {seen:#?}"),
            }
        }
    }

    /// Waits for exactly this line.
    pub fn line(&mut self, line: &str) {
        self.until(line, |seen| seen == line);
    }
}
