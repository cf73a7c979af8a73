//! One script: its context, what it has to do, and how that ends.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    ops::Range,
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use boa_engine::{
    Context, JsError, JsObject, JsResult, JsString, JsValue, NativeFunction, Script as Code, Source,
    builtins::object::OrdinaryObject,
    context::{HostHooks, intrinsics::Intrinsics},
    js_string,
    object::{FunctionObjectBuilder, builtins::JsFunction},
    property::PropertyDescriptor,
};
use serde_json::{Map, Value};

use super::{Scope, Shared, Task, inbox::Feed, promises::Promises, source, timers};
use crate::{
    HOOKS, Hook, Hooks, Options,
    helpers::{self, Call},
    json, lazy,
    wire::{FromScripts, LineKind, PacketInfo, ScriptReport},
};

/// Calls that a script makes before others have their turn, and for how long it may.
const TURN_CALLS: usize = 256;
const TURN_TIME: Duration = Duration::from_millis(5);

/// Errors that a script may report in a second; the rest are counted.
const ERRORS_PER_SECOND: u32 = 10;

/// Something for a script to do.
pub(crate) enum Item {
    /// Its top level.
    Main(String),
    Entry(Rc<Feed>, Range<usize>),
    Packets(Rc<Feed>, Range<usize>),
    /// An entry that a watcher waits for until then, in the clock's ticks.
    Query(Query),
    Hook(Hook, Rc<[Value]>),
    Task(Task, bool),
    Job(u64),
}

/// An entry on its way through the scripts that may change it.
pub(crate) struct Query {
    pub(crate) number: u64,
    /// As the scripts before left it.
    pub(crate) text: Vec<u8>,
    pub(crate) is_changed: bool,
    /// Scripts that it has yet to pass.
    pub(crate) rest: VecDeque<u32>,
    /// Until when somebody waits for it, in the clock's ticks.
    pub(crate) until: u64,
}

impl Item {
    /// Entries and packets in it.
    fn events(&self) -> u64 {
        match self {
            Self::Entry(..) => 1,
            Self::Packets(_, range) => (range.len() / PacketInfo::SIZE) as u64,
            _ => 0,
        }
    }

    /// The hook that it calls, where something outside calls it.
    fn hook(&self) -> Option<Hook> {
        match self {
            Self::Entry(..) => Some(Hook::OnItemCaptured),
            Self::Packets(..) => Some(Hook::OnPacketCaptured),
            Self::Query(_) => Some(Hook::OnItemQueried),
            Self::Hook(hook, _) => Some(*hook),
            Self::Main(_) | Self::Task(..) | Self::Job(_) => None,
        }
    }

    /// Bytes that it occupies while it waits.
    fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Main(code) => code.len(),
                Self::Entry(_, range) | Self::Packets(_, range) => range.len(),
                Self::Query(query) => query.text.len(),
                Self::Hook(..) | Self::Task(..) | Self::Job(_) => 0,
            }
    }
}

/// How a script stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its top level has not run to its end.
    Loading,
    /// Its hooks are called.
    Loaded,
    /// Its top level threw, or it was replaced or removed.
    Gone,
}

pub(crate) struct Script {
    pub(crate) scope: Rc<Scope>,
    pub(crate) state: Cell<State>,
    context: RefCell<Context>,
    promises: Rc<Promises>,
    items: RefCell<VecDeque<Item>>,
    backlog: Cell<usize>,
    /// Finds a hook by its name, whatever kind of declaration made it; only those that the text names.
    finders: RefCell<Vec<(Hook, Code)>>,
    hooks: RefCell<[Option<JsFunction>; HOOKS.len()]>,
    /// Hooks that its text names.
    named: Hooks,
    plain: bool,
    /// Entries and packets that wait for it.
    events: Cell<u64>,
    calls: Cell<u64>,
    errors: Cell<u64>,
    dropped: Cell<u64>,
    told: Cell<(u64, u32)>,
}

/// Global objects of scripts: names that a script does not know are looked up in the object that all scripts share,
/// which is also every script's `this`.
struct Globals(JsObject);

