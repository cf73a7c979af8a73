//! `kubeshark scripts test`: scripts over a capture, in the capture's own time.

use std::{
    env, fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
    sync::mpsc,
    thread,
};

use api::Node;
use hub::source::{Change, Sources};
use outlets::Outlets;
use scripting::{
    About, Outcome as Rehearsed, Rehearsal, Stage,
    wire::{Line, LineKind},
};
use serde_json::json;
use worker::{Backstage, Limits, Seen};

use crate::{
    capturing,
    commands::console,
    exit::{Failure, Outcome},
    scripts::{Env, Reach},
};

const EXAMPLES: &str = "\
Examples:
  kubeshark scripts test alert.js --pcap traffic.pcap --env SLACK_WEBHOOK=https://hooks.slack.com/…
  kubeshark scripts test *.js --pcap monday.pcapng --after 300 | grep '^{\"call\"'

Time is that of the capture: jobs and timers fire when its packets have come so far. What scripts write to their console
is printed as it comes; then, as JSON, a line for each call to another service ({\"call\"}), which is not made unless --live
is given, for each job ({\"job\"}), and for what `prometheus.*` counted ({\"metrics\"}).

It exits with 1 if a script was not loaded, or a hook, a job or a timer threw or had to be stopped; what `test.fail` says
is counted, and no failure. It exits with 2 if the command line makes no sense.";

/// Bytes that scripts may write to disk.
const SCRIPT_BYTES: u64 = 4 << 30;

/// Events that are read ahead of the scripts.
const AHEAD: usize = 1024;

const SECOND: i64 = 1_000_000_000;

/// Try scripts over a capture, before they meet production
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Scripts, in the order in which they see what happens
    #[arg(required = true, value_name = "SCRIPT")]
    scripts: Vec<PathBuf>,
    /// The capture: pcap or pcapng, plain or compressed by gzip or zstd; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pcap: PathBuf,
    #[command(flatten)]
    env: Env,
    #[command(flatten)]
    reach: Reach,
    /// Make calls to other services, instead of noting them only
    #[arg(long)]
    live: bool,
    /// How long time goes on after the last packet, in seconds, so that jobs can say what they have gathered
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    after: u32,
    /// Where files of scripts are kept [default: a directory that is removed at the end]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let outlets = args.reach.outlets()?;
    let mut codes = Vec::new();
    for path in &args.scripts {
        codes.push(fs::read_to_string(path).map_err(|error| {
            Failure::Failed(format!("cannot read the script {}: {error}", path.display()))
        })?);
    }
    let (_, changes) = Sources::open(args.env.source(Vec::new())).map_err(|error| Failure::of(&error))?;
    let variables = changes.into_iter().find_map(|change| match change {
        Change::Env(env) => Some(env),
        _ => None,
    });
    let directory = Directory::new(args.data_dir.clone())
        .map_err(|error| Failure::Failed(format!("there is no place for the scripts' files: {error}")))?;
    let backstage = Backstage::open(&directory.path, SCRIPT_BYTES).map_err(|error| Failure::of(&error))?;
    let rehearsed =
        rehearse(args, &codes, variables.unwrap_or_default(), &directory.path, &backstage, outlets);
    backstage.close();
    report(args, &rehearsed?)
}

/// Lets the scripts see the capture.
fn rehearse(
    args: &Args,
    codes: &[String],
    variables: api::messages::Env,
    directory: &Path,
    backstage: &Backstage,
    outlets: Outlets,
) -> Result<Rehearsed, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::of(&error))?;
    let node = Node { ip: "127.0.0.1".into(), name: "localhost".into(), worker: "127.0.0.1:30001".into() };
    let about = About {
        node: node.name.to_string(),
        ip: node.ip.to_string(),
        run_id: 0,
        data_dir: directory.to_owned(),
    };
    let (events, seen) = mpsc::sync_channel(AHEAD);
    let input = capturing::input(args.pcap.clone());
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let events = events;
            // Nobody takes events any longer when the rehearsal could not begin.
            worker::replay(input, &Limits::default(), node, backstage, &mut |event| {
                events.send(event).is_ok()
            })
        });
        // Time begins with the first packet. Where none comes, the reason is told before anything runs.
        let first = seen.recv().ok();
        let Some(start) = first.as_ref().map(at) else {
            finished(reading)?;
            let name = args.pcap.display();
            return Err(Failure::Failed(format!(
                "{name} holds no packets: there is nothing to try scripts on"
            )));
        };
        let stage = Stage {
            about,
            options: scripting::Options::default(),
            host: backstage.host(),
            outlets,
            is_live: args.live,
            runtime: runtime.handle().clone(),
            start,
        };
        let after = i64::from(args.after) * SECOND;
        let played = scripting::rehearse(stage, print, move |rehearsal| {
            rehearsal.set_env(variables);
            for (index, code) in codes.iter().enumerate() {
                rehearsal.load(index as u32, code);
            }
            let mut last = start;
            for event in first.into_iter().chain(seen) {
                last = last.max(at(&event));
                play(rehearsal, event, last);
            }
            rehearsal.advance(last.saturating_add(after));
            rehearsal.outcome()
        });
        let read = finished(reading);
        let played = played.map_err(Failure::Failed)?;
        read?;
        Ok(played)
    })
}

