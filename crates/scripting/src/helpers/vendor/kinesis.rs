//! `vendor.kinesis.put`.

use boa_engine::{JsResult, JsValue};
use outlets::{AwsKeys, Record};
use serde_json::json;

use super::{super::Helper, Call, outlets, wait};

pub(in crate::helpers) const HELPERS: &[Helper] = &[Helper {
    name: "vendor.kinesis.put",
    signature: "vendor.kinesis.put(streamName: string, payload: any, region: string, keyId?: string, secretKey?: string): \
                { ShardId: string, SequenceNumber: string }",
    doc: "Puts a record into a stream of Amazon Kinesis and returns what Kinesis answers. An object is sent as JSON. Without \
          keys, AWS's default chain finds them. Throws if Kinesis does not take it.",
    call: put,
}];

fn put(call: &mut Call<'_>) -> JsResult<JsValue> {
    let id = call.optional_string(3)?.filter(|key| !key.is_empty());
    let secret = call.optional_string(4)?.filter(|key| !key.is_empty());
    let keys = match (id, secret) {
        (Some(id), Some(secret)) => Some(AwsKeys { id: id.into(), secret: secret.into(), session: None }),
        (None, None) => None,
        (Some(_), None) => return Err(call.misses(4, "given with keyId")),
        (None, Some(_)) => return Err(call.misses(3, "given with secretKey")),
    };
    let payload = call.string(1)?;
    let outlets = outlets(call)?;
    let record = Record {
        stream: call.string(0)?,
        payload: payload.clone().into_bytes(),
        region: call.string(2)?,
        keys,
    };
    let answer = if call.sends(json!({"stream": record.stream, "payload": payload})) {
        wait(call, async move { outlets.kinesis_put(&record).await })?
    } else {
        json!({"ShardId": "", "SequenceNumber": ""})
    };
    call.from_json(&answer)
}
