//! An HTTP server that keeps what it is sent, and answers as the test says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// One request.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// What the receiver does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, headers, body.
    Of(u16, Vec<(String, String)>, String),
    /// Nothing, for as long as the client waits.
    Silence,
    /// Ends the connection.
    Cut,
}

impl Answer {
    /// A status and a body.
    pub fn new(status: u16, body: &str) -> Self {
        Self::Of(status, Vec::new(), body.to_owned())
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Of(status, vec![("Location".to_owned(), location.to_owned())], String::new())
    }
}

type Kept = Arc<(Mutex<Vec<Received>>, Condvar)>;

/// The server; it ends with its value.
#[derive(Debug)]
pub struct Receiver {
    address: String,
    kept: Kept,
    ended: Arc<AtomicBool>,
}

impl Receiver {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a socket").to_string();
        let (kept, ended) = (Kept::default(), Arc::new(AtomicBool::new(false)));
        let answer = Arc::new(answer);
        let (all, end) = (kept.clone(), ended.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let (answer, kept) = (answer.clone(), all.clone());
                // A client that goes away is what some tests are about.
                thread::spawn(move || drop(serve(stream, &*answer, &kept)));
            }
        });
        Self { address, kept, ended }
    }

    /// One that answers `200 ok`.
    pub fn ok() -> Self {
        Self::start(|_| Answer::new(200, "ok"))
    }

    /// `127.0.0.1:40123`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:40123/path`; `path` begins with a slash or is empty.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.kept.0.lock().expect("no panic").clone()
    }

    /// Waits until so many have come.
    pub fn wait(&self, count: usize, limit: Duration) -> Vec<Received> {
        let deadline = Instant::now() + limit;
        let mut kept = self.kept.0.lock().expect("no panic");
        while kept.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} requests after {limit:?}", kept.len());
            kept = self.kept.1.wait_timeout(kept, left).expect("no panic").0;
        }
        kept.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(&self.address));
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Received) -> Answer, kept: &Kept) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let Some(request) = read(&mut reader, &mut stream)? else { return Ok(()) };
    let answer = answer(&request);
    kept.0.lock().expect("no panic").push(request);
    kept.1.notify_all();
    match answer {
        Answer::Of(status, headers, body) => {
            let mut head =
                format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
            for (name, value) in headers {
                head.extend([&*name, ": ", &value, "\r\n"]);
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes())
        }
        // Until the client gives up.
        Answer::Silence => std::io::copy(&mut reader, &mut std::io::sink()).map(drop),
        Answer::Cut => Ok(()),
    }
}

/// A request; `None` when the connection ends before one.
fn read(reader: &mut impl BufRead, stream: &mut impl Write) -> std::io::Result<Option<Received>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Received { method, path, headers, body: Vec::new() };
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request.header("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            request.body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else if let Some(size) = request.header("content-length").and_then(|value| value.parse().ok()) {
        request.body.resize(size, 0);
        reader.read_exact(&mut request.body)?;
    }
    Ok(Some(request))
}

/// Sends a request and gives the answer's status and body.
pub fn exchange(
    method: &str,
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, Vec<u8>) {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head += "\r\n";
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    (&stream).write_all(&[head.as_bytes(), body].concat()).expect("a connection");
    let mut reader = BufReader::new(&stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("an answer");
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.to_ascii_lowercase());
    }
    let status = lines.first().and_then(|line| line.split(' ').nth(1)?.trim().parse().ok());
    let status = status.unwrap_or_else(|| panic!("{method} {path}: no answer but {lines:?}"));
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).expect("an answer");
    if lines.iter().any(|line| line.starts_with("transfer-encoding")) {
        answer = unchunk(&answer);
    }
    (status, answer)
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}
