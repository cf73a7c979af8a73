//! `vendor.webhook*`.

use boa_engine::{JsResult, JsValue};
use outlets::{Form, Webhook};
use serde_json::json;

use super::{super::Helper, Call, outlets, pairs, wait};

pub(in crate::helpers) const HELPERS: &[Helper] = &[
    Helper {
        name: "vendor.webhook",
        signature: "vendor.webhook(method: string, url: string, body?: any, headers?: Record<string, string>): string",
        doc: "Makes an HTTP request and returns the body of the answer. An object is sent as JSON. Throws if there is no \
              answer, or if its status is not 200 to 299.",
        call: webhook,
    },
    Helper {
        name: "vendor.webhookForm",
        signature: "vendor.webhookForm(method: string, url: string, fields: Record<string, string>): string",
        doc: "Sends a form (`multipart/form-data`) and returns the body of the answer. Throws as `vendor.webhook` does.",
        call: form,
    },
];

fn webhook(call: &mut Call<'_>) -> JsResult<JsValue> {
    let hook = Webhook {
        method: call.string(0)?,
        url: call.string(1)?,
        body: call.optional_string(2)?.unwrap_or_default(),
        headers: pairs(call, 3)?,
    };
    let outlets = outlets(call)?;
    let url = outlets::shown_url(&hook.url);
    if !call.sends(json!({"method": hook.method, "url": url, "body": hook.body})) {
        return Ok(call.text(""));
    }
    let answer = wait(call, async move { outlets.webhook(hook).await })?;
    Ok(call.text(&answer.body))
}

fn form(call: &mut Call<'_>) -> JsResult<JsValue> {
    call.object(2)?;
    let form = Form { method: call.string(0)?, url: call.string(1)?, fields: pairs(call, 2)? };
    let outlets = outlets(call)?;
    let url = outlets::shown_url(&form.url);
    if !call.sends(json!({"method": form.method, "url": url, "fields": form.fields})) {
        return Ok(call.text(""));
    }
    let answer = wait(call, async move { outlets.webhook_form(form).await })?;
    Ok(call.text(&answer.body))
}
