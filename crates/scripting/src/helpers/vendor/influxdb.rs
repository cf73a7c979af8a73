//! `vendor.influxdb`.

use std::time::{Duration, SystemTime};

use boa_engine::{JsResult, JsValue};
use outlets::Point;
use serde_json::{Value, json};

use super::{super::Helper, Call, outlets, wait};

pub(in crate::helpers) const HELPERS: &[Helper] = &[Helper {
    name: "vendor.influxdb",
    signature: "vendor.influxdb(url: string, token: string, organization: string, bucket: string, measurement: string, \
                data: Record<string, any>, tags?: Record<string, string>): void",
    doc: "Writes one point to InfluxDB; `data` are its fields. For version 1 the token is `user:password`, and the bucket \
          `database` or `database/retention-policy`. Throws if InfluxDB does not take it.",
    call: influxdb,
}];

fn influxdb(call: &mut Call<'_>) -> JsResult<JsValue> {
    let Value::Object(fields) = call.json(5)? else { return Err(call.misses(5, "an object")) };
    let point = Point {
        url: call.string(0)?,
        token: call.optional_string(1)?.unwrap_or_default().into(),
        organization: call.optional_string(2)?.unwrap_or_default(),
        bucket: call.string(3)?,
        measurement: call.string(4)?,
        fields,
        tags: call.optional_strings_by_name(6)?.unwrap_or_default(),
        at: Some(now(call)),
    };
    let outlets = outlets(call)?;
    let what = json!({"bucket": point.bucket, "measurement": point.measurement, "fields": point.fields, "tags": point.tags});
    if call.sends(what) {
        wait(call, async move { outlets.influxdb(&point).await })?;
    }
    Ok(JsValue::undefined())
}

/// The script's time, which a rehearsal takes from the capture. Two points of one millisecond are still two: what is finer
/// is the system's.
fn now(call: &Call<'_>) -> SystemTime {
    let system = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(call.now_millis()).unwrap_or_default();
    SystemTime::UNIX_EPOCH
        + Duration::from_millis(millis)
        + Duration::from_nanos(u64::from(system.subsec_nanos() % 1_000_000))
}
