//! What a script has to itself, and what all scripts share.

use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use boa_engine::{Context, JsNativeError, JsObject, JsResult, JsValue, object::builtins::JsFunction};
use serde_json::Value;

use super::{Inbox, clock::Clock, jobs::Jobs, pulse::Marker, script::Query, series::Series, timers::Timers};
use crate::{
    About, HOOKS, Host, Options,
    helpers::{Call, Helper},
    lazy::Shapes,
    wire::{FromScripts, Line, LineKind},
};

/// Where messages to the parent go. Never waits.
pub(crate) trait Output {
    /// Sends a message; a console line may be dropped and counted instead.
    fn send(&self, message: FromScripts);

    /// Sends an entry as a script changed it; `None`: as it was.
    fn queried(&self, number: u64, entry: Option<&[u8]>);

    /// Console lines that were dropped.
    fn lines_dropped(&self) -> u64;
}

/// A call to another service that a rehearsal noted instead of making it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The script's number.
    pub script: u32,
    /// The helper.
    pub helper: &'static str,
    /// What would have been sent, without secrets.
    pub what: Value,
}

/// What a rehearsal keeps.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) outgoing: Vec<Outgoing>,
    pub(crate) outgoing_dropped: u64,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// What all scripts of an engine share.
pub(crate) struct Shared {
    pub(crate) about: Arc<About>,
    pub(crate) options: Options,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) outlets: outlets::Outlets,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) output: Rc<dyn Output>,
    pub(crate) clock: Clock,
    pub(crate) marker: Marker,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) jobs: RefCell<Jobs>,
    pub(crate) series: RefCell<Series>,
    pub(crate) matcher: RefCell<kfl::Matcher>,
    /// Whether calls to other services are made, not noted.
    pub(crate) is_live: bool,
    pub(crate) notes: RefCell<Notes>,
    /// Entries that a script is done with.
    pub(crate) queries: RefCell<Vec<Query>>,
    /// Calls of each hook that backlogs had no room for.
    pub(crate) backlog_full: Cell<[u64; HOOKS.len()]>,
}

/// The most calls that a rehearsal notes.
const MAX_OUTGOING: usize = 100_000;

impl Shared {
    /// What a script host has.
    pub(crate) fn new(
        (about, options): (About, Options),
        host: Arc<dyn Host>,
        outlets: outlets::Outlets,
        runtime: tokio::runtime::Handle,
        (output, clock, marker): (Rc<dyn Output>, Clock, Marker),
    ) -> Self {
        Self {
            about: Arc::new(about),
            options,
            host,
            outlets,
            runtime,
            inbox: Arc::default(),
            output,
            clock,
            marker,
            timers: RefCell::default(),
            jobs: RefCell::default(),
            series: RefCell::default(),
            matcher: RefCell::new(api::matcher()),
            is_live: true,
            notes: RefCell::default(),
            queries: RefCell::default(),
            backlog_full: Cell::default(),
        }
    }

    pub(crate) fn verdict(&self, passed: bool) {
        let mut notes = self.notes.borrow_mut();
        *(if passed { &mut notes.passed } else { &mut notes.failed }) += 1;
    }

    pub(crate) fn sends(&self, scope: &Scope, helper: &'static str, what: Value) -> bool {
        if !self.is_live {
            let mut notes = self.notes.borrow_mut();
            if notes.outgoing.len() < MAX_OUTGOING {
                notes.outgoing.push(Outgoing { script: scope.index, helper, what });
            } else {
                notes.outgoing_dropped += 1;
            }
        }
        self.is_live
    }
}

/// Something that a script does later.
#[derive(Clone)]
pub(crate) enum Task {
    Script { function: JsFunction, args: Rc<[JsValue]> },
    Native { helper: &'static Helper, run: fn(&mut Call<'_>) -> JsResult<JsValue> },
}

/// What a script has to itself. It lives in the script's context.
pub(crate) struct Scope {
    pub(crate) index: u32,
    pub(crate) title: String,
    /// Differs from load to load.
    pub(crate) instance: u64,
    pub(crate) shared: Rc<Shared>,
    pub(crate) env: JsObject,
    pub(crate) timers: Cell<usize>,
    pub(crate) shapes: RefCell<Shapes>,
    states: RefCell<HashMap<TypeId, Rc<dyn Any>>>,
}

impl Scope {
    pub(crate) fn new(index: u32, title: String, instance: u64, shared: Rc<Shared>, env: JsObject) -> Self {
        let (timers, shapes, states) = Default::default();
        Self { index, title, instance, shared, env, timers, shapes, states }
    }

    /// That of the script that runs in this context.
    pub(crate) fn of(context: &Context) -> JsResult<Rc<Self>> {
        let scope = context.get_data::<Rc<Self>>().cloned();
        scope.ok_or_else(|| JsNativeError::error().with_message("there is no script here").into())
    }

    pub(crate) fn state<T: Default + 'static>(&self) -> Rc<RefCell<T>> {
        let mut states = self.states.borrow_mut();
        let state = states.entry(TypeId::of::<T>()).or_insert_with(|| Rc::new(RefCell::new(T::default())));
        // What is filed under a type is of that type.
        Rc::clone(state).downcast().unwrap_or_default()
    }

    /// A line for the console; one that is too long is cut.
    pub(crate) fn print(&self, kind: LineKind, text: &str) {
        let limit = self.shared.options.line_bytes;
        let text = if text.len() > limit {
            format!("{}… ({} bytes)", &text[..text.floor_char_boundary(limit)], text.len())
        } else {
            text.to_owned()
        };
        let node = self.shared.about.node.clone();
        self.shared.output.send(FromScripts::Console(Line { node, script: self.index, kind, text }));
    }
}
