//! `vendor.azure.put`.

use boa_engine::{JsResult, JsValue};
use outlets::AzureAccount;
use serde_json::json;

use super::{super::Helper, Call, file_name, folder, outlets, send_file, wait};

pub(in crate::helpers) const HELPERS: &[Helper] = &[Helper {
    name: "vendor.azure.put",
    signature: "vendor.azure.put(containerName: string, path: string, accountName?: string, accountKey?: string, \
                connectionString?: string): string",
    doc: "Uploads a file to Azure Blob Storage and returns its URL. The blob is `<NODE>_<IP>/<file>`. Needs an account's \
          name and key, or a connection string. Throws if the file can't be read or Azure does not take it.",
    call: put,
}];

fn put(call: &mut Call<'_>) -> JsResult<JsValue> {
    let (container, path) = (call.string(0)?, call.string(1)?);
    let mut text = |at| call.optional_string(at).map(Option::unwrap_or_default);
    let account = AzureAccount { name: text(2)?, key: text(3)?.into(), connection: text(4)?.into() };
    let name = format!("{}/{}", folder(call), file_name(&path));
    let outlets = outlets(call)?;
    let url = outlets.azure_url(&container, &name, &account).map_err(|error| call.error(error.text()))?;
    if !call.sends(json!({"container": container, "name": name, "path": path})) {
        return Ok(call.text(&url));
    }
    let url = send_file(call, &path, move |call, file| {
        let path = file.path.clone();
        wait(call, async move { outlets.azure_put(&container, &name, &path, &account).await })
    })?;
    Ok(call.text(&url))
}
