//! `wrapper.*`: what would be many lines of JavaScript.

mod har;

use serde_json::{Map, Value};

use super::Helper;

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "wrapper.buildHAR",
        signature: "wrapper.buildHAR(items: Item[]): string",
        doc: "The HTTP items of a list as an HTTP Archive 1.2, in JSON.",
        call: |call| {
            let items = call.json(0)?;
            let Value::Array(items) = items else { return Err(call.misses(0, "an array")) };
            Ok(call.text(&har::archive(&items).to_string()))
        },
    },
    Helper {
        name: "wrapper.joinMaps",
        signature: "wrapper.joinMaps(a: object, b: object): object",
        doc: "A new object with the members of both: numbers under the same name are added, objects joined in the same \
              way; of anything else the second counts.",
        call: |call| {
            let (a, b) = (call.json(0)?, call.json(1)?);
            let joined = join(a, b);
            call.from_json(&joined)
        },
    },
];

fn join(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let mut joined: Map<String, Value> = a;
            for (key, value) in b {
                let value = match joined.remove(&key) {
                    Some(first) => join(first, value),
                    None => value,
                };
                joined.insert(key, value);
            }
            Value::Object(joined)
        }
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) if a.checked_add(b).is_some() => (a + b).into(),
            _ => (a.as_f64().unwrap_or_default() + b.as_f64().unwrap_or_default()).into(),
        },
        (a, Value::Null) => a,
        (_, b) => b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_are_joined() {
        for (a, b, joined) in [
            (json!({"a": 1, "b": 2}), json!({"b": 3, "c": 4}), json!({"a": 1, "b": 5, "c": 4})),
            (json!({"a": {"x": 1}}), json!({"a": {"x": 0.5}}), json!({"a": {"x": 1.5}})),
            (json!({"a": "x"}), json!({"a": 1}), json!({"a": 1})),
            (json!({}), json!(null), json!({})),
            (json!(null), json!({"a": 1}), json!({"a": 1})),
        ] {
            assert_eq!(join(a, b), joined);
        }
    }
}
