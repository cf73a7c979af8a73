//! The real `wscat`, as users type it, against a running `kubeshark tap`. `KUBESHARK_WSCAT` names it; `make test`
//! installs it.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use support::{
    captures::Case,
    program::{self, Tap},
};

/// Where wscat is, if anywhere.
fn wscat() -> Option<PathBuf> {
    let path = env::var_os("KUBESHARK_WSCAT").map(PathBuf::from).filter(|path| path.is_file());
    if path.is_none() {
        program::missing(
            "wscat: not run (KUBESHARK_WSCAT names no program; `make test` installs one where npm is)",
        );
    }
    path
}

fn tap() -> Tap {
    let demo = Case::named("demo").input().expect("a capture");
    Tap::start(Path::new(env!("CARGO_BIN_EXE_kubeshark")), &["--pcap", demo.to_str().expect("UTF-8")])
}

/// The entries among the lines of a terminal or a pipe: wscat marks what came with `<` on a terminal only.
fn entries(printed: &str) -> Vec<serde_json::Value> {
    let lines = printed.lines().filter_map(|line| line.find("{\"dst\"").map(|start| &line[start..]));
    lines
        .map(|line| {
            // A terminal's colours end a line.
            let end = line.rfind('}').map_or(line.len(), |end| end + 1);
            serde_json::from_str(&line[..end]).unwrap_or_else(|error| panic!("{error}: {line}"))
        })
        .collect()
}

/// wscat with `-x query -w 2`: exit code and what it printed.
fn execute(wscat: &Path, tap: &Tap, query: &str) -> (Option<i32>, String) {
    let mut child = Command::new(wscat)
        .args(["--connect", &format!("ws://{}/api/wsFull", tap.hub), "-x", query, "-w", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("wscat");
    // It ends when its keyboard is gone, whatever -w says.
    let keyboard = child.stdin.take();
    let output = child.wait_with_output().expect("a child");
    drop(keyboard);
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

#[test]
fn without_typing() {
    let Some(wscat) = wscat() else { return };
    let tap = tap();
    for (query, count) in [
        ("response.status > 300", 10),
        ("response.status > 300 and node.name == \"localhost\"", 10),
        ("http and response.status == 500", 2),
        ("dns", 6),
    ] {
        let (code, printed) = execute(&wscat, &tap, query);
        assert_eq!((code, entries(&printed).len()), (Some(0), count), "{query}: {printed}");
    }
}

/// wscat on a terminal of its own, with `typed` entered once it is connected, until `enough` entries came.
fn interactive(wscat: &Path, tap: &Tap, typed: &[u8], enough: usize) -> String {
    // `script` lends it a terminal, wide enough that no line is broken.
    let command =
        format!("stty cols 32000; exec {} --no-color --connect ws://{}/api/wsFull", wscat.display(), tap.hub);
    let mut child = Command::new("script")
        .args(["--quiet", "--flush", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1)");
    let mut keyboard = child.stdin.take().expect("piped");
    let screen = BufReader::new(child.stdout.take().expect("piped"));
    let (sender, lines) = mpsc::sync_channel(1024);
    thread::spawn(move || screen.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut printed = String::new();
    let mut connected = false;
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(10)) {
        printed += &line;
        printed.push('\n');
        if !connected && printed.contains("Connected") {
            connected = true;
            keyboard.write_all(typed).expect("a terminal");
        }
        if entries(&printed).len() >= enough {
            break;
        }
    }
    // CTRL+C, as the prompt says.
    drop(keyboard.write_all(b"\x03"));
    drop(keyboard);
    drop(child.kill());
    drop(child.wait());
    printed
}

#[test]
fn on_a_terminal() {
    let Some(wscat) = wscat() else { return };
    let tap = tap();
    let printed = interactive(&wscat, &tap, b"response.status > 300\r", 10);
    let seen = entries(&printed);
    assert_eq!(seen.len(), 10, "{printed}");
    assert!(seen.iter().all(|entry| entry["response"]["status"].as_i64() > Some(300)));
    assert!(printed.contains("Connected (press CTRL+C to quit)"), "{printed}");
}
