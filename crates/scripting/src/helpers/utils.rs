//! `utils.*`.

use boa_engine::{JsResult, JsValue};
use serde_json::Value;

use super::{Call, Helper};
use crate::yaml;

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "utils.nodeName",
        signature: "utils.nodeName(): string",
        doc: "The node's name; `hub` at the hub.",
        call: |call| Ok(call.text(&call.about().node.clone())),
    },
    Helper {
        name: "utils.json2Yaml",
        signature: "utils.json2Yaml(json: string): string",
        doc: "JSON as YAML. Throws if it is no JSON.",
        call: json_to_yaml,
    },
];

fn json_to_yaml(call: &mut Call<'_>) -> JsResult<JsValue> {
    let text = call.string(0)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| call.error(error))?;
    Ok(call.text(&yaml(&value)))
}
