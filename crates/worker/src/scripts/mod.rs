//! Scripts on this node: what a hub says is run by a script host, a process of its own, which is fed with entries and
//! packets and may die; capture may not.
//!
//! ```text
//!   hub ══ Scripts, Jobs ══▶ link ─▶ Scripts ─▶ Feeder ══pipe══▶ script host
//!   hub ◀═ Console, Jobs … ═ link ◀─ outbox ◀──────────────────┘
//! ```
//! Nothing runs while there is no script, and a hook that no script defines is not fed.

mod host;
mod outbox;
pub(crate) mod packets;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use api::{
    Entry,
    messages::{ConsoleLine, Env, JobCommand, LineKind, Script, ScriptPhase, ScriptState},
};
use futures_util::future::join_all;
use scripting::{
    About, Feeder, Hook, Launch, Options, ScriptStats, Stats,
    wire::{JobRequest, Line, LineKind as WireKind},
};
use serde_json::Value;
use tokio::{sync::mpsc, time};
use tracing::{info, warn};

pub(crate) use self::{
    host::WorkerHost,
    outbox::{Outbox, Place},
};
use crate::{NameHistory, Packets, batch::Batch, lock};

/// How often it is looked how the scripts fare.
const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// How often jobs are asked for.
const JOBS_PERIOD: Duration = Duration::from_secs(1);

/// Most commands about jobs that wait.
const MAX_COMMANDS: usize = 64;

/// How long a source that can wait does so for scripts that cannot keep up, before events are dropped after all.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is counted of a script.
type Count = fn(&ScriptStats) -> u64;

/// The scripts of this worker.
pub(crate) struct Scripts {
    feeder: Option<Feeder>,
    outbox: Arc<Outbox>,
    present: Mutex<Present>,
    commands: mpsc::Sender<JobRequest>,
    /// Bytes that may wait for the script host.
    queue_bytes: usize,
    /// The worker ends: nobody waits any longer.
    over: Arc<AtomicBool>,
}

/// What the hub said last.
#[derive(Default)]
struct Present {
    /// It has said something.
    told: bool,
    scripts: BTreeMap<u32, String>,
    env: Env,
}

/// What scripts need of the worker.
pub(crate) struct Surroundings {
    /// Our own program, which knows `script-host`; without it no script runs.
    pub(crate) launch: Option<Launch>,
    pub(crate) about: About,
    pub(crate) packets: Option<Packets>,
    pub(crate) names: NameHistory,
    pub(crate) over: Arc<AtomicBool>,
}

impl Scripts {
    /// Gets ready, on the runtime at hand; gives also what must run beside it for as long as the worker does.
    pub(crate) fn new(
        surroundings: Surroundings,
    ) -> std::io::Result<(Arc<Self>, impl Future<Output = ()> + Send + use<>)> {
        let Surroundings { launch, about, packets, names, over } = surroundings;
        let outbox = Arc::new(Outbox::default());
        let options = Options::default();
        let queue_bytes = options.queue_bytes;
        let feeder = launch.map(|launch| {
            let host = WorkerHost { packets, names, outbox: Arc::clone(&outbox) };
            let lines = Arc::clone(&outbox);
            let console = Arc::new(move |line| lines.lines([written(line)]));
            Feeder::new(launch, about, options, Arc::new(host), tokio::runtime::Handle::current(), console)
        });
        let feeder = feeder.transpose()?;
        let (commands, commanded) = mpsc::channel(MAX_COMMANDS);
        let scripts =
            Arc::new(Self { feeder, outbox, present: Mutex::default(), commands, queue_bytes, over });
        let tending = tend(Arc::clone(&scripts), commanded);
        Ok((scripts, tending))
    }

    /// What waits for hubs.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    // === what a hub says

    /// Runs these, and nothing else. What did not change goes on undisturbed.
    pub(crate) fn set(&self, scripts: Vec<Script>, env: Env) {
        let mut present = lock(&self.present);
        present.told = true;
        let Some(feeder) = &self.feeder else {
            if let Some(script) = scripts.first() {
                let why = "this worker runs no scripts: it does not know the program that would";
                self.outbox.lines([outbox::complaint(script.index, why)]);
            }
            return;
        };
        // First, so that scripts find them when they are loaded.
        if present.env != env {
            info!(variables = env.len(), "Scripts have other variables");
            feeder.set_env(env.clone());
            present.env = env;
        }
        let wanted: BTreeMap<u32, String> =
            scripts.into_iter().map(|script| (script.index, script.code)).collect();
        for index in present.scripts.keys().filter(|index| !wanted.contains_key(index)) {
            info!(index, "A script is unloaded");
            feeder.unload(*index);
        }
        for (index, code) in wanted.iter().filter(|(index, code)| present.scripts.get(index) != Some(code)) {
            info!(index, bytes = code.len(), "A script is loaded");
            feeder.load(*index, code);
        }
        present.scripts = wanted;
    }

