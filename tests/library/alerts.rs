//! Scripts that tell somebody.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use support::{
    Scratch,
    craft::{self, Side, Talk},
    pcap::{Capture, Endian},
    receiver::{Answer, Received, Receiver},
    recorded::{entries, streams},
};

use crate::{capture, run, status, tried};

/// What Slack's attachments say: pretext and text.
fn said(received: &[Received]) -> Vec<(String, String)> {
    let attachment = |request: &Received| {
        let attachment = request.json()["attachments"][0].clone();
        let text = |key: &str| attachment[key].as_str().expect("a text").to_owned();
        (text("pretext"), text("text"))
    };
    received.iter().map(attachment).collect()
}

pub(crate) fn server_error(name: &str) {
    let slack = Receiver::ok();
    run(name, &capture("demo"), &[("SLACK_WEBHOOK", &slack.url("/hook"))], &[]);
    let expected = entries("demo").iter().filter(|entry| status(entry) == 500).count();
    let received = slack.received();
    assert_eq!(received.len(), expected);
    for request in &received {
        let sent = request.json();
        let names: Vec<_> =
            sent["attachments"][0].as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(
            (sent.as_object().expect("an object").len(), names),
            (1, vec!["color", "pretext", "text"])
        );
        assert_eq!(sent["attachments"][0]["color"], "#ff0000");
    }
    for (pretext, text) in said(&received) {
        let entry: Value = serde_json::from_str(&text).expect("an entry in JSON");
        assert_eq!((&*pretext, status(&entry)), ("Server-side Error", 500));
        assert_eq!(entry["request"]["path"], "/fail");
    }
}

pub(crate) fn pass_fail(name: &str) {
    let ran = tried(name, &capture("demo"), &[], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let failed = entries("demo").iter().filter(|entry| status(entry) == 500).count();
    let passed = entries("demo").len() - failed;
    assert!(ran.stderr.contains(&format!("test.pass {passed} · test.fail {failed}")), "{}", ran.stderr);
}

pub(crate) fn error_rate(name: &str) {
    let slack = Receiver::ok();
    let env = [("SLACK_WEBHOOK", &*slack.url("/hook")), ("ERROR_PERCENT", "4")];
    run(name, &capture("demo"), &env, &[]);
    let of = |entry: &&Value| entry["protocol"]["name"] == "http" && entry["dst"]["ip"] == "10.20.0.2";
    let all = entries("demo").iter().filter(of).count();
    let failed = entries("demo").iter().filter(of).filter(|entry| status(entry) >= 500).count();
    let percent = 100.0 * failed as f64 / all as f64;
    let line = format!("10.20.0.2:8080: {percent:.1} % of {all} responses");
    assert_eq!(said(&slack.received()), [("Services that fail".to_owned(), line)]);
    // Fewer than so many are no news.
    let slack = Receiver::ok();
    let env = [("SLACK_WEBHOOK", &*slack.url("/hook")), ("ERROR_PERCENT", "50")];
    run(name, &capture("demo"), &env, &[]);
    assert!(slack.received().is_empty());
}

pub(crate) fn webhook(name: &str) {
    let server = Receiver::ok();
    let env = [("WEBHOOK_URL", &*server.url("/errors")), ("WEBHOOK_TOKEN", "t0ken")];
    run(name, &capture("demo"), &env, &[]);
    let expected: Vec<_> = entries("demo").into_iter().filter(|entry| status(entry) >= 400).collect();
    let received = server.received();
    assert_eq!(received.len(), expected.len());
    for (request, entry) in received.iter().zip(expected) {
        assert_eq!((&*request.method, request.header("authorization")), ("POST", Some("Bearer t0ken")));
        let sent = request.json();
        assert_eq!((&sent["id"], &sent["status"]), (&entry["id"], &entry["response"]["status"]));
        assert_eq!((&sent["path"], &sent["to"]), (&entry["request"]["path"], &entry["dst"]["ip"]));
    }
}

pub(crate) fn slow_requests(name: &str) {
    let server = Receiver::ok();
    let env = [("SLOW_MS", "30"), ("WEBHOOK_URL", &*server.url("/slow"))];
    // Its one answer took 40 ms.
    let lines = run(name, &capture("http-interim"), &env, &[]);
    assert!(lines.contains(&"[localhost-0] slow: POST /upload took 40 ms".to_owned()), "{lines:#?}");
    let form = server.received()[0].text();
    for part in ["name=\"slow\"\r\n\r\n1\r\n", "name=\"worst\"\r\n\r\nPOST /upload took 40 ms\r\n"] {
        assert!(form.contains(part), "{form}");
    }
    let lines = run(name, &capture("http-interim"), &[("SLOW_MS", "40")], &[]);
    assert!(lines.iter().all(|line| !line.contains("slow: ")), "{lines:#?}");
}

pub(crate) fn dns_failures(name: &str) {
    let lines = run(name, &capture("dns-udp"), &[], &[]);
    for line in [
        "[localhost-0] 1 x nobody.example.test (A): Non-Existent Domain",
        "[localhost-0] 1 x refused.invalid (A): Query Refused",
    ] {
        assert!(lines.contains(&line.to_owned()), "{lines:#?}");
    }
    assert_eq!(lines.iter().filter(|line| line.contains(" x ")).count(), 2, "{lines:#?}");
}

pub(crate) fn exfiltration(name: &str) {
    let slack = Receiver::ok();
    let webhook = slack.url("/hook");
    run(name, &capture("dns-udp"), &[("SLACK_WEBHOOK", &webhook)], &[]);
    assert!(slack.received().is_empty(), "a dozen names are no news");
    run(name, &capture("dns-udp"), &[("SLACK_WEBHOOK", &webhook), ("DNS_NAMES", "3")], &[]);
    // a, www, _sip._tcp and nobody
    let line = "10.20.0.1 asks for example.test: 4 names, 18 bytes in them".to_owned();
    assert_eq!(said(&slack.received()), [("Data may leave by DNS".to_owned(), line)]);
}

/// A capture in which `/people` takes a card's number and gives an address.
fn personal() -> Capture {
    let (asks, answers) = ("name=Ann&card=4111 1111 1111 1111", "{\"mail\":\"ann@example.test\"}");
    let request = format!(
        "POST /people HTTP/1.1\r\nHost: a.test\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{asks}",
        asks.len()
    );
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answers}", answers.len());
    let mut talk = Talk::open();
    talk.say(Side::Client, request.as_bytes()).say(Side::Server, response.as_bytes()).close();
    craft::PLAIN.capture(&talk.segments)
}

