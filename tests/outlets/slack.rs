//! Slack: stubs, which show what is sent.

use outlets::{Attachment, BotMessage, Endpoints};
use serde_json::json;
use support::{
    Scratch,
    receiver::{Answer, Receiver},
};

use crate::{file, outlets, plain, quick, run, told};

fn attachment() -> Attachment {
    Attachment {
        pretext: "Server-side \"Error\"".to_owned(),
        text: "{\"status\":500}".to_owned(),
        color: "#ff0000".to_owned(),
    }
}

#[test]
fn an_incoming_webhook_gets_exactly_this() {
    let slack = Receiver::ok();
    run(plain().slack(&slack.url("/services/T0/B0/secret").into(), &attachment())).expect("a message");
    let sent = slack.received().remove(0);
    assert_eq!((&*sent.method, &*sent.path), ("POST", "/services/T0/B0/secret"));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(
        sent.text(),
        r##"{"attachments":[{"pretext":"Server-side \"Error\"","text":"{\"status\":500}","color":"#ff0000"}]}"##
    );
}

#[test]
fn a_webhook_that_is_gone() {
    let slack = Receiver::start(|_| Answer::new(404, "no_service"));
    let error = told(run(plain().slack(&slack.url("/services/T0/B0/secret").into(), &attachment())));
    assert!(
        error.contains("Slack: http://127.0.0.1:") && error.contains("404 Not Found: no_service"),
        "{error}"
    );
    let error = told(run(plain().slack(&"".into(), &attachment())));
    assert_eq!(error, "Slack: the webhook is empty: give one that begins with http:// or https://");
}

/// Answers as Slack's API does; files go to its own address.
fn api() -> Receiver {
    let own = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let known = own.clone();
    let slack = Receiver::start(move |request| {
        let base = known.get().expect("an address");
        match &*request.path {
            "/files.getUploadURLExternal" => Answer::new(
                200,
                &format!("{{\"ok\":true,\"upload_url\":\"{base}/upload/v1/1\",\"file_id\":\"F1\"}}"),
            ),
            "/chat.postMessage" => Answer::new(200, r#"{"ok":true,"channel":"C1","ts":"1.2"}"#),
            "/files.completeUploadExternal" => Answer::new(200, r#"{"ok":true}"#),
            "/upload/v1/1" => Answer::new(200, "OK - 1000"),
            _ => Answer::new(404, ""),
        }
    });
    own.set(slack.url("")).expect("once");
    slack
}

#[test]
fn a_bot_posts_with_fields_and_files() {
    let slack = api();
    let scratch = Scratch::new();
    let (path, bytes) = file(&scratch, "a b.pcap", 1000);
    let outlets = outlets(Endpoints { slack: Some(slack.url("")), ..Endpoints::default() }, quick());
    let message = BotMessage {
        token: "xoxb-1".into(),
        channel: "#alerts".to_owned(),
        attachment: attachment(),
        fields: vec![("Node".to_owned(), "n1".to_owned())],
        files: vec![("a b.pcap".to_owned(), path)],
    };
    run(outlets.slack_bot(&message)).expect("a message");
    let sent = slack.received();
    let paths: Vec<&str> = sent.iter().map(|request| request.path.as_str()).collect();
    let expected =
        ["/files.getUploadURLExternal", "/upload/v1/1", "/chat.postMessage", "/files.completeUploadExternal"];
    assert_eq!(paths, expected);
    assert_eq!(sent[0].text(), "filename=a%20b.pcap&length=1000");
    assert_eq!(sent[1].body, bytes);
    assert_eq!(sent[1].header("authorization"), None);
    assert_eq!(sent[2].header("authorization"), Some("Bearer xoxb-1"));
    let posted = sent[2].json();
    assert_eq!(posted["channel"], "#alerts");
    let shown = &posted["attachments"][0];
    assert_eq!(shown["color"], "#ff0000");
    assert_eq!(shown["fields"][0], json!({"title": "Node", "value": "n1", "short": false}));
    assert_eq!(shown["fields"][1]["title"], "Timestamp");
    assert!(shown["fields"][1]["value"].as_str().is_some_and(|time| time.ends_with(" GMT")), "{shown}");
    let files = json!({"files": [{"id": "F1", "title": "a b.pcap"}], "channel_id": "C1", "thread_ts": "1.2"});
    assert_eq!(sent[3].json(), files);
}

#[test]
fn slack_says_no_with_status_200() {
    let slack = Receiver::start(|_| Answer::new(200, r#"{"ok":false,"error":"invalid_auth"}"#));
    let outlets = outlets(Endpoints { slack: Some(slack.url("/api")), ..Endpoints::default() }, quick());
    let error =
        told(run(outlets.slack_bot(&BotMessage { token: "xoxb-secret".into(), ..BotMessage::default() })));
    assert!(error.contains("chat.postMessage refused: invalid_auth; check the bot's token"), "{error}");
    assert!(!error.contains("xoxb-secret"), "{error}");
}
