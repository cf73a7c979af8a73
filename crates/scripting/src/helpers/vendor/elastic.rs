//! `vendor.elastic`.

use boa_engine::{JsResult, JsValue};
use outlets::{Documents, ElasticLogin};
use serde_json::{Value, json};

use super::{super::Helper, Call, outlets, wait};

pub(in crate::helpers) const HELPERS: &[Helper] = &[Helper {
    name: "vendor.elastic",
    signature: "vendor.elastic(url: string, index: string, data: object | object[], username?: string, password?: string, \
                cloudID?: string, apiKey?: string, serviceToken?: string, certificateFingerprint?: string): void",
    doc: "Indexes a document in Elasticsearch, or an array of them in one request of its bulk endpoint, which is faster by \
          far. With `cloudID`, `url` may be empty. `certificateFingerprint` is SHA-256 of \
          the server's certificate or of its authority's, in hexadecimal; no other is then trusted. Throws if \
          Elasticsearch does not take them all.",
    call: elastic,
}];

fn elastic(call: &mut Call<'_>) -> JsResult<JsValue> {
    call.object(2)?;
    let documents = match call.json(2)? {
        Value::Array(documents) => documents,
        document => vec![document],
    };
    let mut text = |at| call.optional_string(at).map(Option::unwrap_or_default);
    let (url, index) = (text(0)?, text(1)?);
    let login = ElasticLogin {
        username: text(3)?,
        password: text(4)?.into(),
        cloud_id: text(5)?,
        api_key: text(6)?.into(),
        service_token: text(7)?.into(),
        fingerprint: text(8)?,
    };
    let documents = Documents { url, index, documents, login };
    let outlets = outlets(call)?;
    if call.sends(json!({"index": documents.index, "documents": documents.documents})) {
        wait(call, async move { outlets.elastic(&documents).await })?;
    }
    Ok(JsValue::undefined())
}
