//! The thread that runs JavaScript.
//!
//! Each script has a context of its own; all share one object, their `this`. A script has its turn on a fiber: when a
//! helper waits for something outside, the fiber is put aside and the other scripts go on. What happens meanwhile waits
//! in the script's backlog.
//!
//! ```text
//!   inbox ──▶ dispatch ──▶ backlog of each script ──▶ turns, one script after the other ──▶ output
//!     ▲          timers ───────▲                          │ waits
//!     └──────────────── wake ─────────────────────────────┘
//! ```

mod clock;
pub(crate) mod fiber;
mod inbox;
mod jobs;
mod promises;
mod pulse;
mod scope;
mod script;
mod series;
mod source;
mod timers;

use std::{cell::Cell, collections::BTreeMap, rc::Rc, time::Duration};

use boa_engine::{Context, JsObject};
use serde_json::{Map, Value};

pub(crate) use clock::Clock;
pub(crate) use inbox::{Feed, Inbox, Input};
pub(crate) use pulse::{MARK, Marker, Pulse, marked, settled};
pub use scope::Outgoing;
pub(crate) use scope::{Output, Scope, Shared, Task};
pub use source::title;

use fiber::{Fiber, Pause};
use script::{Item, Query, Script, State};

use crate::{
    Hook, Hooks,
    wire::{FromScripts, JobRequest, Kind, LineKind, PacketInfo, Report, ScriptReport, ToScripts},
};

/// How often counters are sent.
const REPORT: Duration = Duration::from_secs(1);

/// Runs scripts. It stays on its thread.
pub(crate) struct Engine {
    shared: Rc<Shared>,
    scripts: BTreeMap<u32, Rc<Script>>,
    waiting: BTreeMap<u64, (Rc<Script>, Fiber)>,
    idle: Vec<Fiber>,
    /// Makes what belongs to no script: the object that all share.
    home: Context,
    common: JsObject,
    env: Map<String, Value>,
    instances: u64,
    hooks: Option<Hooks>,
    taken: u64,
    reported: Report,
    next_report: u64,
    is_stopping: Cell<bool>,
}

impl Engine {
    pub(crate) fn new(shared: Rc<Shared>) -> Self {
        let home = Context::default();
        let common = JsObject::with_object_proto(home.intrinsics());
        Self {
            shared,
            scripts: BTreeMap::new(),
            waiting: BTreeMap::new(),
            idle: Vec::new(),
            home,
            common,
            env: Map::new(),
            instances: 0,
            hooks: None,
            taken: 0,
            reported: Report::default(),
            next_report: 0,
            is_stopping: Cell::new(false),
        }
    }

    // === what happens

    /// Loads a script in place of the one with this index.
    pub(crate) fn load(&mut self, index: u32, code: String) {
        self.unload(index);
        let title = title(&code);
        if self.scripts.len() >= self.shared.options.scripts {
            let why = format!("more than {} scripts", self.shared.options.scripts);
            self.shared.output.send(FromScripts::Refused { index, title, why });
            return;
        }
        self.instances += 1;
        let instance = self.instances;
        match Script::new(index, instance, code, &self.env, self.common.clone(), &self.shared) {
            Ok(script) => {
                self.scripts.insert(index, script);
            }
            Err(error) => {
                let why = error.to_string();
                self.shared.output.send(FromScripts::Refused { index, title, why });
            }
        }
    }

    /// Forgets a script, its timers and its jobs. One that waits comes to the end of its call first.
    pub(crate) fn unload(&mut self, index: u32) {
        if let Some(script) = self.scripts.remove(&index) {
            script.state.set(State::Gone);
            self.forget(&script);
        }
    }

    fn forget(&self, script: &Script) {
        let instance = script.scope.instance;
        self.shared.timers.borrow_mut().forget(instance);
        self.shared.jobs.borrow_mut().forget(&self.shared.runtime, instance);
    }

