//! `JSON.parse`: text to values, in one pass.

use std::fmt;

use boa_engine::{
    Context, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue,
    object::builtins::{JsArray, JsFunction},
    property::PropertyKey,
};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Value};

/// The value that a text stands for. More than 128 values in one another are an error, as everything is that is no JSON.
pub(crate) fn parse(text: &[u8], context: &mut Context) -> JsResult<JsValue> {
    let mut from = Deserializer::from_slice(text);
    let value = Build(context).deserialize(&mut from);
    value.and_then(|value| from.end().map(|()| value)).map_err(|error| syntax(&error))
}

fn syntax(error: &serde_json::Error) -> JsError {
    JsNativeError::syntax().with_message(error.to_string()).into()
}

/// The value that JSON stands for.
pub(crate) fn from_value(value: &Value, context: &mut Context) -> JsResult<JsValue> {
    Build(context).deserialize(value).map_err(|error| syntax(&error))
}

struct Build<'a>(&'a mut Context);

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = JsValue;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<JsValue, D::Error> {
        from.deserialize_any(self)
    }
}

fn number(number: i64) -> JsValue {
    i32::try_from(number).map_or_else(|_| JsValue::from(number as f64), JsValue::from)
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = JsValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<JsValue, E> {
        Ok(JsValue::null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<JsValue, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<JsValue, E> {
        Ok(number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<JsValue, E> {
        Ok(i64::try_from(value).map_or_else(|_| JsValue::from(value as f64), number))
    }

    fn visit_f64<E>(self, value: f64) -> Result<JsValue, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<JsValue, E> {
        Ok(JsString::from(text).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Build(self.0))? {
            items.push(item);
        }
        Ok(JsArray::from_iter(items, self.0).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsValue, A::Error> {
        let object = JsObject::with_object_proto(self.0.intrinsics());
        while let Some(key) = map.next_key_seed(Key)? {
            let value = map.next_value_seed(Build(self.0))?;
            object.create_data_property(key, value, self.0).map_err(A::Error::custom)?;
        }
        Ok(object.into())
    }
}

/// A key without a `String` in between.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = PropertyKey;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<PropertyKey, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = PropertyKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<PropertyKey, E> {
        Ok(JsString::from(text).into())
    }
}

/// `JSON.parse(text, reviver)`.
pub(super) fn native(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = args.first().cloned().unwrap_or_default().to_string(context)?.to_std_string_escaped();
    let value = parse(text.as_bytes(), context)?;
    let reviver = args.get(1).and_then(JsValue::as_object).and_then(JsFunction::from_object);
    let Some(reviver) = reviver else { return Ok(value) };
    let holder = JsObject::with_object_proto(context.intrinsics());
    holder.create_data_property(JsString::default(), value, context)?;
    revive(&holder, &JsString::default().into(), &reviver, context)
}

/// [`InternalizeJSONProperty`](https://tc39.es/ecma262/#sec-internalizejsonproperty). What the reviver puts in may nest
/// as it likes, so the depth is that of JavaScript's own recursion.
fn revive(
    holder: &JsObject,
    key: &PropertyKey,
    reviver: &JsFunction,
    context: &mut Context,
) -> JsResult<JsValue> {
    let value = holder.get(key.clone(), context)?;
    if let Some(object) = value.as_object() {
        for inner in object.own_property_keys(context)? {
            if matches!(inner, PropertyKey::Symbol(_))
                || (object.is_array() && inner == PropertyKey::from(boa_engine::js_string!("length")))
            {
                continue;
            }
            let revived = revive(&object, &inner, reviver, context)?;
            if revived.is_undefined() {
                object.delete_property_or_throw(inner, context)?;
            } else {
                object.create_data_property(inner, revived, context)?;
            }
        }
    }
    let name = key.to_string();
    reviver.call(&holder.clone().into(), &[JsString::from(name.as_str()).into(), value], context)
}
