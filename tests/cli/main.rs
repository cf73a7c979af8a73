//! The program as a user meets it: exit codes, messages, forms of input, the same output every time.

mod bad_input;
mod forms;
mod interrupt;
mod live;
mod output;
mod serving;
mod settings;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use support::{
    captures::Case,
    program::{self, Ran},
};

/// The built program.
fn kubeshark() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_kubeshark"))
}

/// Runs it with nothing on standard input.
fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, b"")
}

fn run_with(arguments: &[&str], input: &[u8]) -> Ran {
    program::run(
        Command::new(kubeshark()).args(arguments).env_remove("RUST_LOG"),
        input,
        Duration::from_secs(30),
    )
}

/// Starts `kubeshark dissect INPUT`, for those who talk to it while it runs.
fn start(input: &str, stderr: Stdio) -> Child {
    let mut command = Command::new(kubeshark());
    command.args(["dissect", input]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
    command.spawn().expect("the program")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn capture(name: &str) -> PathBuf {
    Case::named(name).input().expect("a capture")
}

/// Exit code 0, and what was printed.
fn dissected(arguments: &[&str]) -> Vec<u8> {
    let ran = run(&[&["dissect"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    ran.stdout
}
