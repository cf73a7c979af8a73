//! The prototypes of lazy objects: one for each sequence of keys.

use std::rc::Rc;

use boa_engine::{
    Context, JsObject, JsString, NativeFunction, js_string, object::FunctionObjectBuilder,
    property::PropertyDescriptor,
};

use super::scan::{self, Span};

/// Sequences of keys that are remembered; objects with others are parsed.
const MAX_SHAPES: usize = 64;

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
    /// The keys' text, a zero byte behind each.
    joined: Vec<u8>,
    keys: Rc<Keys>,
    prototype: JsObject,
}

/// What a script's lazy objects have in common. Dropped with the script, so nothing here holds on to its objects.
#[derive(Default)]
pub(crate) struct Shapes {
    known: Vec<Shape>,
    packet: Option<(Rc<Keys>, JsObject)>,
    joined: Vec<u8>,
    spans: Vec<Span>,
}

impl Shapes {
    /// The keys and the prototype of the object at this place of the text, and where its values are. `None` for an
    /// object that is no entry's: its keys are numbers, or escaped, or of ever new kinds.
    pub(super) fn scan(
        &mut self,
        text: &[u8],
        at: Span,
        context: &mut Context,
    ) -> Option<(Rc<Keys>, JsObject, Box<[Span]>)> {
        self.joined.clear();
        self.spans.clear();
        let (joined, spans) = (&mut self.joined, &mut self.spans);
        scan::members(text, at, |key, value| {
            let key = scan::slice(text, key);
            joined.extend_from_slice(key);
            joined.push(0);
            spans.push(value);
            (!matches!(key.first(), None | Some(b'0'..=b'9' | b'_'))).then_some(())
        })?;
        let place = self.known.iter().position(|shape| shape.joined == self.joined);
        let place = place.or_else(|| self.learn(context))?;
        // What was seen last is likely to be seen next.
        self.known.swap(place, place / 2);
        let shape = &self.known[place / 2];
        Some((Rc::clone(&shape.keys), shape.prototype.clone(), self.spans.as_slice().into()))
    }

    fn learn(&mut self, context: &mut Context) -> Option<usize> {
        if self.known.len() >= MAX_SHAPES || self.joined.contains(&b'\\') {
            return None;
        }
        let text = str::from_utf8(&self.joined).ok()?;
        let names: Vec<_> = text.split_terminator('\0').map(JsString::from).collect();
        if names.iter().enumerate().any(|(at, name)| names[..at].contains(name)) {
            return None;
        }
        let prototype = prototype(&names, context);
        let joined = self.joined.clone();
        self.known.push(Shape { joined, keys: Rc::new(Keys(names)), prototype });
        Some(self.known.len() - 1)
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