pub(crate) fn personal_data(name: &str) {
    let slack = Receiver::ok();
    let webhook = slack.url("/hook");
    let scratch = Scratch::new();
    let capture = scratch.file("people.pcap", &personal().pcap(Endian::Little, true));
    run(name, &capture, &[("SLACK_WEBHOOK", &webhook)], &[]);
    let received = slack.received();
    let said = said(&received);
    assert_eq!(said.len(), 1);
    let found = "POST 10.0.0.9/people: a payment card in the request, an e-mail address in the response";
    assert!(said[0].1.starts_with(found), "{said:?}");
    assert!(!received[0].text().contains("4111") && !received[0].text().contains("ann@"), "{said:?}");
    run(name, &crate::capture("demo"), &[("SLACK_WEBHOOK", &webhook)], &[]);
    assert_eq!(slack.received().len(), 1, "nobody's data is in the other capture");
}

pub(crate) fn packets_to_slack(name: &str) {
    let address = Arc::new(OnceLock::<String>::new());
    let known = Arc::clone(&address);
    let slack = Receiver::start(move |request| {
        let base = known.get().expect("an address");
        match &*request.path {
            "/files.getUploadURLExternal" => {
                Answer::new(200, &format!("{{\"ok\":true,\"upload_url\":\"{base}/up\",\"file_id\":\"F1\"}}"))
            }
            "/up" => Answer::new(200, "OK"),
            _ => Answer::new(200, r#"{"ok":true,"channel":"C1","ts":"1.2"}"#),
        }
    });
    address.set(slack.url("")).expect("once");
    let env =
        [("SLACK_API_URL", &*slack.url("")), ("SLACK_AUTH_TOKEN", "xoxb-1"), ("SLACK_CHANNEL_ID", "C1")];
    run(name, &capture("demo"), &env, &[]);
    let received = slack.received();
    let uploads: Vec<_> = received.iter().filter(|request| request.path == "/up").collect();
    let failed = support::recorded::matching("demo", |entry| status(entry) >= 500);
    assert_eq!(uploads.len(), failed.len());
    let found = streams(&capture("demo"));
    for (upload, stream) in uploads.iter().zip(&failed) {
        // The packets until then, of which the answer was the last.
        let sent = Capture::read(&upload.body).frames;
        assert!(!sent.is_empty() && found[stream].starts_with(&sent), "{stream}: {} packets", sent.len());
    }
    let posted = received.iter().find(|request| request.path == "/chat.postMessage").expect("a message");
    assert!(posted.text().contains("GET /fail: 500"), "{}", posted.text());
}
