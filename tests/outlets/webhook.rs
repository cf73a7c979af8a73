//! Any HTTP server: what is sent, what is tried again, what is not.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use outlets::{Config, Error, Form, Limits, Outlets, Response, Webhook};
use support::receiver::{Answer, Receiver};

use crate::{impatient, nobody, outlets, plain, quick, run, told};

fn hook(method: &str, url: &str, body: &str) -> Webhook {
    Webhook { method: method.to_owned(), url: url.to_owned(), body: body.to_owned(), headers: Vec::new() }
}

fn send(outlets: &Outlets, hook: Webhook) -> Result<Response, Error> {
    run(outlets.webhook(hook))
}

#[test]
fn what_is_sent_and_what_comes_back() {
    let server = Receiver::start(|_| Answer::new(201, "made: ü"));
    let mut request = hook("post", &server.url("/a?b=c"), "{\"a\":1}");
    request.headers.push(("X-Key".to_owned(), "k".to_owned()));
    let answer = send(&plain(), request).expect("an answer");
    assert_eq!(answer, Response { status: 201, body: "made: ü".to_owned() });
    send(&plain(), hook("PUT", &server.url(""), "text")).expect("an answer");
    send(&plain(), hook("GET", &server.url(""), "")).expect("an answer");
    let mut own = hook("POST", &server.url(""), "{}");
    own.headers.push(("Content-Type".to_owned(), "text/x-own".to_owned()));
    send(&plain(), own).expect("an answer");
    send(&plain(), hook("POST", &server.url(""), "")).expect("an answer");
    let received = server.received();
    let seen: Vec<_> = received
        .iter()
        .map(|r| (&*r.method, &*r.path, r.header("content-type"), r.header("content-length"), r.text()))
        .collect();
    assert_eq!(seen[0], ("POST", "/a?b=c", Some("application/json"), Some("7"), "{\"a\":1}".to_owned()));
    assert_eq!(received[0].header("x-key"), Some("k"));
    assert_eq!(seen[1], ("PUT", "/", Some("text/plain; charset=utf-8"), Some("4"), "text".to_owned()));
    assert_eq!(seen[2], ("GET", "/", None, None, String::new()));
    assert_eq!(seen[3], ("POST", "/", Some("text/x-own"), Some("2"), "{}".to_owned()));
    assert_eq!(seen[4], ("POST", "/", None, Some("0"), String::new()));
}

#[test]
fn a_form() {
    let server = Receiver::ok();
    let fields = vec![("a".to_owned(), "1".to_owned()), ("har".to_owned(), "{\"log\":{}}\r\n".to_owned())];
    let form = Form { method: "POST".to_owned(), url: server.url("/form"), fields };
    assert_eq!(run(plain().webhook_form(form)).expect("an answer").body, "ok");
    let sent = server.received().remove(0);
    let kind = sent.header("content-type").expect("a type").to_owned();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("a form");
    let part = |name: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    assert_eq!(
        sent.text(),
        format!("{}{}--{boundary}--\r\n", part("a", "1"), part("har", "{\"log\":{}}\r\n"))
    );
}

/// Fails so many times, then is well.
fn ill(times: u32, failure: Answer) -> Receiver {
    let left = AtomicU32::new(times);
    Receiver::start(move |_| match left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)) {
        Ok(_) => failure.clone(),
        Err(_) => Answer::new(200, "well"),
    })
}

#[test]
fn what_is_tried_again() {
    // Method, failure, how often it fails, how many requests arrive, whether it works out.
    for (method, failure, times, arrive, well) in [
        ("POST", Answer::new(500, ""), 2, 3, true),
        ("POST", Answer::new(503, ""), 9, 3, false),
        ("POST", Answer::new(429, ""), 1, 2, true),
        ("POST", Answer::new(400, ""), 1, 1, false),
        ("POST", Answer::new(501, ""), 1, 1, false),
        ("POST", Answer::Cut, 1, 1, false),
        ("PUT", Answer::Cut, 2, 3, true),
        ("GET", Answer::Cut, 9, 3, false),
    ] {
        let server = ill(times, failure.clone());
        let result = send(&plain(), hook(method, &server.url(""), if method == "GET" { "" } else { "x" }));
        assert_eq!(result.is_ok(), well, "{method} {failure:?}: {result:?}");
        assert_eq!(server.received().len(), arrive, "{method} {failure:?}");
    }
}

#[test]
fn a_server_that_is_down_or_silent() {
    let error = send(&plain(), hook("POST", &nobody(), "x")).expect_err("nobody");
    assert!(matches!(&error, Error::Unreachable { attempts: 3, .. }), "{error:?}");
    let silent = Receiver::start(|_| Answer::Silence);
    let outlets = outlets(outlets::Endpoints::default(), impatient());
    let error = send(&outlets, hook("POST", &silent.url(""), "x")).expect_err("silence");
    assert!(matches!(&error, Error::TimedOut { attempts: 1, .. }), "{error:?}");
    let error = send(&outlets, hook("GET", &silent.url(""), "")).expect_err("silence");
    assert!(matches!(&error, Error::TimedOut { attempts: 2, .. }), "{error:?}");
}

#[test]
fn a_silent_server_keeps_others_waiting_for_a_while_only() {
    let silent = Receiver::start(|_| Answer::Silence);
    let limits = Limits { concurrency: 1, attempts: 1, ..impatient() };
    let outlets = outlets(outlets::Endpoints::default(), limits);
    run(async {
        let attempt = || outlets.webhook(hook("POST", &silent.url(""), "x"));
        let (first, second, third) = tokio::join!(attempt(), attempt(), attempt());
        let results = [first, second, third];
        let busy =
            results.iter().filter(|result| matches!(result, Err(Error::Busy { limit: 1, .. }))).count();
        assert!(busy >= 1 && results.iter().all(Result::is_err), "{results:?}");
    });
    assert!(silent.received().len() <= 2);
}

#[test]
fn sizes_have_limits() {
    let server = Receiver::start(|_| Answer::new(200, &"y".repeat(5000)));
    let limits = Limits { request_bytes: 1000, response_bytes: 100, ..quick() };
    let outlets = Outlets::new(Config { limits, ..Config::default() }).expect("a configuration");
    let answer = send(&outlets, hook("POST", &server.url(""), &"x".repeat(1000))).expect("an answer");
    assert_eq!(answer.body, "y".repeat(100));
    let error = told(send(&outlets, hook("POST", &server.url(""), &"x".repeat(1001))));
    assert_eq!(error, "webhook: 1001 bytes are too many: the limit is 1000");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn redirects_are_followed_for_a_while() {
    let end = Receiver::ok();
    let (there, other) = (end.url("/there"), end.url("/there"));
    let begin = Receiver::start(move |request| match &*request.path {
        "/307" => Answer::redirect(307, &there),
        "/302" => Answer::redirect(302, &other),
        path => Answer::redirect(307, path),
    });
    send(&plain(), hook("POST", &begin.url("/307"), "x")).expect("an answer");
    send(&plain(), hook("POST", &begin.url("/302"), "x")).expect("an answer");
    let seen: Vec<_> = end.received().iter().map(|r| (r.method.clone(), r.text())).collect();
    assert_eq!(seen, [("POST".to_owned(), "x".to_owned()), ("GET".to_owned(), String::new())]);
    let error = told(send(&plain(), hook("GET", &begin.url("/loop"), "")));
    assert!(error.contains("redirects more than 5 times"), "{error}");
}
