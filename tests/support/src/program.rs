//! Programs, run and waited for.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said.
    pub stderr: String,
}

/// Runs to the end, with `input` on its standard input; killed, and a failure, after `limit`.
pub fn run(command: &mut Command, input: &[u8], limit: Duration) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // A program may end without reading it all.
    thread::spawn(move || drop(stdin.write_all(&input)));
    let id = child.id();
    let waiting = thread::spawn(move || child.wait_with_output());
    let deadline = Instant::now() + limit;
    while !waiting.is_finished() {
        if Instant::now() > deadline {
            signal(id, "KILL");
            panic!("{command:?} still ran after {limit:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let Output { status, stdout, stderr } = waiting.join().expect("no panic").expect("a child");
    Ran { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

/// Sends a signal to a process that the caller started.
pub fn signal(id: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), id.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name} {id}");
}

/// `kubeshark tap`, or another command that serves and says so in the same way.
#[derive(Debug)]
pub struct Tap {
    child: Child,
    /// Where it serves: `127.0.0.1:40123`.
    pub hub: String,
    /// What it printed before it served.
    pub greeting: String,
}

impl Tap {
    /// Starts `kubeshark tap` on free ports and waits until it says where it serves.
    pub fn start(program: &Path, arguments: &[&str]) -> Self {
        // Not in the home of whoever tests.
        Self::start_in(program, arguments, &std::env::temp_dir().join("kubeshark-test-state"))
    }

    /// The same, with what outlives it kept in `state`.
    pub fn start_in(program: &Path, arguments: &[&str], state: &Path) -> Self {
        let listen = ["--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0"];
        Self::start_as(
            Command::new(program).arg("tap").args(listen).args(arguments).env("XDG_STATE_HOME", state),
        )
    }

    /// Starts what `command` says, and waits likewise.
    pub fn start_as(command: &mut Command) -> Self {
        Self::begin(command.stdin(Stdio::null()))
    }

    /// The same, with a standard input that begins with `head`, before which nothing is served: a capture's.
    pub fn start_fed(command: &mut Command, head: &[u8]) -> (Self, ChildStdin) {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(head).and_then(|()| input.flush()).expect("a reader");
        (Self::greeted(child), input)
    }

    fn begin(command: &mut Command) -> Self {
        Self::greeted(command.stdout(Stdio::piped()).spawn().expect("the program"))
    }

    fn greeted(mut child: Child) -> Self {
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut greeting = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            greeting += &line;
            greeting.push('\n');
            if line.starts_with("Press CTRL+C") {
                break;
            }
        }
        // What it may print later must find a reader.
        thread::spawn(move || lines.for_each(drop));
        let hub = greeting
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .map(str::to_owned);
        let hub = hub.unwrap_or_else(|| panic!("no address in what tap printed: {greeting:?}"));
        Self { child, hub, greeting }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends CTRL+C and waits.
    pub fn interrupt(self) -> ExitStatus {
        self.end("INT")
    }

    /// Sends a signal and waits.
    pub fn end(mut self, name: &str) -> ExitStatus {
        signal(self.child.id(), name);
        self.child.wait().expect("a child")
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The answer to `GET path`: status and body. Speaks HTTP/1.1 by itself, so that tests can send any header.
pub fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    exchange(address, "GET", path, headers, "")
}

/// The answer to a request with a body.
pub fn ask(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    exchange(address, method, path, &[("Content-Length", &body.len().to_string())], body)
}

fn exchange(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.extend(["Host: ", address, "\r\n"]);
    }
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.extend(["\r\n", body]);
    let mut stream =
        std::net::TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    stream.write_all(request.as_bytes()).expect("a connection");
    let mut answer = Vec::new();
    // A connection that is reset after the answer still gave it.
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{method} {path}: no answer but {answer:?}"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (status, body.to_owned())
}

/// Whether these programs are there; if not, `part` is told to be [`missing`].
///
/// # Panics
///
/// With `KUBESHARK_TEST_STRICT=1`, where one is absent.
pub fn installed(part: &str, programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).chain(["/usr/sbin".into()]).collect();
    let is_there = |program: &&str| folders.iter().any(|folder| folder.join(program).is_file());
    let absent: Vec<_> = programs.iter().filter(|program| !is_there(program)).copied().collect();
    if !absent.is_empty() {
        missing(&format!("{part}: not run, no {} (hack/setup.sh test)", absent.join(", ")));
    }
    absent.is_empty()
}

/// Tells whoever ran the tests that a part of them could not run here: at the end of `make test`, else at once.
pub fn note(text: &str) {
    use std::{fs::OpenOptions, io};
    let written = std::env::var_os("KUBESHARK_TEST_NOTES").and_then(|path| {
        let mut notes = OpenOptions::new().append(true).create(true).open(path).ok()?;
        writeln!(notes, "{text}").ok()
    });
    if written.is_none() {
        // Not `eprintln!`, which the test harness would keep to itself.
        drop(writeln!(io::stderr(), "{text}"));
    }
}

/// The same for a part that has to run wherever a change is accepted, which is each that needs nothing but programs and
/// rights: with `KUBESHARK_TEST_STRICT=1` it is a failure.
///
/// # Panics
///
/// With `KUBESHARK_TEST_STRICT=1`.
pub fn missing(text: &str) {
    let strict = std::env::var_os("KUBESHARK_TEST_STRICT").is_some_and(|value| value == "1");
    assert!(!strict, "{text}");
    note(text);
}

/// Whether this process has `CAP_NET_RAW` (bit 13 of capabilities(7)).
pub fn may_capture() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << 13) != 0)
}