    /// Replaces `env`; running scripts see it at once.
    pub(crate) fn set_env(&mut self, env: Map<String, Value>) {
        for script in self.scripts.values() {
            if let Err(error) = script.set_env(&env, &mut self.home) {
                script.scope.print(LineKind::Error, &format!("env: {error}"));
            }
        }
        self.env = env;
    }

    /// Entries and packets for the scripts that want them.
    pub(crate) fn dispatch(&mut self, feed: Feed) {
        let feed = Rc::new(feed);
        for (kind, range) in &feed.frames {
            match kind {
                Kind::Entry => {
                    self.taken += 1;
                    for script in self.scripts.values().filter(|script| script.may_have(Hook::OnItemCaptured))
                    {
                        script.offer(Item::Entry(Rc::clone(&feed), range.clone()), 1);
                    }
                }
                Kind::Packets => {
                    let packets = (range.len() / PacketInfo::SIZE) as u64;
                    self.taken += packets;
                    for script in
                        self.scripts.values().filter(|script| script.may_have(Hook::OnPacketCaptured))
                    {
                        script.offer(Item::Packets(Rc::clone(&feed), range.clone()), packets);
                    }
                }
                Kind::Query => {
                    let body = feed.bytes.get(range.clone()).unwrap_or_default();
                    if let Some((number, text)) = body.split_first_chunk() {
                        self.query(u64::from_le_bytes(*number), text.to_vec());
                    }
                }
                Kind::Control => {}
            }
        }
    }

    fn query(&self, number: u64, text: Vec<u8>) {
        let asked = self.scripts.iter().filter(|(_, script)| script.has(Hook::OnItemQueried));
        let rest = asked.map(|(index, _)| *index).collect();
        let until = self.shared.clock.ticks() + self.shared.options.query_millis * 1_000_000;
        self.pass_on(Query { number, text, is_changed: false, rest, until });
    }

    /// To the next script that may change it, or back to who asked.
    fn pass_on(&self, mut query: Query) {
        while let Some(index) = query.rest.pop_front() {
            // A script that waits for something is passed by: nobody waits that long.
            let script = self.scripts.get(&index).filter(|script| script.has(Hook::OnItemQueried));
            if let Some(script) = script.filter(|script| !self.waiting.contains_key(&script.scope.instance)) {
                script.push(Item::Query(query));
                return;
            }
        }
        self.shared.output.queried(query.number, query.is_changed.then_some(&query.text));
    }

    /// Calls a hook of all scripts that have it.
    pub(crate) fn call_all(&self, hook: Hook, args: Vec<Value>) {
        let args: Rc<[Value]> = args.into();
        for script in self.scripts.values().filter(|script| script.has(hook)) {
            script.offer(Item::Hook(hook, Rc::clone(&args)), 1);
        }
    }

    /// Does something with jobs, for somebody outside.
    pub(crate) fn jobs(&self, request: &JobRequest) -> Result<(), String> {
        let mut jobs = self.shared.jobs.borrow_mut();
        let unknown = |tag: &str| format!("no job '{tag}'");
        let run_now = |found: Vec<(u64, u64)>| {
            for (number, _) in found {
                self.shared.inbox.push(Input::Due(number | RUN_NOW));
            }
        };
        match request {
            JobRequest::List => {}
            JobRequest::Start => jobs.stop(false),
            JobRequest::Stop => jobs.stop(true),
            JobRequest::Remove { tag } => {
                jobs.remove(&self.shared.runtime, Some(tag)).then_some(()).ok_or_else(|| unknown(tag))?;
            }
            JobRequest::RemoveAll => {
                jobs.remove(&self.shared.runtime, None);
            }
            JobRequest::Run { tag } => {
                let found = jobs.find(Some(tag));
                if found.is_empty() {
                    return Err(unknown(tag));
                }
                run_now(found);
            }
            JobRequest::RunAll => {
                let found = jobs.find(None);
                run_now(found);
            }
        }
        Ok(())
    }

