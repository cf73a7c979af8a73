//! `kfl.*`.

use boa_engine::{JsResult, JsValue};

use super::{Call, Helper};

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "kfl.match",
        signature: "kfl.match(query: string | undefined, data: object): boolean",
        doc: "Whether a KFL query lets an item through. The empty query lets all through, `undefined` none. Throws if the \
              query is not valid KFL; the message begins with line and column.",
        call: matches,
    },
    Helper {
        name: "kfl.validate",
        signature: "kfl.validate(query: string): boolean",
        doc: "Whether a query is valid KFL.",
        call: |call| {
            let query = call.string(0)?;
            let now = call.now_millis();
            let valid = call.scope().shared.matcher.borrow_mut().validate(&query, now).is_ok();
            Ok(valid.into())
        },
    },
];

fn matches(call: &mut Call<'_>) -> JsResult<JsValue> {
    let Some(query) = call.optional_string(0)? else { return Ok(false.into()) };
    call.object(1)?;
    let now = call.now_millis();
    if query.is_empty() {
        return Ok(true.into());
    }
    let record = call.record(1)?;
    let matched = call.scope().shared.matcher.borrow_mut().matches(Some(&query), &*record, now);
    matched.map(JsValue::from).map_err(|error| call.error(error))
}