/// Waits until the capture is read; tells why it could not be.
fn finished(reading: thread::ScopedJoinHandle<'_, Result<(), worker::CaptureError>>) -> Result<(), Failure> {
    let read = reading.join().map_err(|_| Failure::Failed("the capture could not be read".into()))?;
    read.map_err(|error| capturing::failure(&error))
}

/// When an event happens, in nanoseconds since the Unix epoch; an entry comes with the packet before it.
fn at(event: &Seen) -> i64 {
    match event {
        Seen::Packet(info) => info.at,
        Seen::Entry(_) => i64::MIN,
    }
}

fn play(rehearsal: &mut Rehearsal, event: Seen, now: i64) {
    match event {
        Seen::Packet(info) => rehearsal.packet(info),
        Seen::Entry(entry) if entry.request.is_some() && entry.response.is_some() => {
            let mut json = Vec::new();
            api::write_full(&mut json, &api::View::whole(&entry));
            rehearsal.entry(&json, now);
            // Nobody watches; what the script would show is part of what is tried.
            drop(rehearsal.queried(&json));
        }
        Seen::Entry(_) => {}
    }
}

/// Console lines, as a hub would show them.
#[expect(clippy::needless_pass_by_value, reason = "it is what a console is")]
fn print(line: Line) {
    if line.kind != LineKind::Clear {
        // Who has seen enough closes our output; the rehearsal goes on for its exit code.
        drop(console::print(&line.to_string()));
    }
}

/// What is left to tell at the end.
fn report(args: &Args, rehearsed: &Rehearsed) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    for call in &rehearsed.outgoing {
        let call = json!({ "call": { "helper": call.helper, "script": call.script, "what": call.what } });
        writeln!(out, "{call}")?;
    }
    for job in &rehearsed.jobs {
        let job = json!({ "job": {
            "cron": job.cron, "failed": job.failed, "limit": job.limit, "runs": job.runs,
            "script": job.script, "status": job.status, "tag": job.tag,
        }});
        writeln!(out, "{job}")?;
    }
    if !rehearsed.metrics.is_empty() {
        writeln!(out, "{}", json!({ "metrics": rehearsed.metrics }))?;
    }
    out.flush()?;
    let name = |index: u32| {
        args.scripts.get(index as usize).map_or_else(String::new, |path| path.display().to_string())
    };
    let mut err = io::stderr().lock();
    for (index, why) in &rehearsed.refused {
        writeln!(err, "{}: not loaded: {why}", name(*index))?;
    }
    for (index, why) in &rehearsed.strikes {
        writeln!(err, "{}: stopped: {why}", name(*index))?;
    }
    let (mut calls, mut errors) = (0, 0);
    for script in &rehearsed.scripts {
        calls += script.calls;
        errors += script.errors;
        if script.errors > 0 {
            writeln!(err, "{}: {} of {} calls threw", name(script.index), script.errors, script.calls)?;
        }
    }
    let runs: u64 = rehearsed.jobs.iter().map(|job| job.runs).sum();
    writeln!(
        err,
        "{calls} calls, {errors} threw · {runs} runs of {} jobs · {} calls to other services · test.pass {} · test.fail {}",
        rehearsed.jobs.len(),
        rehearsed.outgoing.len() as u64 + rehearsed.outgoing_dropped,
        rehearsed.passed,
        rehearsed.failed,
    )?;
    let failed_runs = rehearsed.jobs.iter().any(|job| job.failed > 0);
    if errors > 0 || failed_runs || !rehearsed.refused.is_empty() || !rehearsed.strikes.is_empty() {
        return Err(Failure::Told);
    }
    Ok(())
}

/// Where scripts keep files; removed with its value unless the user named it.
struct Directory {
    path: PathBuf,
    is_ours: bool,
}

impl Directory {
    fn new(named: Option<PathBuf>) -> io::Result<Self> {
        let is_ours = named.is_none();
        let path = named
            .unwrap_or_else(|| env::temp_dir().join(format!("kubeshark-scripts-test-{}", process::id())));
        fs::create_dir_all(&path)?;
        Ok(Self { path, is_ours })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.is_ours {
            // It lies among temporary files.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}
