//! `JSON.stringify`: values to text, bounded in depth.

use std::io::Write;

use boa_engine::string::{CodePoint, JsStrVariant};
use boa_engine::{
    Context, JsError, JsNativeError, JsObject, JsResult, JsStr, JsString, JsValue, JsVariant, js_string,
    object::builtins::{JsArray, JsFunction},
    property::PropertyKey,
};

use crate::{Options, lazy};

/// As `JSON.stringify(value)`; `None` for what it calls `undefined`.
pub(crate) fn stringify(
    value: &JsValue,
    options: &Options,
    context: &mut Context,
) -> JsResult<Option<Vec<u8>>> {
    let mut out = Vec::new();
    let mut writer = Writer::new(options.nesting, context);
    let said = writer.value(&mut out, value.clone(), &JsString::default(), None)?;
    Ok(said.then_some(out))
}

/// As the console shows a value: text as it is, an error as its message, another object as its JSON.
pub(crate) fn show(value: &JsValue, options: &Options, context: &mut Context) -> JsResult<String> {
    if let Some(object) = value.as_object()
        && !object.is_callable()
        && !object.is::<boa_engine::builtins::error::Error>()
        && let Some(text) = stringify(value, options, context)?
    {
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(match value.as_symbol() {
        Some(symbol) => symbol.to_string(),
        None => value.to_string(context)?.to_std_string_lossy(),
    })
}

/// `JSON.stringify(value, replacer, space)`.
pub(super) fn native(nesting: usize, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let argument = |at: usize| args.get(at).cloned().unwrap_or_default();
    let gap = gap(&argument(2), context)?;
    let mut writer = Writer::new(nesting, context);
    writer.gap = gap;
    if let Some(replacer) = argument(1).as_object() {
        if let Some(function) = JsFunction::from_object(replacer.clone()) {
            writer.replacer = Some(function);
        } else if replacer.is_array() {
            writer.only = Some(names(replacer, writer.context)?);
        }
    }
    let mut out = Vec::new();
    let holder = if writer.replacer.is_some() {
        let holder = JsObject::with_object_proto(writer.context.intrinsics());
        holder.create_data_property(js_string!(""), argument(0), writer.context)?;
        Some(holder)
    } else {
        None
    };
    let said = writer.value(&mut out, argument(0), &JsString::default(), holder.as_ref())?;
    if !said {
        return Ok(JsValue::undefined());
    }
    // What was written is UTF-8: it came from characters and escapes.
    Ok(JsString::from(String::from_utf8_lossy(&out).as_ref()).into())
}

fn gap(space: &JsValue, context: &mut Context) -> JsResult<String> {
    Ok(match space.variant() {
        JsVariant::String(text) => text.to_std_string_lossy().chars().take(10).collect(),
        JsVariant::Integer32(_) | JsVariant::Float64(_) => {
            " ".repeat(space.to_number(context)?.clamp(0.0, 10.0) as usize)
        }
        _ => String::new(),
    })
}

/// The names in a replacer that is an array.
fn names(array: JsObject, context: &mut Context) -> JsResult<Vec<PropertyKey>> {
    let array = JsArray::from_object(array)?;
    let mut names = Vec::new();
    for at in 0..array.length(context)? {
        let name = array.get(at, context)?;
        if name.is_string() || name.is_number() {
            let key = name.to_property_key(context)?;
            if !names.contains(&key) {
                names.push(key);
            }
        }
    }
    Ok(names)
}

struct Writer<'a> {
    context: &'a mut Context,
    nesting: usize,
    replacer: Option<JsFunction>,
    only: Option<Vec<PropertyKey>>,
    gap: String,
    /// The objects around the one that is being written.
    around: Vec<JsObject>,
}

impl<'a> Writer<'a> {
    fn new(nesting: usize, context: &'a mut Context) -> Self {
        Self { context, nesting, replacer: None, only: None, gap: String::new(), around: Vec::new() }
    }

    /// [`SerializeJSONProperty`](https://tc39.es/ecma262/#sec-serializejsonproperty): says whether there was anything to
    /// write.
    fn value(
        &mut self,
        out: &mut Vec<u8>,
        mut value: JsValue,
        key: &JsString,
        holder: Option<&JsObject>,
    ) -> JsResult<bool> {
        if let Some(object) = value.as_object() {
            let to_json = object.get(js_string!("toJSON"), self.context)?;
            if let Some(function) = to_json.as_object().and_then(JsFunction::from_object) {
                value = function.call(&value, &[key.clone().into()], self.context)?;
            }
        }
        if let (Some(replacer), Some(holder)) = (&self.replacer, holder) {
            value = replacer.call(&holder.clone().into(), &[key.clone().into(), value], self.context)?;
        }
        match value.variant() {
            JsVariant::Undefined | JsVariant::Symbol(_) => return Ok(false),
            JsVariant::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            JsVariant::Integer32(number) => write!(out, "{number}").map_err(JsError::from_rust)?,
            JsVariant::Float64(number) if number.is_finite() => {
                let text = value.to_string(self.context)?.to_std_string_lossy();
                out.extend_from_slice(text.as_bytes());
            }
            JsVariant::Null | JsVariant::Float64(_) => out.extend_from_slice(b"null"),
            JsVariant::String(text) => quote(out, text.as_str()),
            JsVariant::BigInt(_) => {
                return Err(JsNativeError::typ().with_message("a BigInt has no JSON").into());
            }
            JsVariant::Object(object) => return self.object(out, &object),
        }
        Ok(true)
    }

