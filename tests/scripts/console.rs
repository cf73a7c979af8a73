//! `kubeshark console` and `kubeshark scripts`, as a user has them.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hub::source::SourceConfig;
use serde_json::json;
use support::{
    Scratch,
    program::{self, signal},
};

use crate::{Cluster, kubeshark, text};

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_console_has_lines_on_stdout_and_errors_on_stderr() {
    let cluster = Cluster::start(SourceConfig::default());
    let mut child = Running(
        Command::new(kubeshark())
            .args(["console", "--hub", &cluster.hub()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program"),
    );
    let stdout = BufReader::new(child.0.stdout.take().expect("piped"));
    let stderr = BufReader::new(child.0.stderr.take().expect("piped"));
    let code = "if (utils.nodeName() === 'node-0') { console.log('plain', 1); console.error('wrong'); }";
    cluster.ask("POST", "/api/scripts", &json!({"code": code}));
    let first = |mut lines: std::io::Lines<_>| lines.next().expect("a line").expect("UTF-8");
    assert_eq!(first(stdout.lines()), "[node-0-0] plain 1");
    let mut lines = stderr.lines();
    assert_eq!(lines.next().expect("a line").expect("UTF-8"), "[node-0-0:ERROR] wrong");
    signal(child.0.id(), "INT");
    assert_eq!(child.0.wait().expect("a child").code(), Some(0));
}

#[test]
fn a_folder_is_delivered_by_the_command_line() {
    let cluster = Cluster::start(SourceConfig::default());
    let scratch = Scratch::new();
    scratch.file("one.js", b"// First\nconsole.log('one', env.KEY);");
    scratch.file("two.js", b"// Second\nconsole.log('two');");
    let hub = cluster.hub();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(kubeshark());
        command.arg("scripts").args(arguments).args(["--hub", &hub]);
        program::run(&mut command, b"", Duration::from_secs(30))
    };
    let ran = run(&[text(scratch.path()), "--once", "--env", "KEY=a=b c"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut console = cluster.console();
    console.line("[node-0-0] one a=b c");
    // Once more: the same scripts are not there twice.
    let ran = run(&[text(scratch.path()), "--once"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let titles: Vec<_> =
        cluster.get("/scripts").as_array().expect("a list").iter().map(|one| one["title"].clone()).collect();
    assert_eq!(titles, ["First", "Second"]);
    let listed = String::from_utf8(run(&["list"]).stdout).expect("UTF-8");
    assert!(listed.contains("  0  First\n") && listed.contains("  1  Second\n"), "{listed}");

    scratch.file("three.js", b"function (");
    let ran = run(&[text(scratch.path()), "--once"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("three.js") && ran.stderr.contains("line 1"), "{}", ran.stderr);
    let ran = run(&["list", "--hub", "127.0.0.1:1"]);
    assert!(ran.code != Some(0), "two hubs were named");
}

#[test]
fn without_a_hub_it_says_so() {
    let ran = program::run(
        Command::new(kubeshark()).args(["scripts", "list", "--hub", "127.0.0.1:1"]),
        b"",
        Duration::from_secs(30),
    );
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("no hub answers at 127.0.0.1:1") && ran.stderr.contains("--hub"),
        "{}",
        ran.stderr
    );
    let ran = program::run(Command::new(kubeshark()).arg("scripts"), b"", Duration::from_secs(30));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("Name a folder"), "{}", ran.stderr);
}
