//! The prototypes of lazy objects: one for each sequence of keys.

use std::rc::Rc;

use boa_engine::{
    Context, JsObject, JsString, NativeFunction, js_string, object::FunctionObjectBuilder,
    property::PropertyDescriptor,
};

use super::scan::{self, Span};

/// Sequences of keys that are remembered at each depth; objects with others are parsed.
const MAX_SHAPES: usize = 32;

/// Keys of an object, in order.
pub(crate) struct Keys(Vec<JsString>);

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn name(&self, at: usize) -> Option<JsString> {
        self.0.get(at).cloned()
    }

    pub(super) fn place(&self, name: &JsString) -> Option<usize> {
        self.0.iter().position(|key| key == name)
    }

    /// Whether `null` here is an empty object to JavaScript.
    pub(super) fn is_half(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(|key| *key == js_string!("request") || *key == js_string!("response"))
    }
}

struct Shape {
    /// Each key as it is in the text, in its quotes.
    quoted: Vec<Box<[u8]>>,
    keys: Rc<Keys>,
    prototype: JsObject,
}

impl Shape {
    /// Whether its key at this place is the one that the text goes on with.
    fn goes_on(&self, at: usize, text: &[u8]) -> Option<usize> {
        let quoted = self.quoted.get(at)?;
        text.starts_with(quoted).then_some(quoted.len())
    }
}

/// What a script's lazy objects have in common. Dropped with the script, so nothing here holds on to its objects.
#[derive(Default)]
pub(crate) struct Shapes {
    /// Those of entries, then those of the objects in them; the last used first.
    known: [Vec<Shape>; 2],
    packet: Option<(Rc<Keys>, JsObject)>,
    spans: Vec<Span>,
}

impl Shapes {
    /// The keys and the prototype of the object at this place of the text, and where its values are. `None` for an
    /// object that is no entry's: its keys are numbers, or escaped, or of ever new kinds.
    pub(super) fn scan(
        &mut self,
        text: &[u8],
        at: Span,
        depth: u8,
        context: &mut Context,
    ) -> Option<(Rc<Keys>, JsObject, Box<[Span]>)> {
        let known = self.known.get_mut(usize::from(depth))?;
        let place = recognise(known, text, at, &mut self.spans);
        let place = place.or_else(|| learn(known, text, at, &mut self.spans, context))?;
        if place > 0 {
            // What was seen last is likely to be seen next.
            known[..=place].rotate_right(1);
        }
        let shape = known.first()?;
        Some((Rc::clone(&shape.keys), shape.prototype.clone(), self.spans.as_slice().into()))
    }

    /// Keys and prototype of packets.
    pub(super) fn packet(&mut self, context: &mut Context) -> (Rc<Keys>, JsObject) {
        let (keys, prototype) = self.packet.get_or_insert_with(|| {
            let names = ["timestamp", "captureLength", "length", "truncated", "fragmented"];
            let names: Vec<_> = names.into_iter().map(JsString::from).collect();
            let prototype = prototype(&names, context);
            (Rc::new(Keys(names)), prototype)
        });
        (Rc::clone(keys), prototype.clone())
    }
}

/// The shape of an object whose keys are known, and its values' places. Each key is compared with the one that is expected
/// there: of the shape that was last used, or of another that began likewise.
fn recognise(known: &[Shape], text: &[u8], at: Span, spans: &mut Vec<Span>) -> Option<usize> {
    spans.clear();
    let (mut place, mut seen) = (0, 0);
    let key = |at: usize| {
        let rest = text.get(at..)?;
        let len = known.get(place)?.goes_on(seen, rest).or_else(|| {
            let begun = &known[place].quoted[..seen.min(known[place].quoted.len())];
            let (other, len) = known.iter().enumerate().find_map(|(other, shape)| {
                Some((other, shape.goes_on(seen, rest).filter(|_| shape.quoted.starts_with(begun))?))
            })?;
            place = other;
            Some(len)
        })?;
        seen += 1;
        Some(at + len)
    };
    scan::members(text, at, key, |value| spans.push(value))?;
    let begun = known.get(place)?.quoted.get(..seen)?;
    if begun.len() == known[place].quoted.len() {
        return Some(place);
    }
    known.iter().position(|shape| shape.quoted == begun)
}

/// Makes a shape for an object that is like none before. Gives its place.
fn learn(
    known: &mut Vec<Shape>,
    text: &[u8],
    at: Span,
    spans: &mut Vec<Span>,
    context: &mut Context,
) -> Option<usize> {
    spans.clear();
    let mut quoted: Vec<Box<[u8]>> = Vec::new();
    let key = |at: usize| {
        let end = scan::string(text, at)?;
        let key = text.get(at..end)?;
        let is_name = !matches!(key.get(1), None | Some(b'"' | b'0'..=b'9' | b'_')) && !key.contains(&b'\\');
        quoted.push(key.into());
        is_name.then_some(end)
    };
    scan::members(text, at, key, |value| spans.push(value))?;
    if known.len() >= MAX_SHAPES {
        return None;
    }
    let names =
        quoted.iter().map(|key| str::from_utf8(key).ok().map(|key| JsString::from(key.trim_matches('"'))));
    let names: Vec<_> = names.collect::<Option<_>>()?;
    if names.iter().enumerate().any(|(at, name)| names[..at].contains(name)) {
        return None;
    }
    let prototype = prototype(&names, context);
    known.push(Shape { quoted, keys: Rc::new(Keys(names)), prototype });
    Some(known.len() - 1)
}

/// An object whose getters convert the members of the objects that inherit from it.
fn prototype(names: &[JsString], context: &mut Context) -> JsObject {
    let prototype = JsObject::with_object_proto(context.intrinsics());
    for (at, name) in names.iter().enumerate() {
        let getter = NativeFunction::from_copy_closure(move |this, _, context| super::get(this, at, context));
        let setter = NativeFunction::from_copy_closure(move |this, args, _| {
            super::set(this, at, args.first().cloned().unwrap_or_default());
            Ok(boa_engine::JsValue::undefined())
        });
        let getter = FunctionObjectBuilder::new(context.realm(), getter).build();
        let setter = FunctionObjectBuilder::new(context.realm(), setter).build();
        let property =
            PropertyDescriptor::builder().get(getter).set(setter).enumerable(true).configurable(true);
        prototype.insert_property(name.clone(), property.build());
    }
    prototype
}
