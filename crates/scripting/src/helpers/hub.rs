//! `hub.*`.

use boa_engine::{JsResult, JsValue};

use super::{Call, Helper};
use crate::Request;

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "hub.action",
        signature: "hub.action(action: string, object?: any): void",
        doc: "Calls `onHubAction` of the scripts at the hub.",
        call: |call| {
            let (action, object) = (call.string(0)?, call.json(1)?);
            call.ask(Request::HubAction { action, object })?;
            Ok(JsValue::undefined())
        },
    },
    Helper {
        name: "hub.targeted",
        signature: "hub.targeted(): string",
        doc: "The pods whose traffic is captured and those that are left out, as JSON: `targets`, `excluded`.",
        call: targeted,
    },
];

fn targeted(call: &mut Call<'_>) -> JsResult<JsValue> {
    let targets = call.ask(Request::Targets)?;
    Ok(call.text(&targets.to_string()))
}
