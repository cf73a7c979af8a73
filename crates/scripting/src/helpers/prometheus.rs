//! `prometheus.*`.

use boa_engine::{JsResult, JsValue};

use super::{Call, Helper};

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "prometheus.metric",
        signature: "prometheus.metric(name: string, desc: string, type: 1 | 2 | 3, value: number, labels?: Record<string, string>): void",
        doc: "Makes a number readable at the node's `/metrics`: a counter (1), to which the value is added, a gauge (2) or \
              an untyped metric (3), which is set to it. Throws if there are too many, or the name is none.",
        call: |call| set(call, 3),
    },
    Helper {
        name: "prometheus.vector",
        signature: "prometheus.vector(name: string, desc: string, type: 1 | 2, value: number, labels?: Record<string, string>): void",
        doc: "The same, for a counter or a gauge that has a series for each value of its labels.",
        call: |call| set(call, 2),
    },
];

fn set(call: &mut Call<'_>, most: u8) -> JsResult<JsValue> {
    let (name, help) = (call.string(0)?, call.string(1)?);
    let (kind, value) = (call.number(2)?, call.number(3)?);
    let labels = call.optional_strings_by_name(4)?.unwrap_or_default();
    let kind = if (1.0..=f64::from(most)).contains(&kind) { kind as u8 } else { 0 };
    if kind == 1 && (value.is_nan() || value < 0.0) {
        return Err(call.error("a counter only grows"));
    }
    let limit = call.options().series;
    let done = call.scope().shared.series.borrow_mut().set(limit, (&name, &help, kind), value, &labels);
    done.map_err(|why| call.error(why))?;
    Ok(JsValue::undefined())
}
