//! Parses a script in a process of its own: one that is nested deeply enough ends the parser's process.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest message, in bytes.
const MESSAGE: u64 = 4096;

/// What is wrong with a script, in words for a person. `program` is ours, and knows `script-host --check`.
pub(super) fn check(program: &Path, code: &str) -> Result<(), String> {
    match run(program, code) {
        Ok(Ended::Well) => Ok(()),
        Ok(Ended::With(message)) => Err(message),
        Ok(Ended::Badly) => Err("it is nested too deeply, or too large, to be parsed".to_owned()),
        Err(error) => Err(format!("{} cannot parse it: {error}", program.display())),
    }
}

enum Ended {
    Well,
    With(String),
    Badly,
}

fn run(program: &Path, code: &str) -> io::Result<Ended> {
    let mut child = Command::new(program)
        .args(["script-host", "--check"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let code = code.to_owned();
    let writing = thread::spawn(move || {
        // A parser that ended early does not read it all.
        stdin.map(|mut stdin| stdin.write_all(code.as_bytes()).is_ok())
    });
    let reading = thread::spawn(move || {
        let mut message = String::new();
        stdout.map(|stdout| stdout.take(MESSAGE).read_to_string(&mut message)).transpose().map(|_| message)
    });
    let status = wait(&mut child);
    drop(writing.join());
    let message = reading.join().map_err(|_| io::Error::other("its answer was not read"))?;
    Ok(match status?.and_then(|status| status.code()) {
        Some(0) => Ended::Well,
        Some(1) => Ended::With(message?.trim().to_owned()),
        _ => Ended::Badly,
    })
}

/// Waits for its end, and kills it when that does not come.
fn wait(child: &mut Child) -> io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
