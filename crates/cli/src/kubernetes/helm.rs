//! `helm`, the program, which renders and installs the chart.

use std::{
    io::{self, Write},
    process::{Command, Output, Stdio},
};

use super::chart::Unpacked;
use crate::{exit::Failure, settings::Settings};

/// The release's name.
const RELEASE: &str = "kubeshark";

const MISSING: &str = "\
helm is not in the PATH; it installs Kubeshark's chart. Get it from your distribution or from helm.sh, and try again.
Where it must not be, let somebody else install the chart, and use `kubeshark proxy`.";

/// Installs the chart with these settings, or brings a release that is there to them.
pub(crate) fn install(settings: &Settings) -> Result<(), Failure> {
    let chart =
        Unpacked::new().map_err(|error| Failure::Failed(format!("cannot unpack the chart: {error}")))?;
    let mut command = command(settings);
    // They may hold secrets, so they are no file.
    command.args(["upgrade", "--install", RELEASE]).arg(chart.path()).args(["--values", "-"]);
    run(command, settings.values().to_string().as_bytes()).map(drop)
}

/// Removes the release; says whether there was one.
pub(crate) fn uninstall(settings: &Settings) -> Result<bool, Failure> {
    let mut command = command(settings);
    command.args(["uninstall", RELEASE, "--wait"]);
    match run(command, b"") {
        Ok(_) => Ok(true),
        Err(failure) if failure.why().contains("not found") => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Its version.
pub(crate) fn version() -> Result<String, Failure> {
    let mut command = Command::new("helm");
    command.args(["version", "--short"]);
    run(command, b"").map(|said| said.trim().to_owned())
}

fn command(settings: &Settings) -> Command {
    let mut command = Command::new("helm");
    command.args(["--namespace", settings.namespace()]);
    for (flag, path) in [("--kubeconfig", "kube.configPath"), ("--kube-context", "kube.context")] {
        if let Some(value) = settings.text(path) {
            command.args([flag, value]);
        }
    }
    command
}

/// What it printed.
fn run(mut command: Command, input: &[u8]) -> Result<String, Failure> {
    let output = answer(&mut command, input).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Failed(MISSING.into()),
        _ => Failure::Failed(format!("cannot run helm: {error}")),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Failed(format!("helm: {}", why.trim().trim_start_matches("Error: "))))
}

fn answer(command: &mut Command, input: &[u8]) -> io::Result<Output> {
    let mut helm = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let wrote = helm.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
    let output = helm.wait_with_output()?;
    // One that gave up early says why itself.
    if output.status.success() {
        wrote?;
    }
    Ok(output)
}
