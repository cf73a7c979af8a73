//! What the first page of the documentation promises: a page of JavaScript turns traffic into an alert.

use std::time::Duration;

use support::{Scratch, program::Tap, receiver::Receiver};

use crate::{capture, kubeshark, text};

/// As the documentation has it.
const ALERT: &str = r##"function onItemCaptured(data) {
  if (data.response.status === 500)
    vendor.slack(
      env.SLACK_WEBHOOK,      // Webhook URL
      "Server-side Error",    // Pretext (title)
      JSON.stringify(data),   // Message text
      "#ff0000"               // Color code of the message
    );
}
"##;

#[test]
fn a_server_side_error_becomes_a_slack_message() {
    let slack = Receiver::ok();
    let scratch = Scratch::new();
    scratch.file("alert.js", ALERT.as_bytes());
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
