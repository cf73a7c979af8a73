//! What the first page of the documentation promises: a page of JavaScript turns traffic into an alert.

use std::{fs, time::Duration};

use support::{Scratch, program::Tap, receiver::Receiver};

use crate::{capture, kubeshark, text};

#[test]
fn a_server_side_error_becomes_a_slack_message() {
    let slack = Receiver::ok();
    let scratch = Scratch::new();
    let alert = fs::read(support::root().join("scripts/server-error-slack.js")).expect("a script");
    scratch.file("alert.js", &alert);
    let webhook = format!("SLACK_WEBHOOK={}", slack.url("/services/x"));
    let capture = capture("http-methods");
    let arguments = ["--pcap", text(&capture), "--scripts", text(scratch.path()), "--env", &webhook];
    let tap = Tap::start(&kubeshark(), &arguments);
    let received = slack.wait(1, Duration::from_secs(30));
    assert_eq!((&*received[0].method, &*received[0].path), ("POST", "/services/x"));
    let message = received[0].json();
    let attachment = &message["attachments"][0];
    assert_eq!(
        (&attachment["pretext"], &attachment["color"]),
        (&"Server-side Error".into(), &"#ff0000".into())
    );
    let entry: serde_json::Value =
        serde_json::from_str(attachment["text"].as_str().expect("a text")).expect("an entry in JSON");
    assert_eq!((&entry["response"]["status"], &entry["request"]["path"]), (&500.into(), &"/fail".into()));
    assert_eq!(tap.interrupt().code(), Some(0));
    assert_eq!(slack.received().len(), 1, "the capture holds one such answer");
}
