//! Scripts over a capture: its time is theirs, and what they would send is noted.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    About, Host, Options, Outgoing,
    engine::{Clock, Engine, Feed, Marker, Output, Shared},
    wire::{FromScripts, Kind, Line, PacketInfo, ScriptReport, begin, end},
};

/// Bytes of stack: JavaScript runs on the caller's own, without fibers.
const STACK: usize = 64 << 20;

/// What a rehearsal needs.
pub struct Stage {
    /// Where this is.
    pub about: About,
    /// What scripts may use.
    pub options: Options,
    /// The process behind the scripts.
    pub host: Arc<dyn Host>,
    /// The services that scripts write to.
    pub outlets: outlets::Outlets,
    /// Whether scripts really write there.
    pub is_live: bool,
    /// Where helpers wait.
    pub runtime: tokio::runtime::Handle,
    /// The capture's first packet, in nanoseconds since the Unix epoch.
    pub start: i64,
}

/// Scripts that see a capture, one event after the other.
pub struct Rehearsal {
    engine: Engine,
    sink: Rc<Sink>,
}

/// How a rehearsal went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Calls to other services, in order.
    pub outgoing: Vec<Outgoing>,
    /// Calls that there was no room to note.
    pub outgoing_dropped: u64,
    /// Calls of `test.pass`.
    pub passed: u64,
    /// Calls of `test.fail`.
    pub failed: u64,
    /// Jobs as they are at the end.
    pub jobs: Vec<api::messages::Job>,
    /// What was counted of each script.
    pub scripts: Vec<ScriptReport>,
    /// Scripts that were not loaded, and why.
    pub refused: BTreeMap<u32, String>,
    /// Scripts that used more than they may, and what.
    pub strikes: Vec<(u32, String)>,
    /// What `prometheus.*` counts, in Prometheus' text format.
    pub metrics: String,
}

#[derive(Default)]
struct Heard {
    refused: BTreeMap<u32, String>,
    strikes: Vec<(u32, String)>,
    answer: Option<Vec<u8>>,
}

struct Sink {
    console: Box<dyn Fn(Line)>,
    heard: RefCell<Heard>,
}

impl Output for Sink {
    fn send(&self, message: FromScripts) {
        match message {
            FromScripts::Console(line) => (self.console)(line),
            FromScripts::Refused { index, why, .. } => {
                self.heard.borrow_mut().refused.insert(index, why);
            }
            FromScripts::Strike { index, why } => self.heard.borrow_mut().strikes.push((index, why)),
            _ => {}
        }
    }

    fn queried(&self, _: u64, entry: Option<&[u8]>) {
        self.heard.borrow_mut().answer = entry.map(<[u8]>::to_vec);
    }

    fn lines_dropped(&self) -> u64 {
        0
    }
}

/// Runs a rehearsal on a thread that has the stack for it, and waits for its end. `console` takes the lines that scripts
/// print, `run` brings the capture.
///
/// # Errors
///
/// The system gives no thread, or JavaScript's engine breaks down.
pub fn rehearse<T: Send>(
    stage: Stage,
    console: impl Fn(Line) + Send + 'static,
    run: impl FnOnce(&mut Rehearsal) -> T + Send,
) -> Result<T, String> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("rehearsal".to_owned()).stack_size(STACK);
        let thread = builder.spawn_scoped(scope, || {
            let mut rehearsal = Rehearsal::new(stage, Box::new(console));
            run(&mut rehearsal)
        });
        let thread = thread.map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "JavaScript's engine broke down".to_owned())
    })
}

impl Rehearsal {
    fn new(stage: Stage, console: Box<dyn Fn(Line)>) -> Self {
        let sink = Rc::new(Sink { console, heard: RefCell::default() });
        let clock = Clock::Capture(Rc::default());
        clock.set(stage.start);
        let runs = (Rc::clone(&sink) as Rc<dyn Output>, clock, Marker::new(None));
        let about = (stage.about, stage.options);
        let mut shared = Shared::new(about, stage.host, stage.outlets, stage.runtime, runs);
        shared.is_live = stage.is_live;
        let engine = Engine::new(Rc::new(shared));
        Self { engine, sink }
    }

    /// Replaces `env`.
    pub fn set_env(&mut self, env: Map<String, Value>) {
        self.engine.set_env(env);
    }

    /// Loads a script and runs its top level. Whether that threw, the outcome tells.
    pub fn load(&mut self, index: u32, code: &str) {
        self.engine.load(index, code.to_owned());
        self.engine.run_through();
    }

    /// A packet was captured.
    pub fn packet(&mut self, info: PacketInfo) {
        self.advance(info.at);
        self.feed(Kind::Packets, &info.record());
    }

    /// An entry was complete at this time, in nanoseconds since the Unix epoch; its JSON.
    pub fn entry(&mut self, json: &[u8], at: i64) {
        self.advance(at);
        self.feed(Kind::Entry, json);
    }

    /// An entry is shown to a watcher: its JSON, if a script changed it.
    pub fn queried(&mut self, json: &[u8]) -> Option<Vec<u8>> {
        self.sink.heard.borrow_mut().answer = None;
        let mut body = 0_u64.to_le_bytes().to_vec();
        body.extend_from_slice(json);
        self.feed(Kind::Query, &body);
        self.sink.heard.borrow_mut().answer.take()
    }

    fn feed(&mut self, kind: Kind, body: &[u8]) {
        let mut bytes = Vec::with_capacity(body.len() + 8);
        let start = begin(&mut bytes, kind);
        let from = bytes.len();
        bytes.extend_from_slice(body);
        end(&mut bytes, start);
        let frames = vec![(kind, from..bytes.len())];
        self.engine.dispatch(Feed { bytes, frames });
        self.engine.run_through();
    }

    /// Lets time pass up to this moment: what is due on the way happens at its own time.
    pub fn advance(&mut self, to: i64) {
        loop {
            let shared = Rc::clone(self.engine.shared());
            let timer = shared.timers.borrow().next().map(|due| due as i64);
            let job =
                shared.jobs.borrow().next().map(|(due, number)| (due.saturating_mul(1_000_000), number));
            let due = timer.into_iter().chain(job.map(|(due, _)| due)).min();
            let Some(due) = due.filter(|due| *due <= to) else { break };
            shared.clock.set(due);
            self.engine.fire_timers();
            if let Some((_, number)) = job.filter(|(at, _)| *at <= due) {
                self.engine.due(number);
            }
            self.engine.run_through();
        }
        self.engine.shared().clock.set(to);
    }

    /// How it went so far.
    pub fn outcome(&self) -> Outcome {
        let shared = self.engine.shared();
        let notes = shared.notes.borrow();
        let heard = self.sink.heard.borrow();
        Outcome {
            outgoing: notes.outgoing.clone(),
            outgoing_dropped: notes.outgoing_dropped,
            passed: notes.passed,
            failed: notes.failed,
            jobs: shared.jobs.borrow().list(),
            scripts: self.engine.reports(),
            refused: heard.refused.clone(),
            strikes: heard.strikes.clone(),
            metrics: shared.series.borrow().text(),
        }
    }
}