    /// Does something with jobs.
    pub(crate) fn jobs(&self, command: JobCommand, tag: Option<String>) {
        let request = match (command, tag) {
            (JobCommand::Run, Some(tag)) => JobRequest::Run { tag },
            (JobCommand::Run, None) => JobRequest::RunAll,
            (JobCommand::Remove, Some(tag)) => JobRequest::Remove { tag },
            (JobCommand::Remove, None) => JobRequest::RemoveAll,
            (JobCommand::Start, _) => JobRequest::Start,
            (JobCommand::Stop, _) => JobRequest::Stop,
        };
        if let Err(error) = self.commands.try_send(request) {
            warn!(%error, "A command about jobs is dropped: too many wait");
        }
    }

    // === what happens

    /// Entries are complete. A source that `waits` gives scripts time to keep up; a live one never does.
    pub(crate) fn entries(&self, entries: &[Arc<Entry>], waits: bool) {
        let Some(feeder) = self.feeder.as_ref().filter(|feeder| feeder.wants().has(Hook::OnItemCaptured))
        else {
            return;
        };
        for entry in entries {
            if waits {
                self.wait_for_room(feeder);
            }
            feeder.entry(entry);
        }
    }

    /// A batch was captured.
    pub(crate) fn packets(&self, batch: &Batch, waits: bool) {
        let Some(feeder) = self.feeder.as_ref().filter(|feeder| feeder.wants().has(Hook::OnPacketCaptured))
        else {
            return;
        };
        if waits {
            self.wait_for_room(feeder);
        }
        let infos: Vec<_> = packets::infos(batch).map(|(_, info)| info).collect();
        feeder.packets(&infos);
    }

    /// Whether scripts look at what is shown.
    pub(crate) fn wants_queries(&self) -> bool {
        self.feeder.as_ref().is_some_and(|feeder| feeder.wants().has(Hook::OnItemQueried))
    }

    /// Entries are about to be shown: for each, what scripts made of it, or `None`, which is as it is.
    pub(crate) async fn queried(&self, entries: &[&Arc<Entry>]) -> Vec<Option<Value>> {
        let Some(feeder) = self.feeder.as_ref().filter(|_| self.wants_queries()) else {
            return vec![None; entries.len()];
        };
        let asked = entries.iter().map(async |entry| {
            let mut json = Vec::new();
            api::write_record(&mut json, &***entry);
            let changed = feeder.queried(&json).await?;
            // What is no object could be told from an entry by nobody.
            serde_json::from_slice(&changed).ok().filter(Value::is_object)
        });
        join_all(asked).await
    }

    /// Whether scripts have settled: those that a hub named have run their top level, or were refused.
    fn are_ready(&self) -> bool {
        let told = lock(&self.present).told;
        let loading =
            |stats: Stats| stats.scripts.iter().any(|one| one.state == scripting::ScriptState::Loading);
        told && self.feeder.as_ref().is_none_or(|feeder| !loading(feeder.stats()))
    }

