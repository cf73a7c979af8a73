//! What the worker knows of its scripts and has to tell their host.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use api::messages::Job;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::{
    Console,
    stats::{HookStats, ScriptState, ScriptStats, Stats},
};
use crate::{
    About, HOOKS, Hook, Host, Options, lock, title,
    usage::Usage,
    wire::{FromScripts, JobRequest, Kind, Line, LineKind, Report, ToScripts, begin, end, frame},
};

/// Shared by the feeder, the thread that writes to the host and the one that reads from it.
pub(super) struct Inner {
    pub(super) about: About,
    pub(super) options: Options,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) hooks: AtomicU8,
    host: Arc<dyn Host>,
    console: Console,
    state: Mutex<State>,
    changed: Condvar,
}

type JobsAnswer = Result<Vec<Job>, String>;

#[derive(Default)]
struct State {
    /// Control messages, ahead of the feed.
    control: Vec<u8>,
    /// Entries and packets.
    feed: Vec<u8>,
    is_stopping: bool,
    is_running: bool,
    env: Map<String, Value>,
    scripts: BTreeMap<u32, Script>,
    hooks: [HookStats; HOOKS.len()],
    /// Events of each hook that went to the host that runs now.
    sent: [u64; HOOKS.len()],
    /// Events of each hook that are in `feed`.
    queued: [u64; HOOKS.len()],
    restarts: u64,
    /// The process of the host that runs now.
    process: Option<u32>,
    /// CPU time of hosts that ended, and of the one that runs when it was last looked at.
    cpu: [Duration; 2],
    queries: HashMap<u64, oneshot::Sender<Option<Vec<u8>>>>,
    queries_late: u64,
    jobs: HashMap<u64, oneshot::Sender<JobsAnswer>>,
    numbers: u64,
    lines_dropped: u64,
    report: Report,
}

struct Script {
    code: String,
    stats: ScriptStats,
    /// What hosts that have ended counted.
    before: ScriptStats,
}

/// Queries that wait for an answer at a time; more go out as they were.
const MAX_QUERIES: usize = 1024;

/// Bytes of a buffer that is kept for what comes next.
const SPARE: usize = 1 << 20;

/// What there is to write.
pub(super) enum Work {
    Bytes(Vec<u8>),
    /// Nothing: all scripts are gone.
    Idle,
    Stop,
}

impl Inner {
    pub(super) fn new(
        about: About,
        options: Options,
        host: Arc<dyn Host>,
        runtime: tokio::runtime::Handle,
        console: Console,
    ) -> Self {
        let (hooks, state, changed) = (AtomicU8::new(0), Mutex::default(), Condvar::new());
        Self { about, options, runtime, hooks, host, console, state, changed }
    }

    pub(super) fn stop(&self) {
        lock(&self.state).is_stopping = true;
        self.changed.notify_all();
    }

    // === scripts

