//! `setTimeout` and `setInterval`.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use boa_engine::{
    Context, JsNativeError, JsResult, JsString, JsValue, NativeFunction,
    object::{FunctionObjectBuilder, builtins::JsFunction},
};

use super::{Scope, Task};

/// Timers of all scripts, by the time they are due and their number.
#[derive(Default)]
pub(crate) struct Timers {
    due: BTreeMap<(u64, u64), Timer>,
    last: u64,
}

struct Timer {
    instance: u64,
    task: Task,
    every: Option<u64>,
}

impl Timers {
    /// Runs the task after this time, and then again and again if `every` is given. Returns the timer's number.
    pub(crate) fn add(
        &mut self,
        scope: &Rc<Scope>,
        task: Task,
        delay: Duration,
        every: Option<Duration>,
    ) -> JsResult<u64> {
        let shared = &scope.shared;
        let limit = shared.options.timers;
        if scope.timers.get() >= limit {
            let message = format!("more than {limit} timers");
            return Err(JsNativeError::range().with_message(message).into());
        }
        scope.timers.set(scope.timers.get() + 1);
        self.last += 1;
        let due = shared.clock.ticks().saturating_add(delay.as_nanos() as u64);
        let every = every.map(|every| every.as_nanos() as u64);
        self.due.insert((due, self.last), Timer { instance: scope.instance, task, every });
        Ok(self.last)
    }

    /// Forgets a timer of this script.
    fn remove(&mut self, scope: &Scope, number: u64) {
        let found = self.due.extract_if(.., |key, timer| key.1 == number && timer.instance == scope.instance);
        scope.timers.set(scope.timers.get() - found.count());
    }

    /// Forgets all timers of a script.
    pub(crate) fn forget(&mut self, instance: u64) {
        self.due.retain(|_, timer| timer.instance != instance);
    }

    /// When the next one is due, in ticks of the clock.
    pub(crate) fn next(&self) -> Option<u64> {
        self.due.first_key_value().map(|(key, _)| key.0)
    }

    /// One that is due by now: its script and its task. `bool`: it was its last time.
    pub(crate) fn take(&mut self, now: u64) -> Option<(u64, Task, bool)> {
        let key = *self.due.first_key_value().filter(|(key, _)| key.0 <= now)?.0;
        let timer = self.due.remove(&key)?;
        let (instance, task, last) = (timer.instance, timer.task.clone(), timer.every.is_none());
        if let Some(every) = timer.every {
            // Late ones are not made up for.
            self.due.insert((now.saturating_add(every.max(1_000_000)), key.1), timer);
        }
        Some((instance, task, last))
    }
}

/// Puts the four functions where scripts find them.
pub(crate) fn install(context: &mut Context) -> JsResult<()> {
    let set = |repeats: bool| {
        NativeFunction::from_copy_closure(move |_, args, context| set(args, repeats, context))
    };
    let clear = NativeFunction::from_fn_ptr(clear);
    for (name, length, function) in [
        ("setTimeout", 2, set(false)),
        ("setInterval", 2, set(true)),
        ("clearTimeout", 1, clear.clone()),
        ("clearInterval", 1, clear),
    ] {
        let name = JsString::from(name);
        let function =
            FunctionObjectBuilder::new(context.realm(), function).name(name.clone()).length(length).build();
        context.global_object().set(name, function, true, context)?;
    }
    Ok(())
}

fn set(args: &[JsValue], repeats: bool, context: &mut Context) -> JsResult<JsValue> {
    let function = args.first().and_then(JsValue::as_object).and_then(JsFunction::from_object);
    let Some(function) = function else {
        return Err(JsNativeError::typ().with_message("a timer needs a function").into());
    };
    let millis = args.get(1).map_or(Ok(0.0), |millis| millis.to_number(context))?;
    // What is no time is none; what is longer than a century is a century.
    let millis = if millis.is_nan() { 0.0 } else { millis.clamp(0.0, 3.2e12) };
    let delay = Duration::from_secs_f64(millis / 1000.0);
    let scope = Scope::of(context)?;
    let task = Task::Script { function, args: args.get(2..).unwrap_or_default().into() };
    let number = scope.shared.timers.borrow_mut().add(&scope, task, delay, repeats.then_some(delay))?;
    Ok((number as f64).into())
}

fn clear(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let number = args.first().map_or(Ok(0.0), |number| number.to_number(context))?;
    let scope = Scope::of(context)?;
    scope.shared.timers.borrow_mut().remove(&scope, number as u64);
    Ok(JsValue::undefined())
}