    /// Waits, on a thread that may, until a hub has named scripts and these are loaded; not longer than `patience`.
    pub(crate) fn wait_until_ready(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !self.are_ready() && !self.over.load(Ordering::Relaxed) {
            if Instant::now() > deadline {
                warn!("Scripts are not loaded yet; packets are read without them");
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait_for_room(&self, feeder: &Feeder) {
        let deadline = Instant::now() + PATIENCE;
        while feeder.queued_bytes() > self.queue_bytes / 2 && Instant::now() < deadline {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    // === what there is to see

    /// As `/status` has it; null where no script can run.
    pub(crate) fn json(&self) -> Value {
        let Some(feeder) = &self.feeder else { return Value::Null };
        let stats = Stats { metrics: String::new(), ..feeder.stats() };
        let dropped = self.outbox.dropped();
        let mut json = serde_json::to_value(stats).unwrap_or_default();
        if let Value::Object(fields) = &mut json {
            fields.remove("metrics");
            fields.insert("queuedBytes".into(), feeder.queued_bytes().into());
            fields.insert("linesNotTaken".into(), dropped.lines.into());
            fields.insert("actionsDropped".into(), dropped.actions.into());
        }
        json
    }

    pub(crate) fn metrics(&self, out: &mut web::Metrics) {
        let Some(feeder) = &self.feeder else { return };
        let stats = feeder.stats();
        out.gauge("kubeshark_worker_scripts", "Scripts that are to run.").is(stats.scripts.len());
        out.gauge("kubeshark_worker_script_queue_bytes", "Bytes that wait for the script host.")
            .is(feeder.queued_bytes());
        out.gauge("kubeshark_worker_script_host_rss_bytes", "Memory that the script host uses.")
            .is(stats.rss_bytes);
        out.counter(
            "kubeshark_worker_script_host_cpu_seconds_total",
            "CPU time that scripts used, with their host.",
        )
        .is(Duration::from_millis(stats.cpu_millis).as_secs_f64());
        out.counter("kubeshark_worker_script_restarts_total", "How often the script host was started again.")
            .is(stats.restarts);
        out.counter(
            "kubeshark_worker_script_queries_late_total",
            "Entries whose watcher did not wait for onItemQueried any longer.",
        )
        .is(stats.queries_late);
        let mut fed = out.counter("kubeshark_worker_script_fed_total", "Events that were handed to scripts.");
        for (hook, counts) in &stats.hooks {
            fed.add(&[("hook", hook)], counts.fed);
        }
        let mut dropped =
            out.counter("kubeshark_worker_script_dropped_total", "Events that scripts will never see.");
        for (hook, counts) in &stats.hooks {
            dropped.add(&[("hook", hook), ("reason", "queue full")], counts.queue_full);
            dropped.add(&[("hook", hook), ("reason", "script host ended")], counts.host_ended);
            dropped.add(&[("hook", hook), ("reason", "script busy")], counts.backlog_full);
        }
        let of_scripts: [(&str, &str, Count); 4] = [
            ("kubeshark_worker_script_calls_total", "Calls of hooks, jobs and timers.", |one| one.calls),
            ("kubeshark_worker_script_errors_total", "Calls that threw.", |one| one.errors),
            ("kubeshark_worker_script_backlog_full_total", "Calls that a slow script missed.", |one| {
                one.backlog_full
            }),
            ("kubeshark_worker_script_strikes_total", "Calls that were stopped at a budget.", |one| {
                one.strikes.into()
            }),
        ];
        for (name, help, count) in of_scripts {
            let mut rows = out.counter(name, help);
            for one in &stats.scripts {
                rows.add(&[("script", &one.index.to_string()), ("title", &one.title)], count(one));
            }
        }
        let outbox = self.outbox.dropped();
        out.counter("kubeshark_worker_script_lines_dropped_total", "Console lines that no hub took in time.")
            .is(stats.lines_dropped + outbox.lines);
        out.counter(
            "kubeshark_worker_script_actions_dropped_total",
            "Calls of hub.action that no hub took in time.",
        )
        .is(outbox.actions);
        out.append(&stats.metrics);
    }
}

/// Looks how scripts fare, and does what is asked of jobs. Never returns.
async fn tend(scripts: Arc<Scripts>, mut commands: mpsc::Receiver<JobRequest>) {
    let Some(feeder) = scripts.feeder.clone() else { return std::future::pending().await };
    let mut period = time::interval(LOOK_PERIOD);
    period.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let mut jobs_due = time::Instant::now();
    loop {
        let request = tokio::select! {
            // The sender lives as long as the scripts.
            command = commands.recv() => command,
            _ = period.tick() => None,
        };
        scripts.outbox.states(feeder.stats().scripts.into_iter().map(state).collect());
        let now = time::Instant::now();
        if request.is_none() && now < jobs_due {
            continue;
        }
        jobs_due = now + JOBS_PERIOD;
        match feeder.jobs(request.unwrap_or(JobRequest::List)).await {
            Ok(jobs) => scripts.outbox.jobs(jobs),
            Err(why) => warn!(why, "Jobs are not known"),
        }
    }
}

fn state(stats: ScriptStats) -> ScriptState {
    ScriptState {
        index: stats.index,
        phase: match stats.state {
            scripting::ScriptState::Loading => ScriptPhase::Waiting,
            scripting::ScriptState::Loaded => ScriptPhase::Loaded,
            scripting::ScriptState::Refused => ScriptPhase::Failed,
            scripting::ScriptState::Disabled => ScriptPhase::Disabled,
        },
        error: stats.why,
        strikes: stats.strikes,
        calls: stats.calls,
        failed: stats.errors,
        dropped: stats.backlog_full,
    }
}

fn written(line: Line) -> ConsoleLine {
    let kind = match line.kind {
        WireKind::Log => LineKind::Log,
        WireKind::Error => LineKind::Error,
        WireKind::Clear => LineKind::Clear,
    };
    match kind {
        LineKind::Error => warn!(script = line.script, "{}", line.text),
        LineKind::Log | LineKind::Clear => info!(script = line.script, "{}", line.text),
    }
    ConsoleLine { script: line.script, kind, text: line.text }
}
