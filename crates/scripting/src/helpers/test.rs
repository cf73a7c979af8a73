//! `test.*`: colours of entries.

use boa_engine::{JsResult, JsValue, js_string};

use super::{Call, Helper};

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "test.pass",
        signature: "test.pass(data: Item): Item",
        doc: "Sets `data.passed` and returns `data`: the dashboard shows the entry in green.",
        call: |call| set(call, true),
    },
    Helper {
        name: "test.fail",
        signature: "test.fail(data: Item): Item",
        doc: "Sets `data.failed` and returns `data`: the dashboard shows the entry in red.",
        call: |call| set(call, false),
    },
];

fn set(call: &mut Call<'_>, passed: bool) -> JsResult<JsValue> {
    let data = call.object(0)?;
    call.verdict(passed);
    let context = call.context();
    let key = if passed { js_string!("passed") } else { js_string!("failed") };
    data.set(key, true, true, context)?;
    Ok(data.into())
}
