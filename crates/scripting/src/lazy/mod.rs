//! Entries and packets as JavaScript sees them: only what a script reads is converted.
//!
//! A lazy object holds the text of its members. Getters on a prototype, which all objects with the same keys share,
//! convert a member when it is read and keep what they made as the object's own. An assignment makes an own property
//! too. Whatever asks for all own keys (`Object.keys`, `hasOwnProperty`, …) first makes a plain object of it.
//!
//! What JavaScript cannot be asked to announce is left: spreading, `delete`, `Reflect`, proxies. A script whose text has
//! one of these gets plain objects from the start ([`wants_plain`]).

mod keys;
mod scan;

use std::rc::Rc;

use boa_engine::{
    Context, JsData, JsObject, JsResult, JsString, JsValue, NativeFunction, js_string,
    object::{FunctionObjectBuilder, builtins::JsDate},
    property::PropertyDescriptor,
};
use boa_gc::{Finalize, Trace};

pub(crate) use keys::{Keys, Shapes};

use crate::{engine::Scope, json, wire::PacketInfo};

/// What an object is made of that was not asked for everything yet.
#[derive(Trace, Finalize, JsData)]
// Texts, numbers and names: nothing in it is the collector's.
#[boa_gc(unsafe_empty_trace)]
struct Lazy {
    keys: Rc<Keys>,
    source: Source,
}

enum Source {
    /// The text of an object, and where in it the members' values are.
    Json {
        text: Rc<[u8]>,
        spans: Box<[scan::Span]>,
        depth: u8,
    },
    Packet(PacketInfo),
    /// It is a plain object now.
    Spent,
}

/// Whether a script does what lazy objects cannot see.
pub(crate) fn wants_plain(code: &str) -> bool {
    ["...", "delete", "Reflect", "Proxy"].iter().any(|word| code.contains(word))
}

/// An entry from its JSON.
pub(crate) fn entry(text: &[u8], plain: bool, context: &mut Context) -> JsResult<JsValue> {
    if !plain && let Some(object) = object(&Rc::from(text), (0, text.len() as u32), 0, context)? {
        return Ok(object.into());
    }
    let value = json::parse(text, context)?;
    if let Some(object) = value.as_object() {
        for half in [js_string!("request"), js_string!("response")] {
            if object.get(half.clone(), context)?.is_null() {
                let empty = JsObject::with_object_proto(context.intrinsics());
                object.create_data_property(half, empty, context)?;
            }
        }
    }
    Ok(value)
}

/// A packet.
pub(crate) fn packet(info: PacketInfo, plain: bool, context: &mut Context) -> JsResult<JsValue> {
    let (keys, prototype) = Scope::of(context)?.shapes.borrow_mut().packet(context);
    let object = JsObject::from_proto_and_data(prototype, Lazy { keys, source: Source::Packet(info) });
    if plain {
        materialise(&object, context)?;
    }
    Ok(object.into())
}

/// A lazy object of the text at this place; `None` where it has to be parsed.
fn object(text: &Rc<[u8]>, span: scan::Span, depth: u8, context: &mut Context) -> JsResult<Option<JsObject>> {
    let scope = Scope::of(context)?;
    let mut shapes = scope.shapes.borrow_mut();
    let Some((keys, prototype, spans)) = shapes.scan(text, span, context) else { return Ok(None) };
    let source = Source::Json { text: Rc::clone(text), spans, depth };
    Ok(Some(JsObject::from_proto_and_data(prototype, Lazy { keys, source })))
}

/// The getter of the member with this number.
fn get(this: &JsValue, at: usize, context: &mut Context) -> JsResult<JsValue> {
    let Some(object) = this.as_object() else { return Ok(JsValue::undefined()) };
    let Some((key, value, keep)) = convert(&object, at, context)? else { return Ok(JsValue::undefined()) };
    if keep {
        own(&object, key, value.clone());
    }
    Ok(value)
}