impl HostHooks for Globals {
    fn create_global_object(&self, _: &Intrinsics) -> JsObject {
        JsObject::from_proto_and_data(self.0.clone(), OrdinaryObject)
    }

    fn create_global_this(&self, _: &Intrinsics) -> Option<JsObject> {
        Some(self.0.clone())
    }

    fn max_buffer_size(&self, _: &mut Context) -> u64 {
        64 << 20
    }
}

/// A context with the limits and the functions that every script has.
pub(crate) fn context(
    common: JsObject,
    promises: Rc<Promises>,
    clock: super::clock::Clock,
    options: &Options,
) -> JsResult<Context> {
    let mut context = Context::builder()
        .host_hooks(Rc::new(Globals(common)))
        .job_executor(promises)
        .clock(Rc::new(clock))
        .build()?;
    let limits = context.runtime_limits_mut();
    limits.set_loop_iteration_limit(options.loop_iterations);
    limits.set_recursion_limit(options.recursion);
    limits.set_stack_size_limit(options.stack_values);
    json::install(&mut context, options.nesting)?;
    lazy::install(&mut context)?;
    timers::install(&mut context)?;
    install_helpers(&mut context)?;
    Ok(context)
}

fn install_helpers(context: &mut Context) -> JsResult<()> {
    for helper in helpers::all() {
        let mut holder = context.global_object();
        let mut parts = helper.name.split('.').peekable();
        while let Some(part) = parts.next() {
            let name = JsString::from(part);
            if parts.peek().is_none() {
                let call = NativeFunction::from_copy_closure(move |_, args, context| {
                    (helper.call)(&mut Call::new(helper, args, context)?)
                });
                let call = FunctionObjectBuilder::new(context.realm(), call).name(name.clone()).build();
                holder.set(name, call, true, context)?;
                break;
            }
            // Only what is its own: `this.console` of another script is not meant.
            let inner = if holder.has_own_property(name.clone(), context)? {
                holder.get(name, context)?.as_object()
            } else {
                let inner = JsObject::with_object_proto(context.intrinsics());
                holder.create_data_property(name, inner.clone(), context)?;
                Some(inner)
            };
            let Some(inner) = inner else { break };
            holder = inner;
        }
    }
    Ok(())
}

impl Script {
    /// A script that has its top level to run. Nothing of it runs here.
    pub(crate) fn new(
        index: u32,
        instance: u64,
        code: String,
        env: &Map<String, Value>,
        common: JsObject,
        shared: &Rc<Shared>,
    ) -> JsResult<Rc<Self>> {
        let promises = Rc::new(Promises::default());
        let mut context = context(common, Rc::clone(&promises), shared.clock.clone(), &shared.options)?;
        let object = JsObject::with_object_proto(context.intrinsics());
        let scope = Scope::new(index, source::title(&code), instance, Rc::clone(shared), object.clone());
        let scope = Rc::new(scope);
        context.insert_data(Rc::clone(&scope));
        context.global_object().create_data_property(js_string!("env"), object, &mut context)?;
        set_env(&scope.env, env, &mut context)?;
        let script = Self {
            scope,
            state: Cell::new(State::Loading),
            context: RefCell::new(context),
            promises,
            items: RefCell::default(),
            backlog: Cell::new(0),
            finders: RefCell::default(),
            hooks: RefCell::default(),
            named: named(&code),
            plain: lazy::wants_plain(&code),
            events: Cell::new(0),
            calls: Cell::new(0),
            errors: Cell::new(0),
            dropped: Cell::new(0),
            told: Cell::new((0, 0)),
        };
        script.push(Item::Main(code));
        Ok(Rc::new(script))
    }

    /// Whether the script has this hook.
    pub(crate) fn has(&self, hook: Hook) -> bool {
        self.state.get() == State::Loaded && self.hooks.borrow()[hook as usize].is_some()
    }

    /// Whether it has this hook, or may have once it is loaded.
    pub(crate) fn may_have(&self, hook: Hook) -> bool {
        self.has(hook) || (self.state.get() == State::Loading && self.named.has(hook))
    }