    fn object(&mut self, out: &mut Vec<u8>, object: &JsObject) -> JsResult<bool> {
        if object.is_callable() {
            return Ok(false);
        }
        if let Some(primitive) = unboxed(object, self.context)? {
            return self.value(out, primitive, &JsString::default(), None);
        }
        if self.around.len() >= self.nesting {
            let message = format!("more than {} values in one another", self.nesting);
            return Err(JsNativeError::range().with_message(message).into());
        }
        if self.around.iter().any(|outer| JsObject::equals(outer, object)) {
            return Err(JsNativeError::typ().with_message("an object that holds itself has no JSON").into());
        }
        self.around.push(object.clone());
        if object.is_array() {
            self.array(out, object)?;
        } else if self.gap.is_empty() && self.replacer.is_none() && self.only.is_none() && lazy::is(object) {
            self.lazy(out, object)?;
        } else {
            lazy::materialise(object, self.context)?;
            self.members(out, object)?;
        }
        self.around.pop();
        Ok(true)
    }

    /// What nobody touched is copied as it came.
    fn lazy(&mut self, out: &mut Vec<u8>, object: &JsObject) -> JsResult<()> {
        let open = out.len();
        for (key, own, text) in lazy::fields(object, self.context)? {
            let start = out.len();
            out.push(if start == open { b'{' } else { b',' });
            quote(out, key.as_str());
            out.push(b':');
            match (own, text) {
                (Some(own), _) => {
                    if !self.value(out, own, &key, Some(object))? {
                        out.truncate(start);
                    }
                }
                (None, text) => out.extend_from_slice(&text),
            }
        }
        if out.len() == open {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(())
    }

    fn members(&mut self, out: &mut Vec<u8>, object: &JsObject) -> JsResult<()> {
        let keys = match &self.only {
            Some(only) => only.clone(),
            None => object.own_property_keys(self.context)?,
        };
        let open = out.len();
        for key in keys {
            if matches!(key, PropertyKey::Symbol(_)) || !is_enumerable(object, &key) {
                continue;
            }
            let value = object.get(key.clone(), self.context)?;
            let name = name(&key);
            let start = out.len();
            out.push(if start == open { b'{' } else { b',' });
            self.line(out);
            quote(out, name.as_str());
            out.extend_from_slice(if self.gap.is_empty() { b":" } else { b": " });
            if !self.value(out, value, &name, Some(object))? {
                out.truncate(start);
            }
        }
        self.close(out, open, b'{', b'}');
        Ok(())
    }

    fn array(&mut self, out: &mut Vec<u8>, array: &JsObject) -> JsResult<()> {
        let len = JsArray::from_object(array.clone())?.length(self.context)?;
        let open = out.len();
        for at in 0..len {
            out.push(if out.len() == open { b'[' } else { b',' });
            self.line(out);
            let value = array.get(at, self.context)?;
            let key =
                if self.replacer.is_some() { name(&PropertyKey::from(at)) } else { JsString::default() };
            if !self.value(out, value, &key, Some(array))? {
                out.extend_from_slice(b"null");
            }
        }
        self.close(out, open, b'[', b']');
        Ok(())
    }

    fn line(&self, out: &mut Vec<u8>) {
        if !self.gap.is_empty() {
            out.push(b'\n');
            for _ in &self.around {
                out.extend_from_slice(self.gap.as_bytes());
            }
        }
    }

    fn close(&mut self, out: &mut Vec<u8>, open: usize, left: u8, right: u8) {
        if out.len() == open {
            out.extend_from_slice(&[left, right]);
            return;
        }
        let inner = self.around.pop();
        self.line(out);
        self.around.extend(inner);
        out.push(right);
    }
}

/// The value in a `Number`, a `String` or a `Boolean` object.
fn unboxed(object: &JsObject, context: &mut Context) -> JsResult<Option<JsValue>> {
    let value = JsValue::from(object.clone());
    Ok(if object.is::<f64>() || object.is::<i32>() {
        Some(value.to_number(context)?.into())
    } else if object.is::<JsString>() {
        Some(value.to_string(context)?.into())
    } else {
        object.downcast_ref::<bool>().map(|value| JsValue::from(*value))
    })
}

fn is_enumerable(object: &JsObject, key: &PropertyKey) -> bool {
    // Of a proxy nothing is known here but what it gives.
    object.borrow().properties().get(key).is_none_or(|property| property.expect_enumerable())
}

pub(crate) fn name(key: &PropertyKey) -> JsString {
    match key {
        PropertyKey::String(text) => text.clone(),
        other => JsString::from(other.to_string().as_str()),
    }
}

/// [`QuoteJSONString`](https://tc39.es/ecma262/#sec-quotejsonstring).
fn quote(out: &mut Vec<u8>, text: JsStr<'_>) {
    out.push(b'"');
    if let JsStrVariant::Latin1(bytes) = text.variant()
        && bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
    {
        out.extend_from_slice(bytes);
    } else {
        for point in text.code_points() {
            match point {
                CodePoint::Unicode(char) => quote_char(out, char),
                CodePoint::UnpairedSurrogate(half) => {
                    out.extend_from_slice(format!("\\u{half:04x}").as_bytes());
                }
            }
        }
    }
    out.push(b'"');
}

fn quote_char(out: &mut Vec<u8>, char: char) {
    match char {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        char if char < ' ' => out.extend_from_slice(format!("\\u{:04x}", char as u32).as_bytes()),
        char => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}
