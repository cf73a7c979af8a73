//! JSON that keeps the order of its keys, so that a redacted body differs from the captured one only where it must.

use crate::record::{List, Record, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON text, read. Deeper nesting than `serde_json` reads (128 levels) is refused there.
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Items),
    Record(Fields),
}

pub(crate) struct Items(Vec<Json>);

/// Fields in the order of the text.
pub(crate) struct Fields(Vec<(String, Json)>);

impl Json {
    pub(crate) fn lent(&self) -> Value<'_> {
        match self {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Int(int) => Value::Int(*int),
            Json::Float(float) => Value::Float(*float),
            Json::Text(text) => Value::text(text),
            Json::List(items) => Value::list(items),
            Json::Record(fields) => Value::record(fields),
        }
    }
}

impl List for Items {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(Json::lent)
    }
}

/// Visits in the order of the text, not of the keys: whoever prints this wants it as it was.
impl Record for Fields {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        // Of a key that comes twice the last counts, as in most readers of JSON.
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.lent())
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.0.iter().for_each(|(name, value)| visit(name, value.lent()));
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Json, E> {
        Ok(Json::Int(int))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Json, E> {
        Ok(i64::try_from(int).map_or(Json::Float(int as f64), Json::Int))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Json, E> {
        Ok(Json::Float(float))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(Items(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            fields.push(entry);
        }
        Ok(Json::Record(Fields(fields)))
    }
}