    /// The hooks that it has.
    pub(crate) fn hooks(&self) -> Hooks {
        let mut hooks = Hooks::default();
        for hook in Hook::all().filter(|hook| self.has(*hook)) {
            hooks.insert(hook);
        }
        hooks
    }

    /// Gives it something to do, whatever it has to do already.
    pub(crate) fn push(&self, item: Item) {
        self.backlog.set(self.backlog.get() + item.size());
        self.events.set(self.events.get() + item.events());
        self.items.borrow_mut().push_back(item);
    }

    /// Gives it something to do, if its backlog has room; says whether it had.
    pub(crate) fn offer(&self, item: Item, calls: u64) -> bool {
        let fits = self.backlog.get() + item.size() <= self.scope.shared.options.backlog_bytes;
        if !fits {
            self.dropped.set(self.dropped.get() + calls);
            if let Some(hook) = item.hook() {
                let mut of_all = self.scope.shared.backlog_full.get();
                of_all[hook as usize] += calls;
                self.scope.shared.backlog_full.set(of_all);
            }
            return false;
        }
        self.push(item);
        true
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.items.borrow().is_empty()
    }

    /// Entries and packets that wait for it.
    pub(crate) fn events(&self) -> u64 {
        self.events.get()
    }

    pub(crate) fn report(&self) -> ScriptReport {
        ScriptReport {
            index: self.scope.index,
            calls: self.calls.get(),
            errors: self.errors.get(),
            dropped: self.dropped.get(),
        }
    }

    /// Replaces `env`, in place: the script's own object stays. Also while the script waits in the middle of a call.
    pub(crate) fn set_env(&self, env: &Map<String, Value>, other: &mut Context) -> JsResult<()> {
        match self.context.try_borrow_mut() {
            Ok(mut context) => set_env(&self.scope.env, env, &mut context),
            Err(_) => set_env(&self.scope.env, env, other),
        }
    }

    /// Works off what there is to do, for a turn.
    pub(crate) fn run(&self) {
        let mut context = self.context.borrow_mut();
        self.find_hooks(&mut context);
        let started = Instant::now();
        for _ in 0..TURN_CALLS {
            if self.state.get() == State::Gone {
                return;
            }
            let Some(item) = self.items.borrow_mut().pop_front() else { break };
            self.backlog.set(self.backlog.get().saturating_sub(item.size()));
            self.events.set(self.events.get().saturating_sub(item.events()));
            self.perform(item, &mut context);
            if started.elapsed() > TURN_TIME {
                break;
            }
        }
        // A hook may have been defined by another one.
        self.find_hooks(&mut context);
    }

    fn perform(&self, item: Item, context: &mut Context) {
        match item {
            Item::Main(code) => self.load(&code, context),
            Item::Entry(feed, range) => {
                let text = feed.bytes.get(range).unwrap_or_default();
                self.call(Hook::OnItemCaptured, context, |plain, context| {
                    Ok(vec![lazy::entry(text, plain, context)?])
                });
            }
            Item::Packets(feed, range) => self.packets(&feed, range, context),
            Item::Query(mut query) => {
                if let Some(changed) = self.query(&query, context) {
                    (query.text, query.is_changed) = (changed, true);
                }
                self.scope.shared.queries.borrow_mut().push(query);
            }
            Item::Hook(hook, args) => {
                self.call(hook, context, |_, context| {
                    args.iter().map(|arg| json::from_value(arg, context)).collect()
                });
            }
            Item::Task(task, last) => {
                if last {
                    self.scope.timers.set(self.scope.timers.get().saturating_sub(1));
                }
                self.guard("a timer", context, |context| perform_task(&task, context));
            }
            Item::Job(number) => self.job(number, context),
        }
    }

