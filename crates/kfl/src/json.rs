//! JSON as records, and records as JSON.
//!
//! ```
//! use kfl::{Filter, Options};
//!
//! let line: serde_json::Value = serde_json::from_str(r#"{"user": {"age": 41}}"#)?;
//! let filter = Filter::new("user.age > 40", &Options::new(&[], 0))?;
//! assert!(filter.matches(&line));
//! assert_eq!(kfl::json::to_string(&line), r#"{"user":{"age":41}}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{
    record::{List, Record, Value},
    value::form,
};
use serde_json::{Map, Value as Json};

/// The fields of an object; any other JSON has none.
impl Record for Json {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        self.as_object()?.get(key).map(lend)
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Value<'a>)) {
        if let Some(fields) = self.as_object() {
            fields.each(visit);
        }
    }
}

impl Record for Map<String, Json> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        Map::get(self, key).map(lend)
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.iter().for_each(|(key, value)| visit(key, lend(value)));
    }
}

impl List for Vec<Json> {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.get(index).map(lend)
    }
}

/// JSON as a field of a record. A whole number beyond an `i64` becomes a float.
pub fn lend(json: &Json) -> Value<'_> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::text(text),
        Json::Array(items) => Value::list(items),
        Json::Object(fields) => Value::record(fields),
    }
}

/// A record as one line of JSON, keys in the record's order. A float that JSON cannot write becomes null.
pub fn to_string(record: &dyn Record) -> String {
    let mut out = String::new();
    write_record(&mut out, record);
    out
}

pub(crate) fn write(out: &mut String, value: &Value<'_>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Float(float) => out.push_str(
            &serde_json::Number::from_f64(*float)
                .map_or_else(|| "null".to_owned(), |number| number.to_string()),
        ),
        Value::Bool(_) | Value::Int(_) => out.push_str(&form(value)),
        Value::Text(_) | Value::Digits(_) | Value::Address(_) | Value::Base64(_) => write_text(out, &form(value)),
        Value::List(list) => {
            out.push('[');
            for (index, item) in (0..list.len()).filter_map(|index| list.at(index)).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, &item);
            }
            out.push(']');
        }
        Value::Record(record) => write_record(out, &**record),
    }
}

fn write_record(out: &mut String, record: &dyn Record) {
    out.push('{');
    let mut first = true;
    record.each(&mut |key, value| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write_text(out, key);
        out.push(':');
        write(out, &value);
    });
    out.push('}');
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&Json::from(text).to_string());
}
