//! `vendor.slack`, `vendor.slackBot`.

use boa_engine::{JsResult, JsValue};
use outlets::{Attachment, BotMessage, Secret};
use serde_json::json;

use super::{super::Helper, Call, outlets, pairs, wait};
use crate::helpers::paths;

pub(in crate::helpers) const HELPERS: &[Helper] = &[
    Helper {
        name: "vendor.slack",
        signature: "vendor.slack(webhookUrl: string, pretext: string, text: string, color: string): void",
        doc: "Sends a message to a Slack channel by its incoming webhook. Throws if Slack does not take it.",
        call: slack,
    },
    Helper {
        name: "vendor.slackBot",
        signature: "vendor.slackBot(token: string, channelID: string, pretext: string, text: string, color: string, \
                    fields?: Record<string, string>, files?: Record<string, string>): void",
        doc: "Posts a message to a Slack channel as a bot. `fields` are shown below it, and the time always is. `files`, \
              from names to paths, go to the message's thread. The bot needs the scopes `chat:write` and `files:write`. \
              Throws if Slack does not take it, or if a file can't be read.",
        call: bot,
    },
];

fn attachment(call: &mut Call<'_>, first: usize) -> JsResult<Attachment> {
    let mut text = |at| call.optional_string(at).map(Option::unwrap_or_default);
    Ok(Attachment { pretext: text(first)?, text: text(first + 1)?, color: text(first + 2)? })
}

fn slack(call: &mut Call<'_>) -> JsResult<JsValue> {
    let url = Secret::from(call.string(0)?);
    let message = attachment(call, 1)?;
    let outlets = outlets(call)?;
    if call.sends(json!({"attachments": [message]})) {
        wait(call, async move { outlets.slack(&url, &message).await })?;
    }
    Ok(JsValue::undefined())
}

fn bot(call: &mut Call<'_>) -> JsResult<JsValue> {
    let mut message = BotMessage {
        token: call.string(0)?.into(),
        channel: call.string(1)?,
        attachment: attachment(call, 2)?,
        fields: pairs(call, 5)?,
        files: Vec::new(),
    };
    let outlets = outlets(call)?;
    let named = pairs(call, 6)?;
    if !call.sends(json!({
        "channel": message.channel,
        "attachments": [message.attachment],
        "fields": message.fields,
        "files": named,
    })) {
        return Ok(JsValue::undefined());
    }
    let mut files = Vec::new();
    let mut result = Ok(());
    for (name, path) in named {
        match paths::readable(call, &path) {
            Ok(file) => {
                message.files.push((name, file.path.clone()));
                files.push(file);
            }
            Err(error) => result = Err(error),
        }
    }
    if result.is_ok() {
        result = wait(call, async move { outlets.slack_bot(&message).await });
    }
    for file in files {
        file.done(call)?;
    }
    result.map(|()| JsValue::undefined())
}