/// The setter of the member with this number.
fn set(this: &JsValue, at: usize, value: JsValue) {
    if let Some(object) = this.as_object() {
        let key = object.downcast_ref::<Lazy>().and_then(|lazy| lazy.keys.name(at));
        if let Some(key) = key {
            own(&object, key, value);
        }
    }
}

fn own(object: &JsObject, key: JsString, value: JsValue) {
    let property =
        PropertyDescriptor::builder().value(value).writable(true).enumerable(true).configurable(true);
    object.insert_property(key, property.build());
}

/// A member's name and value, and whether the value is worth keeping.
fn convert(
    object: &JsObject,
    at: usize,
    context: &mut Context,
) -> JsResult<Option<(JsString, JsValue, bool)>> {
    let Some(lazy) = object.downcast_ref::<Lazy>() else { return Ok(None) };
    let Some(key) = lazy.keys.name(at) else { return Ok(None) };
    let (text, span, depth) = match &lazy.source {
        Source::Spent => return Ok(None),
        Source::Packet(info) => {
            let info = *info;
            drop(lazy);
            return Ok(Some((key, packet_field(info, at, context)?, at == 0)));
        }
        Source::Json { text, spans, depth } => match spans.get(at) {
            Some(span) => (Rc::clone(text), *span, *depth),
            None => return Ok(None),
        },
    };
    let is_half = depth == 0 && lazy.keys.is_half(at);
    drop(lazy);
    let bytes = scan::slice(&text, span);
    let value = match bytes.first() {
        Some(b'n') if is_half => JsObject::with_object_proto(context.intrinsics()).into(),
        Some(b'{') if depth == 0 => match self::object(&text, span, 1, context)? {
            Some(object) => object.into(),
            None => json::parse(bytes, context)?,
        },
        _ => json::parse(bytes, context)?,
    };
    let keep = value.is_object() || value.is_string();
    Ok(Some((key, value, keep)))
}

fn packet_field(info: PacketInfo, at: usize, context: &mut Context) -> JsResult<JsValue> {
    Ok(match at {
        0 => {
            let date = JsDate::new(context);
            date.set_time(info.at.div_euclid(1_000_000), context)?;
            date.into()
        }
        1 => JsValue::from(info.captured),
        2 => JsValue::from(info.length),
        3 => info.is_truncated().into(),
        _ => info.fragmented.into(),
    })
}

/// Whether it is a lazy object that is not a plain one yet.
pub(crate) fn is(object: &JsObject) -> bool {
    object.downcast_ref::<Lazy>().is_some_and(|lazy| !matches!(lazy.source, Source::Spent))
}

/// The members of a lazy object, in order: name, the value that is its own if there is one, its text otherwise.
#[expect(clippy::type_complexity, reason = "a name, a value or its text")]
pub(crate) fn fields(
    object: &JsObject,
    context: &mut Context,
) -> JsResult<Vec<(JsString, Option<JsValue>, Vec<u8>)>> {
    let Some(keys) = object.downcast_ref::<Lazy>().map(|lazy| Rc::clone(&lazy.keys)) else {
        return Ok(Vec::new());
    };
    let mut fields = Vec::with_capacity(keys.len());
    for at in 0..keys.len() {
        let Some(key) = keys.name(at) else { continue };
        let mut own =
            object.borrow().properties().get(&key.clone().into()).and_then(|own| own.value().cloned());
        let mut text = Vec::new();
        if own.is_none() {
            match object.downcast_ref::<Lazy>().as_deref() {
                Some(Lazy { source: Source::Json { text: all, spans, .. }, .. }) => {
                    text = spans.get(at).map_or_else(Vec::new, |span| scan::slice(all, *span).to_vec());
                    if text == b"null" && keys.is_half(at) {
                        text = b"{}".to_vec();
                    }
                }
                _ => own = Some(JsValue::undefined()),
            }
            if own.is_some() || !scan::is_canonical(&text) {
                own = convert(object, at, context)?.map(|(_, value, _)| value);
            }
        }
        fields.push((key, own, text));
    }
    for key in object.own_property_keys(context)? {
        let name = json::name(&key);
        if !matches!(key, boa_engine::property::PropertyKey::Symbol(_)) && keys.place(&name).is_none() {
            fields.push((name, Some(object.get(key, context)?), Vec::new()));
        }
    }
    Ok(fields)
}

