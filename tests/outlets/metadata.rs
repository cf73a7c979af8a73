//! Addresses that give out a cloud's credentials are not reached: not by name, not by redirect.

use std::{env, fs, process::Command};

use outlets::{Attachment, Config, Documents, Error, Outlets, Point, Webhook};
use serde_json::json;
use support::{
    Scratch, program,
    receiver::{Answer, Receiver},
};

use crate::{impatient, plain, run};

fn get(outlets: &Outlets, url: &str) -> Result<outlets::Response, Error> {
    run(outlets.webhook(Webhook { method: "GET".to_owned(), url: url.to_owned(), ..Webhook::default() }))
}

#[test]
fn every_url_of_a_script_is_checked() {
    const URL: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";
    let outlets = plain();
    let fields = json!({"a": 1}).as_object().cloned().expect("an object");
    let point = Point { url: URL.to_owned(), measurement: "m".to_owned(), fields, ..Point::default() };
    let document = Documents {
        url: URL.to_owned(),
        index: "i".to_owned(),
        documents: vec![json!({})],
        ..Documents::default()
    };
    let results = run(async {
        [
            outlets
                .webhook(Webhook { method: "GET".to_owned(), url: URL.to_owned(), ..Webhook::default() })
                .await
                .map(drop),
            outlets
                .webhook_form(outlets::Form {
                    method: "POST".to_owned(),
                    url: URL.to_owned(),
                    fields: Vec::new(),
                })
                .await
                .map(drop),
            outlets.slack(&URL.into(), &Attachment::default()).await,
            outlets.influxdb(&point).await,
            outlets.elastic(&document).await,
        ]
    });
    for result in results {
        let error = result.expect_err("refused");
        assert!(matches!(error, Error::MetadataAddress { .. }), "{error:?}");
        assert!(error.to_string().contains("http://169.254.169.254"), "{error}");
    }
}

#[test]
fn redirects_are_checked() {
    for status in [301, 302, 303, 307, 308] {
        let server = Receiver::start(move |request| match &*request.path {
            "/first" => Answer::redirect(status, "/second"),
            _ => Answer::redirect(status, "http://[::ffff:a9fe:a9fe]/latest/"),
        });
        let error = get(&plain(), &server.url("/first")).expect_err("refused");
        assert!(matches!(error, Error::MetadataAddress { .. }), "{status}: {error:?}");
        assert_eq!(server.received().len(), 2, "and it is not tried again");
    }
}

/// Whoever runs the program may allow it; then such an address is tried like any other. At this one, nobody gives anything.
#[test]
fn it_can_be_allowed() {
    let server = Receiver::start(|_| Answer::redirect(302, "http://169.254.255.254:1/"));
    let config = Config { allow_metadata_address: true, limits: impatient(), ..Config::default() };
    let outlets = Outlets::new(config).expect("a configuration");
    let result = get(&outlets, &server.url("/"));
    assert!(!matches!(result, Err(Error::MetadataAddress { .. })), "{result:?}");
    let result = get(&plain(), &server.url("/"));
    assert!(matches!(result, Err(Error::MetadataAddress { .. })), "{result:?}");
}

/// Set by the test below for the process that it starts.
const INNER: &str = "KUBESHARK_TEST_HOSTS";

/// A name that resolves there, by a hosts file that only a mount namespace of the test's own sees.
#[test]
fn names_are_checked_after_they_are_resolved() {
    if env::var_os(INNER).is_some() {
        for name in ["rebound.test", "six.test"] {
            let error = get(&plain(), &format!("http://{name}:9/")).expect_err("refused");
            assert!(matches!(error, Error::MetadataAddress { .. }), "{name}: {error:?}");
        }
        let server = Receiver::ok();
        let port = server.address().rsplit(':').next().expect("a port");
        get(&plain(), &format!("http://harmless.test:{port}/")).expect("another name is reached");
        let away = Receiver::start(|_| Answer::redirect(302, "http://rebound.test/"));
        let error = get(&plain(), &away.url("/")).expect_err("refused");
        assert!(matches!(error, Error::MetadataAddress { .. }), "{error:?}");
        return;
    }
    let scratch = Scratch::new();
    let hosts = scratch.path().join("hosts");
    let lines = "169.254.169.254 rebound.test\nfd00:ec2::254 six.test\n127.0.0.1 harmless.test localhost\n";
    fs::write(&hosts, lines).expect("a file");
    let program = env::current_exe().expect("a test");
    let mut unshared = Command::new("unshare");
    unshared.args(["-Urm", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]);
    unshared.arg(&hosts);
    if !Command::new("unshare").args(["-Urm", "true"]).status().is_ok_and(|status| status.success()) {
        program::missing(
            "names that resolve to a metadata address: not run (unshare may not make namespaces here)",
        );
        return;
    }
    let again = unshared
        .arg(program)
        .args(["--exact", "metadata::names_are_checked_after_they_are_resolved"])
        .env(INNER, "1")
        .output()
        .expect("unshare");
    assert!(
        again.status.success(),
        "{}{}",
        String::from_utf8_lossy(&again.stdout),
        String::from_utf8_lossy(&again.stderr)
    );
}