    /// A job is due, or to run now.
    pub(crate) fn due(&mut self, number: u64) {
        let now = self.shared.clock.now_millis();
        let mut jobs = self.shared.jobs.borrow_mut();
        let instance = match number & RUN_NOW {
            0 => jobs.due(number, now),
            _ => jobs.run_now(number & !RUN_NOW),
        };
        drop(jobs);
        let script = self.scripts.values().find(|script| Some(script.scope.instance) == instance);
        if let Some(script) = script {
            script.push(Item::Job(number & !RUN_NOW));
        }
    }

    /// What timers are due by now.
    pub(crate) fn fire_timers(&self) {
        let now = self.shared.clock.ticks();
        // Those that are made meanwhile have their turn later.
        let mut due = Vec::new();
        while let Some(timer) = self.shared.timers.borrow_mut().take(now) {
            due.push(timer);
        }
        for (instance, task, last) in due {
            if let Some(script) = self.scripts.values().find(|script| script.scope.instance == instance) {
                script.push(Item::Task(task, last));
            }
        }
    }

    // === turns

    /// Whether a script could go on at once.
    pub(crate) fn is_busy(&self) -> bool {
        self.scripts.values().any(|script| !script.is_idle() && !self.is_waiting(script))
    }

    fn is_waiting(&self, script: &Script) -> bool {
        self.waiting.contains_key(&script.scope.instance)
    }

    /// Gives every script that has something to do a turn.
    pub(crate) fn turn(&mut self) {
        let ready: Vec<_> = self
            .scripts
            .values()
            .filter(|script| !script.is_idle() && !self.is_waiting(script))
            .map(Rc::clone)
            .collect();
        for script in ready {
            // Without address space for a stack, scripts have to wait for one another.
            if let Some(fiber) = self.idle.pop().or_else(|| Fiber::new().ok()) {
                let runs = Rc::clone(&script);
                self.resume(script, fiber, Some(Box::new(move || runs.run())));
            }
        }
        self.settle();
    }

    /// A script goes on with what it waited for.
    pub(crate) fn wake(&mut self, instance: u64) {
        if let Some((script, fiber)) = self.waiting.remove(&instance) {
            self.shared.marker.call();
            self.resume(script, fiber, None);
            self.settle();
        }
    }

    fn resume(&mut self, script: Rc<Script>, mut fiber: Fiber, task: Option<fiber::Task>) {
        self.shared.marker.turn(Some(script.scope.index));
        match fiber.resume(task) {
            Pause::Idle => self.idle.push(fiber),
            Pause::Waiting => {
                self.waiting.insert(script.scope.instance, (script, fiber));
            }
        }
    }

    /// In a rehearsal: runs everything there is to do, on this very stack.
    pub(crate) fn run_through(&mut self) {
        while let Some(script) = self.scripts.values().find(|script| !script.is_idle()).map(Rc::clone) {
            script.run();
            self.settle();
            for input in self.shared.inbox.take(Some(Duration::ZERO)) {
                if let Input::Due(number) = input {
                    self.due(number);
                }
            }
        }
    }

    /// After scripts ran: passes on what they are done with, and tells what changed.
    fn settle(&mut self) {
        let gone: Vec<_> =
            self.scripts.values().filter(|script| script.state.get() == State::Gone).map(Rc::clone).collect();
        for script in gone {
            self.forget(&script);
            self.scripts.remove(&script.scope.index);
        }
        let queries = std::mem::take(&mut *self.shared.queries.borrow_mut());
        for query in queries {
            self.pass_on(query);
        }
        let hooks = self.scripts.values().fold(Hooks::default(), |all, script| all | script.hooks());
        // While a script is loaded anew, what its hooks want meanwhile waits for it.
        let is_loading = self.scripts.values().any(|script| script.state.get() == State::Loading);
        let is_told =
            self.hooks == Some(hooks) || (is_loading && self.hooks.is_none_or(|told| told | hooks == told));
        if !is_told {
            self.hooks = Some(hooks);
            self.shared.output.send(FromScripts::Hooks { hooks });
        }
    }