    /// The records one by one; what a turn has no time for is put back.
    fn packets(&self, feed: &Rc<Feed>, range: Range<usize>, context: &mut Context) {
        let started = Instant::now();
        let mut at = range.start;
        let records = feed.bytes.get(range.clone()).unwrap_or_default().as_chunks().0;
        for record in records {
            let info = PacketInfo::read(record);
            self.call(Hook::OnPacketCaptured, context, |plain, context| {
                Ok(vec![lazy::packet(info, plain, context)?])
            });
            at += PacketInfo::SIZE;
            if at.is_multiple_of(4096) && started.elapsed() > TURN_TIME && at < range.end {
                let rest = Item::Packets(Rc::clone(feed), at..range.end);
                self.backlog.set(self.backlog.get() + rest.size());
                self.events.set(self.events.get() + rest.events());
                self.items.borrow_mut().push_front(rest);
                return;
            }
        }
    }

    /// The entry as the script changed it; `None`: as it was, because nothing came back, or too late.
    fn query(&self, query: &Query, context: &mut Context) -> Option<Vec<u8>> {
        if self.scope.shared.clock.ticks() > query.until {
            return None;
        }
        let given = self.call(Hook::OnItemQueried, context, |plain, context| {
            Ok(vec![lazy::entry(&query.text, plain, context)?])
        })?;
        given.as_object()?;
        json::stringify(&given, &self.scope.shared.options, context).ok().flatten()
    }

    fn job(&self, number: u64, context: &mut Context) {
        let shared = &self.scope.shared;
        let now = shared.clock.now_millis();
        let job = shared
            .jobs
            .borrow_mut()
            .begin(number, now)
            .map(|job| (job.task.clone(), job.tag.clone(), job.cron.clone(), job.limit));
        let Some((task, tag, cron, limit)) = job else { return };
        let mut failure = None;
        let passed = self.guard_with(
            &format!("job \"{tag}\""),
            context,
            |context| perform_task(&task, context),
            |error| {
                failure = Some(error.to_owned());
            },
        );
        shared.jobs.borrow_mut().end(number, passed.is_some());
        let hook = if passed.is_some() { Hook::OnJobPassed } else { Hook::OnJobFailed };
        self.call(hook, context, |_, _| {
            let mut args = vec![text(&tag), text(&cron), JsValue::from(limit as f64)];
            args.extend(failure.as_deref().map(text));
            Ok(args)
        });
    }

    /// Calls a hook, if the script has it.
    fn call(
        &self,
        hook: Hook,
        context: &mut Context,
        args: impl FnOnce(bool, &mut Context) -> JsResult<Vec<JsValue>>,
    ) -> Option<JsValue> {
        let function = self.hooks.borrow()[hook as usize].clone()?;
        self.guard(hook.name(), context, |context| {
            let args = args(self.plain, context)?;
            function.call(&JsValue::undefined(), &args, context)
        })
    }

    /// Runs something of the script's. What it throws is told, what it uses up is a strike; the script stays.
    fn guard(
        &self,
        what: &str,
        context: &mut Context,
        run: impl FnOnce(&mut Context) -> JsResult<JsValue>,
    ) -> Option<JsValue> {
        self.guard_with(what, context, run, |_| {})
    }

