//! Brings settings into the form that the chart knows.

use serde_json::{Map, Value, json};

/// Keys of older releases, in lower case, and what they are called now; `None`: nothing is lost without it.
const RENAMED: &[(&str, Option<&str>)] = &[
    ("tap.selfnamespace", Some("tap.release.namespace")),
    ("tap.allnamespaces", None),
    ("tap.resources.worker.cpu-limit", Some("tap.resources.worker.limits.cpu")),
    ("tap.resources.worker.memory-limit", Some("tap.resources.worker.limits.memory")),
    ("tap.resources.worker.cpu-requests", Some("tap.resources.worker.requests.cpu")),
    ("tap.resources.worker.memory-requests", Some("tap.resources.worker.requests.memory")),
    ("tap.resources.hub.cpu-limit", Some("tap.resources.hub.limits.cpu")),
    ("tap.resources.hub.memory-limit", Some("tap.resources.hub.limits.memory")),
    ("tap.resources.hub.cpu-requests", Some("tap.resources.hub.requests.cpu")),
    ("tap.resources.hub.memory-requests", Some("tap.resources.hub.requests.memory")),
];

/// The settings that the schema knows, by its names; and what was left out.
pub(super) fn fit(given: Value, schema: &Value) -> (Value, Vec<String>) {
    let mut fitter = Fitter { schema, renamed: Vec::new(), warnings: Vec::new() };
    let mut fitting = fitter.object(given, schema, "");
    for (path, value) in fitter.renamed {
        super::lay_over(&mut fitting, super::nested(path, value));
    }
    (fitting, fitter.warnings)
}

struct Fitter<'a> {
    schema: &'a Value,
    renamed: Vec<(&'static str, Value)>,
    warnings: Vec<String>,
}

impl<'a> Fitter<'a> {
    fn object(&mut self, given: Value, schema: &'a Value, path: &str) -> Value {
        let named = schema["$ref"].as_str().and_then(|name| self.schema.pointer(name.strip_prefix('#')?));
        let properties = named.unwrap_or(schema)["properties"].as_object();
        let (Value::Object(given), Some(properties)) = (&given, properties) else {
            return quantity(given, path);
        };
        let mut fitting = Map::new();
        for (key, value) in given.clone() {
            let known = properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(&key));
            let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let lower = full.to_ascii_lowercase();
            match (known, RENAMED.iter().find(|(old, _)| *old == lower)) {
                (Some((known, schema)), _) => {
                    let value = self.object(value, schema, &lower);
                    fitting.insert(known.clone(), value);
                }
                (None, Some((_, new))) => self.renamed.extend(new.map(|new| (new, value))),
                (None, None) => {
                    self.warnings.push(format!("the setting {full} is not known, and ignored"));
                }
            }
        }
        fitting.into()
    }
}

/// `200MB`, as it was written once, is `200M` to Kubernetes.
fn quantity(given: Value, path: &str) -> Value {
    match given.as_str().and_then(|text| text.strip_suffix('B')) {
        Some(text) if path == "tap.storagelimit" => json!(text),
        _ => given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_named() {
        let schema = json!({"properties": {"tap": {"properties": {"regex": {"type": "string"}}}}});
        let (fitting, warnings) = fit(json!({"Tap": {"REGEX": "a", "colour": 1}, "x": 2}), &schema);
        assert_eq!(fitting, json!({"tap": {"regex": "a"}}));
        assert_eq!(
            warnings,
            ["the setting Tap.colour is not known, and ignored", "the setting x is not known, and ignored"]
                .map(|text| text.replace("Tap", "tap"))
        );
    }
}
