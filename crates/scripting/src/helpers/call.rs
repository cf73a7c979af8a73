//! One call of a helper: its arguments, and what it may use.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Display,
    future::Future,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use boa_engine::{
    Context, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue,
    object::builtins::{JsArray, JsFunction},
};
use serde_json::Value;

use super::Helper;
use crate::{
    About, Host, Options,
    engine::{Scope, Task, fiber},
    json, lazy, lock,
    wire::LineKind,
};

/// An item's text, and what it says.
type Parsed = (Rc<[u8]>, Rc<Value>);

/// A call of a helper by a script.
///
/// Arguments are counted from 0. One that is missing or of the wrong kind is a `TypeError` that names it as the
/// helper's signature does.
pub struct Call<'a> {
    helper: &'static Helper,
    args: &'a [JsValue],
    context: &'a mut Context,
    scope: Rc<Scope>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        helper: &'static Helper,
        args: &'a [JsValue],
        context: &'a mut Context,
    ) -> JsResult<Self> {
        let scope = Scope::of(context)?;
        Ok(Self { helper, args, context, scope })
    }

    // === arguments

    /// How many there are.
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// As it is; `undefined` where there is none.
    pub fn value(&self, at: usize) -> JsValue {
        self.args.get(at).cloned().unwrap_or_default()
    }

    /// Whether it is there: neither `undefined` nor `null`.
    pub fn has(&self, at: usize) -> bool {
        self.args.get(at).is_some_and(|value| !value.is_null_or_undefined())
    }

    /// As text; an object as its JSON.
    pub fn string(&mut self, at: usize) -> JsResult<String> {
        self.optional_string(at)?.ok_or_else(|| self.misses(at, "a string"))
    }

    /// As text; an object as its JSON. `None` where it is `undefined` or `null`.
    pub fn optional_string(&mut self, at: usize) -> JsResult<Option<String>> {
        if self.has(at) { self.shown(at).map(Some) } else { Ok(None) }
    }

    /// As a number.
    pub fn number(&mut self, at: usize) -> JsResult<f64> {
        self.optional_number(at)?.ok_or_else(|| self.misses(at, "a number"))
    }

    /// As a number. `None` where it is `undefined` or `null`.
    pub fn optional_number(&mut self, at: usize) -> JsResult<Option<f64>> {
        if self.has(at) { self.value(at).to_number(self.context).map(Some) } else { Ok(None) }
    }

    /// As truth: what JavaScript takes for true.
    pub fn bool(&self, at: usize) -> bool {
        self.value(at).to_boolean()
    }

    /// As an object.
    pub fn object(&self, at: usize) -> JsResult<JsObject> {
        self.value(at).as_object().ok_or_else(|| self.misses(at, "an object"))
    }

    /// As a function.
    pub fn function(&self, at: usize) -> JsResult<JsFunction> {
        let function = self.value(at).as_object().and_then(JsFunction::from_object);
        function.ok_or_else(|| self.misses(at, "a function"))
    }

    /// As JSON; `null` where it is `undefined` or a function.
    pub fn json(&mut self, at: usize) -> JsResult<Value> {
        let value = self.value(at);
        self.to_json(&value)
    }

    /// As a record for KFL. An item that the script did nothing to yet is parsed once, however many queries it meets.
    pub(crate) fn record(&mut self, at: usize) -> JsResult<Rc<Value>> {
        let untouched = match self.value(at).as_object() {
            Some(object) => lazy::untouched(&object, self.context)?,
            None => None,
        };
        let Some(text) = untouched else { return self.json(at).map(Rc::new) };
        let last = self.state::<Option<Parsed>>();
        if let Some((of, record)) = &*last.borrow()
            && Rc::ptr_eq(of, &text)
        {
            return Ok(Rc::clone(record));
        }
        let record = Rc::new(lazy::record(&text).map_err(|error| self.error(error))?);
        *last.borrow_mut() = Some((text, Rc::clone(&record)));
        Ok(record)
    }

    /// As a list of texts. `None` where it is `undefined` or `null`.
    pub fn optional_strings(&mut self, at: usize) -> JsResult<Option<Vec<String>>> {
        if !self.has(at) {
            return Ok(None);
        }
        let array = JsArray::from_object(self.object(at)?).map_err(|_| self.misses(at, "an array"))?;
        let len = array.length(self.context)?;
        let mut texts = Vec::new();
        for index in 0..len {
            let item = array.get(index, self.context)?;
            texts.push(self.show(&item)?);
        }
        Ok(Some(texts))
    }

    /// As names and texts, as in HTTP headers or tags. `None` where it is `undefined` or `null`.
    pub fn optional_strings_by_name(&mut self, at: usize) -> JsResult<Option<BTreeMap<String, String>>> {
        if !self.has(at) {
            return Ok(None);
        }
        match self.json(at)? {
            Value::Object(map) => {
                let text = |value: Value| match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                Ok(Some(map.into_iter().map(|(name, value)| (name, text(value))).collect()))
            }
            _ => Err(self.misses(at, "an object")),
        }
    }

    /// As the console shows it: text as it is, an error as its message, another object as its JSON.
    pub fn shown(&mut self, at: usize) -> JsResult<String> {
        let value = self.value(at);
        self.show(&value)
    }

    /// Any value as the console shows it.
    pub fn show(&mut self, value: &JsValue) -> JsResult<String> {
        json::show(value, &self.scope.shared.options, self.context)
    }

    /// Any value as JSON; `null` for what JSON cannot say.
    pub fn to_json(&mut self, value: &JsValue) -> JsResult<Value> {
        let text = json::stringify(value, &self.scope.shared.options, self.context)?;
        let value = text.map(|text| serde_json::from_slice(&text));
        value.transpose().map(Option::unwrap_or_default).map_err(|error| self.error(error))
    }

    // === results

    /// Text for JavaScript.
    pub fn text(&self, text: &str) -> JsValue {
        JsString::from(text).into()
    }

    /// JSON for JavaScript.
    pub fn from_json(&mut self, value: &Value) -> JsResult<JsValue> {
        json::from_value(value, self.context)
    }

    /// An exception for the script: `"" + err` is `Error: ` and this.
    pub fn error(&self, why: impl Display) -> JsError {
        JsNativeError::error().with_message(why.to_string()).into()
    }

    /// A `TypeError` for an argument.
    pub fn misses(&self, at: usize, kind: &str) -> JsError {
        let Helper { name, signature, .. } = self.helper;
        let parameter = parameter(signature, at).unwrap_or("argument");
        let message = format!("{name}: {parameter} (argument {}) must be {kind}", at + 1);
        JsNativeError::typ().with_message(message).into()
    }

    // === what there is

    /// The engine, for helpers that call back.
    pub fn context(&mut self) -> &mut Context {
        self.context
    }

    /// The script's number.
    pub fn script(&self) -> u32 {
        self.scope.index
    }

    /// The script's title.
    pub fn title(&self) -> &str {
        &self.scope.title
    }

    /// Where this is.
    pub fn about(&self) -> &About {
        &self.scope.shared.about
    }

    /// What scripts may use.
    pub fn options(&self) -> &Options {
        &self.scope.shared.options
    }

    /// The process behind the scripts.
    pub fn host(&self) -> Arc<dyn Host> {
        Arc::clone(&self.scope.shared.host)
    }

    /// The services that scripts write to.
    pub fn outlets(&self) -> outlets::Outlets {
        self.scope.shared.outlets.clone()
    }

    /// A value of `env` as it is now, as text; `None` where there is none.
    pub fn env(&mut self, name: &str) -> JsResult<Option<String>> {
        let value = self.scope.env.get(JsString::from(name), self.context)?;
        if value.is_null_or_undefined() { Ok(None) } else { self.show(&value).map(Some) }
    }

    /// Milliseconds since the Unix epoch; in a rehearsal, of the capture.
    pub fn now_millis(&self) -> i64 {
        self.scope.shared.clock.now_millis()
    }

    /// State that a helper keeps for a script until it is loaded anew: one of each type.
    pub fn state<T: Default + 'static>(&self) -> Rc<RefCell<T>> {
        self.scope.state()
    }

    pub(crate) fn scope(&self) -> &Rc<Scope> {
        &self.scope
    }

    // === effects

    /// Writes a line to the console.
    pub fn print(&self, kind: LineKind, text: &str) {
        self.scope.print(kind, text);
    }

    /// Notes what the script thinks of an entry, for `kubeshark scripts test`.
    pub(crate) fn verdict(&self, passed: bool) {
        self.scope.shared.verdict(passed);
    }

    /// Before anything is sent to another service: whether it really is to be sent. In a rehearsal it is not, and
    /// `what` is noted instead; no secrets belong in it.
    pub fn sends(&self, what: Value) -> bool {
        self.scope.shared.sends(&self.scope, self.helper.name, what)
    }

    /// Waits for something outside of JavaScript. Meanwhile other scripts run, and no CPU time is charged.
    ///
    /// # Errors
    ///
    /// What the future says, as an exception.
    pub fn wait<T, E>(&mut self, future: impl Future<Output = Result<T, E>> + Send + 'static) -> JsResult<T>
    where
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let shared = &self.scope.shared;
        if !fiber::is_inside() {
            return shared.runtime.block_on(future).map_err(|error| self.error(error));
        }
        let slot = Arc::new(Mutex::new(None));
        let wake = Wake { shared: Arc::clone(&shared.inbox), instance: self.scope.instance };
        let fill = Arc::clone(&slot);
        shared.runtime.spawn(async move {
            let wake = wake;
            let result = future.await;
            *lock(&fill) = Some(result);
            drop(wake);
        });
        fiber::suspend();
        let result = lock(&slot).take();
        match result {
            Some(result) => result.map_err(|error| self.error(error)),
            None => Err(self.error(format_args!("{} broke off", self.helper.name))),
        }
    }

    /// Asks the process behind the scripts, and waits.
    pub fn ask(&mut self, request: crate::Request) -> JsResult<Value> {
        let answer = self.host().ask(request);
        self.wait(answer)
    }

    /// Calls this later, on behalf of the same script. Forgotten when the script is loaded anew.
    ///
    /// # Errors
    ///
    /// The script has as many timers as it may.
    pub fn after(&self, delay: Duration, run: fn(&mut Call<'_>) -> JsResult<JsValue>) -> JsResult<()> {
        let task = Task::Native { helper: self.helper, run };
        self.scope.shared.timers.borrow_mut().add(&self.scope, task, delay, None).map(drop)
    }
}