/// Makes a plain object of a lazy one: all members its own, in their order.
pub(crate) fn materialise(object: &JsObject, context: &mut Context) -> JsResult<()> {
    if !is(object) {
        return Ok(());
    }
    let Some(keys) = object.downcast_ref::<Lazy>().map(|lazy| Rc::clone(&lazy.keys)) else { return Ok(()) };
    let mut members = Vec::new();
    for at in 0..keys.len() {
        let Some(key) = keys.name(at) else { continue };
        let own = object.borrow().properties().get(&key.clone().into()).and_then(|own| own.value().cloned());
        let value = match own {
            Some(own) => own,
            None => convert(object, at, context)?.map(|(_, value, _)| value).unwrap_or_default(),
        };
        members.push((key.into(), value));
    }
    for key in object.own_property_keys(context)? {
        if keys.place(&json::name(&key)).is_none() {
            members.push((key.clone(), object.get(key, context)?));
        }
    }
    for key in object.own_property_keys(context)? {
        object.delete_property_or_throw(key, context)?;
    }
    if let Some(mut lazy) = object.downcast_mut::<Lazy>() {
        lazy.source = Source::Spent;
    }
    let plain = context.intrinsics().constructors().object().prototype();
    object.set_prototype(Some(plain));
    for (key, value) in members {
        object.create_data_property(key, value, context)?;
    }
    Ok(())
}

/// Functions of `Object` and `Object.prototype` that ask for own keys of their first argument, or of `this`.
const STATIC: [&str; 8] = [
    "keys",
    "values",
    "entries",
    "getOwnPropertyNames",
    "getOwnPropertyDescriptor",
    "getOwnPropertyDescriptors",
    "hasOwn",
    "freeze",
];
const METHODS: [&str; 2] = ["hasOwnProperty", "propertyIsEnumerable"];

/// Lets the functions that ask for own keys make plain objects first.
pub(crate) fn install(context: &mut Context) -> JsResult<()> {
    let constructor = context.intrinsics().constructors().object().constructor();
    let prototype = context.intrinsics().constructors().object().prototype();
    for (holder, names, of_this) in [(&constructor, &STATIC[..], false), (&prototype, &METHODS[..], true)] {
        for name in names {
            let name = JsString::from(*name);
            let original = holder.get(name.clone(), context)?;
            let Some(original) = original.as_object() else { continue };
            let announce = NativeFunction::from_copy_closure_with_captures(
                move |this, args, original: &JsObject, context| {
                    let asked = if of_this { Some(this) } else { args.first() };
                    if let Some(object) = asked.and_then(JsValue::as_object) {
                        materialise(&object, context)?;
                    }
                    original.call(this, args, context)
                },
                original,
            );
            replace(holder, name, 1, announce, context)?;
        }
    }
    let original = constructor.get(js_string!("assign"), context)?;
    if let Some(original) = original.as_object() {
        let assign = NativeFunction::from_copy_closure_with_captures(
            |this, args, original: &JsObject, context| {
                for object in args.iter().filter_map(JsValue::as_object) {
                    materialise(&object, context)?;
                }
                original.call(this, args, context)
            },
            original,
        );
        replace(&constructor, js_string!("assign"), 2, assign, context)?;
    }
    Ok(())
}

fn replace(
    holder: &JsObject,
    name: JsString,
    length: usize,
    function: NativeFunction,
    context: &mut Context,
) -> JsResult<()> {
    let function =
        FunctionObjectBuilder::new(context.realm(), function).name(name.clone()).length(length).build();
    let property = PropertyDescriptor::builder().value(function).writable(true).configurable(true);
    holder.define_property_or_throw(name, property, context).map(drop)
}