    /// Works until the parent says stop or goes away; what waits is given `grace` then.
    pub(crate) fn run(&mut self, grace: Duration) {
        let mut deadline = None;
        loop {
            let now = self.shared.clock.ticks();
            let ends = self.is_stopping.get() || self.shared.inbox.is_closed();
            if ends {
                let deadline = *deadline.get_or_insert(now.saturating_add(grace.as_nanos() as u64));
                if now >= deadline || (self.waiting.is_empty() && !self.is_busy()) {
                    break;
                }
            }
            let patience = if self.is_busy() { Some(Duration::ZERO) } else { Some(self.patience(now, ends)) };
            if patience != Some(Duration::ZERO) {
                self.shared.marker.turn(None);
            }
            for input in self.shared.inbox.take(patience) {
                self.take(input);
            }
            self.fire_timers();
            self.turn();
            let behind = self.scripts.values().map(|script| script.events()).max().unwrap_or_default();
            self.shared.marker.settled(self.taken - behind);
            self.report();
        }
        self.shared.marker.turn(None);
    }

    /// How long there is nothing to do but what comes in.
    fn patience(&self, now: u64, ends: bool) -> Duration {
        let timer = self.shared.timers.borrow().next().map_or(u64::MAX, |next| next.saturating_sub(now));
        let report = self.next_report.saturating_sub(now).max(1_000_000);
        let ending = if ends { 10_000_000 } else { u64::MAX };
        Duration::from_nanos(timer.min(report).min(ending).max(1))
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Feed(feed) => self.dispatch(feed),
            Input::Wake(instance) => self.wake(instance),
            Input::Due(number) => self.due(number),
            Input::Message(message) => self.obey(message),
        }
    }

    fn obey(&mut self, message: ToScripts) {
        match message {
            ToScripts::Load { index, code } => self.load(index, code),
            ToScripts::Unload { index } => self.unload(index),
            ToScripts::Env { env } => self.set_env(env),
            ToScripts::Pod { event, pod } => self.call_all(Hook::OnPodEvent, vec![event.into(), pod]),
            ToScripts::HubAction { action, object } => {
                self.call_all(Hook::OnHubAction, vec![action.into(), object]);
            }
            ToScripts::Jobs { id, request } => {
                let done = self.jobs(&request);
                let result = done.map(|()| self.shared.jobs.borrow().list());
                self.shared.output.send(FromScripts::JobsDone { id, result });
            }
            ToScripts::Stop => self.is_stopping.set(true),
            // Answers go to whoever asked, on another thread; a second start is no start.
            ToScripts::Answer { .. } | ToScripts::Start { .. } => {}
        }
    }

    fn report(&mut self) {
        let now = self.shared.clock.ticks();
        if now < self.next_report {
            return;
        }
        self.next_report = now + REPORT.as_nanos() as u64;
        let mut series = self.shared.series.borrow_mut();
        let metrics = if std::mem::take(&mut series.is_changed) {
            series.text()
        } else {
            self.reported.metrics.clone()
        };
        drop(series);
        let scripts = self.reports();
        let lines_dropped = self.shared.output.lines_dropped();
        let backlog_full = self.shared.backlog_full.get();
        let report = Report { taken: self.taken, backlog_full, scripts, lines_dropped, metrics };
        if report != self.reported {
            self.reported = report.clone();
            self.shared.output.send(FromScripts::Report(report));
        }
    }

    /// What was counted of each script.
    pub(crate) fn reports(&self) -> Vec<ScriptReport> {
        self.scripts.values().map(|script| script.report()).collect()
    }

    pub(crate) fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }
}

/// Marks the number of a job that is to run now.
pub(crate) const RUN_NOW: u64 = 1 << 63;