/// Wakes a fiber, also when what it waits for breaks off.
struct Wake {
    shared: Arc<crate::engine::Inbox>,
    instance: u64,
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.shared.wake(self.instance);
    }
}

/// The name of a parameter in a signature.
fn parameter(signature: &'static str, at: usize) -> Option<&'static str> {
    let list = signature.split_once('(')?.1;
    let mut depth = 0_i32;
    let mut start = 0;
    let mut parts = Vec::new();
    for (index, byte) in list.bytes().enumerate() {
        match byte {
            b'(' | b'{' | b'[' | b'<' => depth += 1,
            b')' if depth == 0 => {
                parts.push(&list[start..index]);
                break;
            }
            // The arrow of a function type.
            b'>' if list.as_bytes().get(index.wrapping_sub(1)) == Some(&b'=') => {}
            b')' | b'}' | b']' | b'>' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&list[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    let name = parts.get(at)?.split(':').next()?;
    Some(name.trim().trim_end_matches('?').trim_start_matches("..."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_named_as_in_the_signature() {
        for (signature, expected) in [
            ("a.b(): void", vec![]),
            ("a.b(url: string): void", vec!["url"]),
            (
                "a.b(f: (x: number, y: number) => void, n?: number, ...rest: any[]): void",
                vec!["f", "n", "rest"],
            ),
            ("a.b(map: Record<string, string>, o: { a: string, b: any }): string", vec!["map", "o"]),
        ] {
            let found: Vec<_> =
                (0..9).map_while(|at| parameter(signature, at)).filter(|n| !n.is_empty()).collect();
            assert_eq!(found, expected, "{signature}");
        }
    }
}