    pub(super) fn load(&self, index: u32, code: &str) {
        let stats = ScriptStats { index, title: title(code), ..ScriptStats::default() };
        let mut state = lock(&self.state);
        let script = Script { code: code.to_owned(), before: stats.clone(), stats };
        state.scripts.insert(index, script);
        state.say(&ToScripts::Load { index, code: code.to_owned() });
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn unload(&self, index: u32) {
        let mut state = lock(&self.state);
        if state.scripts.remove(&index).is_some() {
            state.say(&ToScripts::Unload { index });
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn set_env(&self, env: Map<String, Value>) {
        let mut state = lock(&self.state);
        state.env.clone_from(&env);
        state.say(&ToScripts::Env { env });
        // What a top level lacked may be there now.
        let refused = state.scripts.iter_mut().filter(|(_, one)| one.stats.state == ScriptState::Refused);
        let again = refused.map(|(&index, script)| {
            script.stats.state = ScriptState::Loading;
            script.stats.why = None;
            ToScripts::Load { index, code: script.code.clone() }
        });
        for load in again.collect::<Vec<_>>() {
            state.say(&load);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Says something that is lost if no host is there.
    pub(super) fn tell(&self, message: &ToScripts) {
        lock(&self.state).say(message);
        self.changed.notify_all();
    }

    // === feeding

    /// Appends events in place, if there is room.
    pub(super) fn feed(&self, hook: Hook, kind: Kind, events: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let counters = &mut state.hooks[hook as usize];
        if state.feed.len() >= self.options.queue_bytes {
            counters.queue_full += events;
            return;
        }
        counters.fed += events;
        state.queued[hook as usize] += events;
        let was_empty = state.feed.is_empty();
        let start = begin(&mut state.feed, kind);
        write(&mut state.feed);
        end(&mut state.feed, start);
        drop(guard);
        if was_empty {
            self.changed.notify_all();
        }
    }

    pub(super) fn queued_bytes(&self) -> usize {
        lock(&self.state).feed.len()
    }

    pub(super) async fn query(&self, json: &[u8]) -> Option<Vec<u8>> {
        let receiver = {
            let mut state = lock(&self.state);
            let counters = &mut state.hooks[Hook::OnItemQueried as usize];
            counters.fed += 1;
            if !state.is_running || state.queries.len() >= MAX_QUERIES {
                state.queries_late += 1;
                return None;
            }
            state.numbers += 1;
            let number = state.numbers;
            let mut body = number.to_le_bytes().to_vec();
            body.extend_from_slice(json);
            frame(&mut state.control, Kind::Query, &body);
            let (sender, receiver) = oneshot::channel();
            state.queries.insert(number, sender);
            drop(state);
            self.changed.notify_all();
            (number, receiver)
        };
        let patience = Duration::from_millis(self.options.query_millis);
        if let Ok(answer) = tokio::time::timeout(patience, receiver.1).await {
            return answer.ok().flatten();
        }
        let mut state = lock(&self.state);
        state.queries.remove(&receiver.0);
        state.queries_late += 1;
        None
    }

    pub(super) fn ask_jobs(&self, request: JobRequest) -> Option<oneshot::Receiver<JobsAnswer>> {
        let mut state = lock(&self.state);
        if !state.is_running {
            return None;
        }
        state.numbers += 1;
        let id = state.numbers;
        let (sender, receiver) = oneshot::channel();
        state.jobs.insert(id, sender);
        state.say(&ToScripts::Jobs { id, request });
        drop(state);
        self.changed.notify_all();
        Some(receiver)
    }

    // === the host's life

    /// Waits until there is a script that may run. `false`: never again.
    pub(super) fn wait_for_scripts(&self) -> bool {
        let mut state = lock(&self.state);
        while !state.is_stopping && !state.has_scripts() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.is_stopping
    }

    /// Waits for this long, or until all is to end.
    pub(super) fn pause(&self, time: Duration) {
        let state = lock(&self.state);
        drop(self.changed.wait_timeout_while(state, time, |state| !state.is_stopping));
    }

    /// A host is there: what it is told first.
    pub(super) fn begin(&self) -> Vec<u8> {
        let mut state = lock(&self.state);
        state.is_running = true;
        state.sent = Default::default();
        state.report = Report::default();
        state.control.clear();
        let start = ToScripts::Start { about: self.about.clone(), options: self.options.clone() };
        state.say(&start);
        let env = state.env.clone();
        state.say(&ToScripts::Env { env });
        let loads: Vec<_> = state.loadable().map(|(index, code)| ToScripts::Load { index, code }).collect();
        for load in loads {
            state.say(&load);
        }
        std::mem::take(&mut state.control)
    }

    /// The host that was begun is this process.
    pub(super) fn runs_as(&self, process: u32) {
        lock(&self.state).process = Some(process);
    }

    /// Looks what the host uses, as long as it can be seen.
    pub(super) fn look(&self) {
        let mut state = lock(&self.state);
        if let Some(used) = state.process.and_then(Usage::of_process) {
            state.cpu[1] = used.cpu;
        }
    }

    /// Waits for something to write.
    ///
    /// `spare` is what was written last: its room is used again.
    pub(super) fn work(&self, mut spare: Vec<u8>) -> Work {
        let mut state = lock(&self.state);
        loop {
            if state.is_stopping {
                return Work::Stop;
            }
            if !state.has_scripts() {
                return Work::Idle;
            }
            if !state.is_running || !state.control.is_empty() || !state.feed.is_empty() {
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.is_running {
            return Work::Bytes(Vec::new());
        }
        let mut bytes = std::mem::take(&mut state.control);
        // What a burst took is given back.
        spare.clear();
        if spare.capacity() > SPARE {
            spare = Vec::new();
        }
        let feed = std::mem::replace(&mut state.feed, spare);
        let queued = std::mem::take(&mut state.queued);
        for (sent, queued) in state.sent.iter_mut().zip(queued) {
            *sent += queued;
        }
        if bytes.is_empty() {
            bytes = feed;
        } else {
            bytes.extend_from_slice(&feed);
        }
        Work::Bytes(bytes)
    }

    /// The pipe broke: whoever writes must know.
    pub(super) fn broke(&self) {
        lock(&self.state).is_running = false;
        self.changed.notify_all();
    }

    /// The host ended; `settled` events of all hooks were done with, and `why` is a strike for the script that ran.
    /// Says whether that script is disabled now, so that what ended the host is gone.
    pub(super) fn ended(&self, settled: u64, culprit: Option<u32>, why: Option<&str>) -> bool {
        let mut state = lock(&self.state);
        state.is_running = false;
        state.process = None;
        state.cpu = [state.cpu[0] + state.cpu[1], Duration::ZERO];
        let sent: u64 = state.sent.iter().sum();
        let lost = sent.saturating_sub(settled);
        for at in 0..HOOKS.len() {
            // Which hook's events were lost is not known; they came in this proportion.
            let share = (lost * state.sent[at]).checked_div(sent).unwrap_or_default();
            state.hooks[at].host_ended += share;
            state.hooks[at].backlog_full += state.report.backlog_full[at];
        }
        state.queries.clear();
        state.jobs.clear();
        state.lines_dropped += state.report.lines_dropped;
        state.report = Report::default();
        for script in state.scripts.values_mut() {
            script.before = script.stats.clone();
            if script.stats.state == ScriptState::Loaded {
                script.stats.state = ScriptState::Loading;
            }
        }
        let Some(why) = why else { return false };
        state.restarts += 1;
        drop(state);
        if let Some(index) = culprit {
            return self.strike(index, why);
        }
        self.line(0, &format!("the script host ended ({why}) and is started again"));
        false
    }

    fn line(&self, script: u32, text: &str) {
        let node = self.about.node.clone();
        (self.console)(Line { node, script, kind: LineKind::Error, text: text.to_owned() });
    }

    /// A script used more than it may. Says whether it is disabled for that.
    fn strike(&self, index: u32, why: &str) -> bool {
        let limit = self.options.strikes;
        let mut state = lock(&self.state);
        // What it did before word of its end reached it counts no more.
        let script = state.scripts.get_mut(&index).filter(|one| one.stats.state != ScriptState::Disabled);
        let Some(script) = script else { return false };
        script.stats.strikes += 1;
        let (strikes, title) = (script.stats.strikes, script.stats.title.clone());
        let is_out = strikes >= limit;
        if is_out {
            script.stats.state = ScriptState::Disabled;
            script.stats.why = Some(why.to_owned());
            state.say(&ToScripts::Unload { index });
        }
        drop(state);
        self.changed.notify_all();
        let then = if is_out { "; it is disabled until it is loaded anew" } else { "" };
        self.line(index, &format!("{title}: strike {strikes} of {limit}: {why}{then}"));
        is_out
    }

    // === what the host says

    pub(super) fn heard(self: &Arc<Self>, message: FromScripts) {
        match message {
            FromScripts::Hooks { hooks } => self.hooks.store(hooks.0, Ordering::Relaxed),
            FromScripts::Loaded { index, .. } => self.stands(index, ScriptState::Loaded, None),
            FromScripts::Refused { index, why, .. } => self.stands(index, ScriptState::Refused, Some(why)),
            FromScripts::Console(line) => (self.console)(line),
            FromScripts::Strike { index, why } => {
                self.strike(index, &why);
            }
            FromScripts::Ask { id, request } => {
                let answer = self.host.ask(request);
                let inner = Arc::clone(self);
                self.runtime.spawn(async move {
                    let result = answer.await;
                    inner.tell(&ToScripts::Answer { id, result });
                });
            }
            FromScripts::JobsDone { id, result } => {
                if let Some(sender) = lock(&self.state).jobs.remove(&id) {
                    // Who asked may have given up.
                    drop(sender.send(result));
                }
            }
            FromScripts::Report(report) => self.reported(report),
        }
    }

    /// A script's entry came back.
    pub(super) fn answered(&self, number: u64, entry: &[u8]) {
        if let Some(sender) = lock(&self.state).queries.remove(&number) {
            drop(sender.send((!entry.is_empty()).then(|| entry.to_vec())));
        }
    }

    fn stands(&self, index: u32, now: ScriptState, why: Option<String>) {
        if let Some(script) = lock(&self.state).scripts.get_mut(&index)
            && script.stats.state != ScriptState::Disabled
        {
            (script.stats.state, script.stats.why) = (now, why);
        }
    }

    fn reported(&self, report: Report) {
        let mut state = lock(&self.state);
        for row in &report.scripts {
            if let Some(script) = state.scripts.get_mut(&row.index) {
                script.stats.calls = script.before.calls + row.calls;
                script.stats.errors = script.before.errors + row.errors;
                script.stats.backlog_full = script.before.backlog_full + row.dropped;
            }
        }
        state.report = report;
    }

    pub(super) fn stats(&self) -> Stats {
        self.look();
        let state = lock(&self.state);
        let used = state.process.and_then(Usage::of_process).unwrap_or_default();
        let hooks = HOOKS.iter().enumerate().map(|(at, row)| {
            let stats = &state.hooks[at];
            let backlog_full = stats.backlog_full + state.report.backlog_full[at];
            (row.name.to_owned(), HookStats { backlog_full, ..stats.clone() })
        });
        Stats {
            process: state.process,
            rss_bytes: used.rss_bytes,
            cpu_millis: (state.cpu[0] + state.cpu[1]).as_millis() as u64,
            is_running: state.is_running,
            restarts: state.restarts,
            hooks: hooks.filter(|(_, stats)| *stats != HookStats::default()).collect(),
            queries_late: state.queries_late,
            lines_dropped: state.lines_dropped + state.report.lines_dropped,
            scripts: state.scripts.values().map(|script| script.stats.clone()).collect(),
            metrics: state.report.metrics.clone(),
        }
    }
}

impl State {
    fn say(&mut self, message: &ToScripts) {
        if !self.is_running {
            // A host that starts is told everything.
            return;
        }
        let start = begin(&mut self.control, Kind::Control);
        match serde_json::to_writer(&mut self.control, message) {
            Ok(()) => end(&mut self.control, start),
            // A vector takes everything, and every message is JSON.
            Err(_) => self.control.truncate(start),
        }
    }

    fn loadable(&self) -> impl Iterator<Item = (u32, String)> {
        let may = self.scripts.iter().filter(|(_, script)| script.stats.state != ScriptState::Disabled);
        may.map(|(index, script)| (*index, script.code.clone()))
    }

    fn has_scripts(&self) -> bool {
        self.scripts
            .values()
            .any(|script| !matches!(script.stats.state, ScriptState::Disabled | ScriptState::Refused))
    }
}
