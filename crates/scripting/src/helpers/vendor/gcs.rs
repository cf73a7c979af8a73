//! `vendor.gcs.*`.

use boa_engine::{JsResult, JsValue};
use serde_json::{Value, json};

use super::{super::Helper, Call, file_name, outlets, run_folder, send_file, wait};

pub(in crate::helpers) const HELPERS: &[Helper] = &[
    Helper {
        name: "vendor.gcs.put",
        signature: "vendor.gcs.put(bucket: string, path: string, serviceAccountKey: object): string",
        doc: "Uploads a file to Google Cloud Storage and returns its URL. The object is `<NODE>_<IP>_<RUN>/<file>`. \
              `serviceAccountKey` is the JSON that Google hands out, parsed. Throws if the file can't be read or GCS does \
              not take it.",
        call: put,
    },
    Helper {
        name: "vendor.gcs.clear",
        signature: "vendor.gcs.clear(bucket: string, serviceAccountKey: object): void",
        doc: "Deletes what this node uploaded to the bucket in this run. Throws if GCS refuses.",
        call: clear,
    },
];

/// A service account's key: parsed, or still as text.
fn account(call: &mut Call<'_>, at: usize) -> JsResult<Value> {
    let account = match call.json(at)? {
        Value::String(text) => serde_json::from_str(&text).unwrap_or_default(),
        other => other,
    };
    if account.is_object() { Ok(account) } else { Err(call.misses(at, "a service account's key, parsed")) }
}

fn put(call: &mut Call<'_>) -> JsResult<JsValue> {
    let (bucket, path, account) = (call.string(0)?, call.string(1)?, account(call, 2)?);
    let name = format!("{}/{}", run_folder(call), file_name(&path));
    let outlets = outlets(call)?;
    if !call.sends(json!({"bucket": bucket, "name": name, "path": path})) {
        return Ok(call.text(&outlets.gcs_url(&bucket, &name)));
    }
    let url = send_file(call, &path, move |call, file| {
        let path = file.path.clone();
        wait(call, async move { outlets.gcs_put(&bucket, &name, &path, &account).await })
    })?;
    Ok(call.text(&url))
}

fn clear(call: &mut Call<'_>) -> JsResult<JsValue> {
    let (bucket, account) = (call.string(0)?, account(call, 1)?);
    let folder = format!("{}/", run_folder(call));
    let outlets = outlets(call)?;
    if call.sends(json!({"bucket": bucket, "clear": [folder]})) {
        wait(call, async move { outlets.gcs_clear(&bucket, &folder, &account).await })?;
    }
    Ok(JsValue::undefined())
}
