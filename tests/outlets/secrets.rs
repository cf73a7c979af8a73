//! A secret is in no error and in no log, even where a service's answer repeats all that it was sent.

use std::{
    error::Error as _,
    io,
    sync::{Arc, Mutex},
};

use outlets::{
    Attachment, AwsKeys, AzureAccount, BotMessage, Documents, ElasticLogin, Endpoints, Error, Form, Outlets,
    Point, Record, S3Bucket, Webhook,
};
use serde_json::{Value, json};
use support::{
    Scratch,
    receiver::{Answer, Receiver},
    servers::service_account,
};
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter, util::SubscriberInitExt};

use crate::{file, impatient, nobody, outlets, run};

/// What no error may contain, in any form that it is sent in.
const SECRETS: &[&str] = &[
    "hunter2-key",
    "aHVudGVyMi1rZXk",
    "xoxb-hunter2",
    "T0HUNTER2/B0HUNTER2",
    "hunter2word",
    "dTpodW50ZXIyd29yZA",
    "PRIVATE KEY",
    // How a token of Google's begins.
    "eyJ",
];

/// Answers with all that it was sent, as each service words its errors.
fn echo(status: u16) -> Receiver {
    Receiver::start(move |request| {
        let all = format!("{} {} {:?} {}", request.method, request.path, request.headers, request.text());
        let escaped = all.replace('&', "&amp;").replace('<', "&lt;");
        let body = match () {
            () if request.header("amz-sdk-invocation-id").is_some() => {
                format!("<Error><Code>Odd</Code><Message>{escaped}</Message></Error>")
            }
            () if request.header("x-goog-api-client").is_some() => {
                json!({"error": {"code": status, "message": all}}).to_string()
            }
            () if status == 200 => json!({"ok": false, "error": all}).to_string(),
            () => all,
        };
        Answer::new(status, &body)
    })
}

/// Every call, with every kind of secret; the errors that come of it.
async fn every_call(outlets: &Outlets, base: &str, account: &Value) -> Vec<Error> {
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "a", 10);
    let url =
        format!("{}/hook/T0HUNTER2/B0HUNTER2?token=hunter2-key", base.replace("://", "://u:hunter2word@"));
    let keys = AwsKeys {
        id: "AKIDHUNTER".into(),
        secret: "hunter2-key".into(),
        session: Some("xoxb-hunter2".into()),
    };
    let bucket = S3Bucket { region: "us-east-1".into(), bucket: "b".into(), keys: Some(keys.clone()) };
    let record =
        Record { stream: "s".into(), payload: b"x".to_vec(), region: "us-east-1".into(), keys: Some(keys) };
    let fields = json!({"a": 1}).as_object().cloned().expect("an object");
    let point = |token: &str| Point {
        url: base.to_owned(),
        token: token.into(),
        bucket: "b".into(),
        measurement: "m".into(),
        fields: fields.clone(),
        ..Point::default()
    };
    let headers = vec![("X-Token".to_owned(), "hunter2-key".to_owned())];
    let hook = Webhook { method: "PUT".into(), url: url.clone(), body: "x".into(), headers };
    let form = Form { method: "POST".into(), url: url.clone(), fields: Vec::new() };
    let bot = BotMessage { token: "xoxb-hunter2".into(), ..BotMessage::default() };
    let document = |login| Documents {
        url: base.to_owned(),
        index: "i".into(),
        documents: vec![json!({"a": 1})],
        login,
    };
    let none = ElasticLogin::default;
    let azure = AzureAccount { name: "acc".into(), key: "aHVudGVyMi1rZXk=".into(), connection: "".into() };
    let shared = AzureAccount {
        connection: format!("BlobEndpoint={base}/;SharedAccessSignature=sv=1&sig=hunter2-key")
            .as_str()
            .into(),
        ..AzureAccount::default()
    };
    let results = [
        outlets.webhook(hook).await.map(drop),
        outlets.webhook_form(form).await.map(drop),
        outlets.slack(&url.as_str().into(), &Attachment::default()).await,
        outlets.slack_bot(&bot).await,
        outlets.influxdb(&point("hunter2-key")).await,
        outlets.influxdb(&point("u:hunter2word")).await,
        outlets
            .elastic(&document(ElasticLogin {
                username: "u".into(),
                password: "hunter2word".into(),
                ..none()
            }))
            .await,
        outlets.elastic(&document(ElasticLogin { api_key: "hunter2-key".into(), ..none() })).await,
        outlets.elastic(&document(ElasticLogin { service_token: "hunter2-key".into(), ..none() })).await,
        outlets.s3_put(&bucket, "k", &path).await.map(drop),
        outlets.s3_clear(&bucket, "k").await.map(drop),
        outlets.gcs_put("b", "k", &path, account).await.map(drop),
        outlets.gcs_clear("b", "k", account).await.map(drop),
        outlets.azure_put("c", "k", &path, &azure).await.map(drop),
        outlets.azure_put("c", "k", &path, &shared).await.map(drop),
        outlets.kinesis_put(&record).await.map(drop),
    ];
    results.into_iter().filter_map(Result::err).collect()
}

fn endpoints(base: &str) -> Endpoints {
    let all = || Some(base.to_owned());
    Endpoints { s3: all(), gcs: all(), slack: all(), azure: all(), kinesis: all() }
}

/// All that a program may come to print of an error.
fn printed(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?} {}", error.text());
    let mut cause = error.source();
    while let Some(error) = cause {
        text.extend([" ", &error.to_string(), " ", &format!("{error:?}")]);
        cause = error.source();
    }
    text
}

fn assert_clean(text: &str, account: &Value) {
    let key = account["private_key"].as_str().expect("a key");
    let lines = key.lines().filter(|line| line.len() > 20);
    for secret in SECRETS.iter().copied().chain(lines).chain(account["private_key_id"].as_str()) {
        if let Some(at) = text.find(secret) {
            let (start, end) = (at.saturating_sub(300), (at + 60).min(text.len()));
            panic!("{secret:?} is in {:?}", String::from_utf8_lossy(&text.as_bytes()[start..end]));
        }
    }
}

#[test]
fn no_error_has_a_secret() {
    let account = service_account();
    let mut count = 0;
    for status in [200, 302, 400, 401, 403, 404, 418, 500] {
        let server = echo(status);
        let base = server.url("");
        let errors = run(every_call(&outlets(endpoints(&base), impatient()), &base, &account));
        count += errors.len();
        for error in errors {
            assert_clean(&printed(&error), &account);
        }
    }
    assert!(count >= 8 * 10, "{count} errors");
    let down = nobody();
    let silent = Receiver::start(|_| Answer::Silence);
    let cut = Receiver::start(|_| Answer::Cut);
    for base in [down, silent.url(""), cut.url("")] {
        let errors = run(every_call(&outlets(endpoints(&base), impatient()), &base, &account));
        assert_eq!(errors.len(), 16, "{base}");
        for error in errors {
            assert_clean(&printed(&error), &account);
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// At the level that a user sets who looks for a fault, the libraries' own lines included.
#[test]
fn no_log_has_a_secret() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).with_writer(log.clone()).finish();
    let account = service_account();
    let guard = subscriber.set_default();
    for status in [200, 403, 500] {
        let server = echo(status);
        let base = server.url("");
        run(every_call(&outlets(endpoints(&base), impatient()), &base, &account));
    }
    drop(guard);
    let text = String::from_utf8_lossy(&log.0.lock().expect("no panic")).into_owned();
    assert!(text.contains("Trying again"), "nothing was logged: {text}");
    assert_clean(&text, &account);
}
