//! Slack: messages by incoming webhook, messages and files as a bot.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Outlets,
    error::{Error, Service},
    http::{Body, Request, encode, file_len, parse_url},
    secret::{Secret, scrub},
};

const API: &str = "https://slack.com/api";

/// A message with a coloured bar.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Attachment {
    /// The line above.
    pub pretext: String,
    /// The message.
    pub text: String,
    /// `#rrggbb`, `good`, `warning` or `danger`.
    pub color: String,
}

/// What a bot says, and where.
#[derive(Clone, Debug, Default)]
pub struct BotMessage {
    /// The bot's token, `xoxb-…`.
    pub token: Secret,
    /// The channel's id.
    pub channel: String,
    /// The message.
    pub attachment: Attachment,
    /// Titles and values below it. The time is always added as `Timestamp`.
    pub fields: Vec<(String, String)>,
    /// Names and files, which go into the message's thread.
    pub files: Vec<(String, PathBuf)>,
}

#[derive(Serialize)]
struct Attachments<'a> {
    attachments: [&'a Attachment; 1],
}

impl Outlets {
    /// Sends a message to an incoming webhook: `{"attachments":[{"pretext":…,"text":…,"color":…}]}`.
    ///
    /// # Errors
    ///
    /// Slack can't be reached or refuses it.
    pub async fn slack(&self, url: &Secret, attachment: &Attachment) -> Result<(), Error> {
        let url = parse_url(Service::Slack, url.expose(), "the webhook")?;
        let request = Request::new(Service::Slack, Method::POST, url)
            .json(&Attachments { attachments: [attachment] })?;
        request.accept(self.send(&request).await?)?;
        Ok(())
    }

    /// Posts a message as a bot (`chat.postMessage`), then its files (`files.getUploadURLExternal`,
    /// `files.completeUploadExternal`) to its thread.
    ///
    /// # Errors
    ///
    /// Slack can't be reached or refuses it; a file can't be read. The message is not posted if a file can't be uploaded.
    pub async fn slack_bot(&self, message: &BotMessage) -> Result<(), Error> {
        let mut files = Vec::new();
        for (name, path) in &message.files {
            files.push(json!({"id": self.slack_upload(&message.token, name, path).await?, "title": name}));
        }
        let mut fields: Vec<Value> =
            message.fields.iter().map(|(title, value)| field(title, value)).collect();
        if !message.fields.iter().any(|(title, _)| title == "Timestamp") {
            fields.push(field("Timestamp", &httpdate::fmt_http_date(SystemTime::now())));
        }
        let Attachment { pretext, text, color } = &message.attachment;
        let attachment = json!({"pretext": pretext, "text": text, "color": color, "fields": fields});
        let body = json!({"channel": message.channel, "attachments": [attachment]});
        let posted = self.slack_call(&message.token, "chat.postMessage", Ok(body)).await?;
        if !files.is_empty() {
            // Slack answers with the channel's id where its name was given; files take the id only.
            let channel = posted.get("channel").cloned().unwrap_or_else(|| message.channel.clone().into());
            let body = json!({"files": files, "channel_id": channel, "thread_ts": posted.get("ts")});
            self.slack_call(&message.token, "files.completeUploadExternal", Ok(body)).await?;
        }
        Ok(())
    }

    /// Uploads a file that no message mentions yet. Gives its id.
    async fn slack_upload(&self, token: &Secret, name: &str, path: &Path) -> Result<String, Error> {
        let len = file_len(Service::Slack, path).await?;
        let form = format!("filename={}&length={len}", encode(name, ""));
        let place = self.slack_call(token, "files.getUploadURLExternal", Err(form)).await?;
        let text = |key: &str| place.get(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(url), Some(id)) = (text("upload_url"), text("file_id")) else {
            return Err(Error::invalid(Service::Slack, format!("gave no place to upload {name:?} to")));
        };
        let url = parse_url(Service::Slack, &url, "the address for the upload")?;
        let mut request = Request::new(Service::Slack, Method::POST, url);
        request.body = Body::File { path: path.to_owned(), len };
        // The place is for this file alone.
        request.repeatable = true;
        let request = request.header("content-type", "application/octet-stream")?;
        request.accept(self.send(&request).await?)?;
        Ok(id)
    }

    /// Calls a method of Slack's API with JSON or a form. Slack says no with status 200.
    async fn slack_call(
        &self,
        token: &Secret,
        method: &str,
        body: Result<Value, String>,
    ) -> Result<Value, Error> {
        let api = self.endpoints().slack.as_deref().unwrap_or(API).trim_end_matches('/');
        let url = parse_url(Service::Slack, &format!("{api}/{method}"), "its endpoint")?;
        let mut request = Request::new(Service::Slack, Method::POST, url);
        request.target = format!("{} {method}", api_host(api));
        let request = request.credentials("authorization", &format!("Bearer {}", token.expose()), token)?;
        let request = match body {
            Ok(json) => {
                request.header("content-type", "application/json; charset=utf-8")?.body(json.to_string())
            }
            Err(form) => request.header("content-type", "application/x-www-form-urlencoded")?.body(form),
        };
        let answer = request.accept(self.send(&request).await?)?;
        let said = answer.json();
        if said.get("ok") == Some(&Value::Bool(true)) {
            return Ok(said);
        }
        let code = said.get("error").and_then(Value::as_str).unwrap_or("its answer is not Slack's");
        Err(Error::Refused {
            service: Service::Slack,
            target: request.target,
            status: 0,
            answer: scrub(code, &request.secrets),
            hint: hint(code),
            attempts: answer.attempts,
        })
    }
}

fn api_host(api: &str) -> &str {
    api.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or(api)
}

fn field(title: &str, value: &str) -> Value {
    json!({"title": title, "value": value, "short": false})
}

fn hint(code: &str) -> &'static str {
    match code {
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "; check the bot's token (xoxb-…)"
        }
        "channel_not_found" | "invalid_channel" => "; check the channel's id",
        "not_in_channel" => "; invite the bot to the channel",
        "missing_scope" => "; the bot needs the scopes chat:write and files:write",
        _ => "",
    }
}