    fn guard_with(
        &self,
        what: &str,
        context: &mut Context,
        run: impl FnOnce(&mut Context) -> JsResult<JsValue>,
        failed: impl FnOnce(&str),
    ) -> Option<JsValue> {
        self.calls.set(self.calls.get() + 1);
        self.scope.shared.marker.call();
        let result = run(context).and_then(|value| {
            if !self.promises.is_empty() {
                context.run_jobs()?;
            }
            Ok(value)
        });
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.promises.clear();
                self.errors.set(self.errors.get() + 1);
                let (message, trace) = self.explain(&error, context);
                failed(&message);
                self.tell(what, &message, &trace);
                if error.as_engine().is_some() {
                    self.scope.shared.output.send(FromScripts::Strike {
                        index: self.scope.index,
                        why: format!("{what}: {message}"),
                    });
                }
                None
            }
        }
    }

    /// What an error says, and where it came from.
    fn explain(&self, error: &JsError, context: &mut Context) -> (String, String) {
        let whole = error.to_string();
        let trace = whole.find("\n    at ").map_or("", |at| &whole[at..]).to_owned();
        let message = match error.as_opaque() {
            Some(value) => json::show(value, &self.scope.shared.options, context).ok(),
            None => None,
        };
        let message = message.unwrap_or_else(|| whole[..whole.len() - trace.len()].to_owned());
        (message, trace)
    }

    /// Tells an error with the script's title, the line and the stack; not more than a few in a second.
    fn tell(&self, what: &str, message: &str, trace: &str) {
        let second = self.scope.shared.clock.ticks() / 1_000_000_000;
        let (last, told) = self.told.get();
        let told = if last == second { told } else { 0 };
        self.told.set((second, told + 1));
        let title = &self.scope.title;
        match told {
            0..ERRORS_PER_SECOND => {
                self.scope.print(LineKind::Error, &format!("{title}: {what}: {message}{trace}"));
            }
            ERRORS_PER_SECOND => {
                self.scope
                    .print(LineKind::Error, &format!("{title}: more errors in this second are only counted"));
            }
            _ => {}
        }
    }

    /// Runs the top level.
    fn load(&self, code: &str, context: &mut Context) {
        let scope = &self.scope;
        let options = &scope.shared.options;
        let nested = source::nesting(code);
        let refused = if code.len() > options.source_bytes {
            Some(format!("{} bytes of source, where {} are the most", code.len(), options.source_bytes))
        } else if nested > options.source_nesting {
            Some(format!("{nested} brackets in one another, where {} are the most", options.source_nesting))
        } else {
            None
        };
        let mut why = refused.clone();
        if refused.is_none() {
            let path = if scope.title.is_empty() { "script" } else { scope.title.as_str() };
            let source = Source::from_bytes(code).with_path(Path::new(path));
            self.guard_with(
                "loading",
                context,
                |context| context.eval(source),
                |error| {
                    why = Some(error.to_owned());
                },
            );
        }
        if let Some(refused) = refused {
            scope.print(LineKind::Error, &format!("{}: loading: {refused}", scope.title));
        }
        let (index, title) = (scope.index, scope.title.clone());
        if let Some(why) = why {
            self.state.set(State::Gone);
            scope.shared.output.send(FromScripts::Refused { index, title, why });
            return;
        }
        *self.finders.borrow_mut() = finders(code, context);
        self.state.set(State::Loaded);
        scope.shared.output.send(FromScripts::Loaded { index, title });
    }

    fn find_hooks(&self, context: &mut Context) {
        for (hook, finder) in &*self.finders.borrow() {
            let found = finder.evaluate(context).ok().and_then(|found| found.as_object());
            self.hooks.borrow_mut()[*hook as usize] = found.and_then(JsFunction::from_object);
        }
    }
}

fn text(text: &str) -> JsValue {
    JsString::from(text).into()
}

fn named(code: &str) -> Hooks {
    let mut hooks = Hooks::default();
    HOOKS.iter().filter(|row| code.contains(row.name)).for_each(|row| hooks.insert(row.hook));
    hooks
}

fn finders(code: &str, context: &mut Context) -> Vec<(Hook, Code)> {
    let named = HOOKS.iter().filter(|row| code.contains(row.name));
    let parsed = named.filter_map(|row| {
        let name = row.name;
        let text = format!("typeof {name} === 'function' ? {name} : undefined");
        Some((row.hook, Code::parse(Source::from_bytes(&text), None, context).ok()?))
    });
    parsed.collect()
}

fn perform_task(task: &Task, context: &mut Context) -> JsResult<JsValue> {
    match task {
        Task::Script { function, args } => function.call(&JsValue::undefined(), args, context),
        Task::Native { helper, run } => run(&mut Call::new(helper, &[], context)?),
    }
}

fn set_env(object: &JsObject, env: &Map<String, Value>, context: &mut Context) -> JsResult<()> {
    for key in object.own_property_keys(context)? {
        if !env.contains_key(json::name(&key).to_std_string_lossy().as_str()) {
            object.delete_property_or_throw(key, context)?;
        }
    }
    for (name, value) in env {
        let value = json::from_value(value, context)?;
        let property =
            PropertyDescriptor::builder().value(value).writable(true).enumerable(true).configurable(true);
        object.insert_property(JsString::from(name.as_str()), property.build());
    }
    Ok(())
}
