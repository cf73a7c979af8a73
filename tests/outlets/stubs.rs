//! Elasticsearch, Azure and Kinesis: stubs, which show what is sent.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    sync::Arc,
    thread,
};

use outlets::{AwsKeys, AzureAccount, Documents, ElasticLogin, Endpoints, Outlets, Record};
use serde_json::json;
use support::{
    Scratch,
    receiver::{Answer, Receiver},
};

use crate::{file, outlets, plain, quick, run, told};

fn document(url: &str, login: ElasticLogin) -> Documents {
    let documents = vec![json!({"status": 500}), json!({"status": 200})];
    Documents { url: url.to_owned(), index: "my index".to_owned(), documents, login }
}

#[test]
fn elasticsearch_gets_documents() {
    let stub = Receiver::start(|_| Answer::new(200, r#"{"errors":false,"items":[]}"#));
    let by =
        |login: ElasticLogin| run(plain().elastic(&document(&stub.url("/es/"), login))).expect("indexed");
    by(ElasticLogin::default());
    by(ElasticLogin { username: "elastic".into(), password: "pass word".into(), ..ElasticLogin::default() });
    by(ElasticLogin { api_key: "a2V5".into(), ..ElasticLogin::default() });
    by(ElasticLogin { service_token: "AAEA".into(), username: "ignored".into(), ..ElasticLogin::default() });
    let received = stub.received();
    let logins: Vec<_> = received.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(
        logins,
        [None, Some("Basic ZWxhc3RpYzpwYXNzIHdvcmQ="), Some("ApiKey a2V5"), Some("Bearer AAEA")]
    );
    for request in received {
        assert_eq!(
            (&*request.method, &*request.path),
            ("POST", "/es/my%20index/_bulk?filter_path=errors,items.*.status,items.*.error")
        );
        assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
        let lines = "{\"create\":{}}\n{\"status\":500}\n{\"create\":{}}\n{\"status\":200}\n";
        assert_eq!(request.text(), lines);
    }
    let none = Documents { documents: Vec::new(), ..document(&stub.url(""), ElasticLogin::default()) };
    run(plain().elastic(&none)).expect("nothing to do");
    assert_eq!(stub.received().len(), 4, "nothing was sent for nothing");
}

#[test]
fn elasticsearch_refuses() {
    let stub = Receiver::start(|_| Answer::new(401, r#"{"error":{"type":"security_exception"}}"#));
    let error = told(run(plain().elastic(&document(&stub.url(""), ElasticLogin::default()))));
    assert!(
        error.contains("index \"my index\" refused: 401 Unauthorized")
            && error.contains("security_exception"),
        "{error}"
    );
    let text =
        Documents { documents: vec![json!("text")], ..document(&stub.url(""), ElasticLogin::default()) };
    assert_eq!(told(run(plain().elastic(&text))), "Elasticsearch: a document is not an object");
    // One of two, in an answer that is a success as a whole.
    let answer = r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"type":"mapper_parsing_exception"}}}]}"#;
    let stub = Receiver::start(|_| Answer::new(200, answer));
    let error = told(run(plain().elastic(&document(&stub.url(""), ElasticLogin::default()))));
    assert!(
        error.contains("400 Bad Request: 1 of 2 documents") && error.contains("mapper_parsing_exception"),
        "{error}"
    );
}

/// A certificate made by openssl, and a server with it that answers once per connection.
struct Tls {
    url: String,
    fingerprint: String,
    pem: Vec<u8>,
}

fn tls() -> Tls {
    let scratch = Scratch::new();
    let (key, certificate) = (scratch.path().join("key"), scratch.path().join("certificate"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=elastic.test"])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
        ])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let shown = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&certificate)
        .output();
    let shown = String::from_utf8(shown.expect("openssl").stdout).expect("text");
    let fingerprint = shown.trim().split('=').nth(1).expect("a fingerprint").to_owned();
    let pem = std::fs::read(&certificate).expect("a file");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let read = |path| rustls::pki_types::pem::PemObject::from_pem_file(path);
    let chain: rustls::pki_types::CertificateDer<'static> = read(&certificate).expect("a certificate");
    let key: rustls::pki_types::PrivateKeyDer<'static> =
        rustls::pki_types::pem::PemObject::from_pem_file(&key).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("a key that fits");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("a socket").port());
    // Ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(config.clone()).expect("a session");
            let mut stream = rustls::StreamOwned::new(session, stream);
            let mut buffer = [0; 4096];
            // Who does not trust the certificate ends the connection.
            if stream.read(&mut buffer).is_ok() {
                drop(
                    stream.write_all(
                        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
                    ),
                );
                stream.conn.send_close_notify();
                drop(stream.flush());
            }
        }
    });
    Tls { url, fingerprint, pem }
}

#[test]
fn certificates_that_only_the_user_trusts() {
    let server = tls();
    let by = |outlets: &Outlets, url: &str, fingerprint: &str| {
        let login = ElasticLogin { fingerprint: fingerprint.to_owned(), ..ElasticLogin::default() };
        run(outlets.elastic(&document(url, login)))
    };
    let error = told(by(&plain(), &server.url, ""));
    assert!(error.contains("can't be reached"), "{error}");
    by(&plain(), &server.url, &server.fingerprint).expect("pinned");
    by(&plain(), &server.url.replace("localhost", "127.0.0.1"), &server.fingerprint)
        .expect("names do not matter");
    let error = told(by(&plain(), &server.url, &"ab".repeat(32)));
    assert!(error.contains("no certificate of the server has the fingerprint given"), "{error}");
    let error = told(by(&plain(), &server.url, "ab"));
    assert!(error.contains("certificateFingerprint is not one"), "{error}");
    let config =
        outlets::Config { ca_pem: Some(server.pem.clone()), limits: quick(), ..outlets::Config::default() };
    by(&Outlets::new(config).expect("a certificate"), &server.url, "").expect("trusted");
    let config = outlets::Config { ca_pem: Some(b"no PEM".to_vec()), ..outlets::Config::default() };
    assert!(told(Outlets::new(config)).contains("give them in PEM"));
}

#[test]
fn azure_gets_a_signed_blob() {
    let stub = Receiver::start(|_| Answer::new(201, ""));
    let scratch = Scratch::new();
    let (path, bytes) = file(&scratch, "a.pcap", 100_000);
    let outlets = outlets(Endpoints { azure: Some(stub.url("")), ..Endpoints::default() }, quick());
    let account =
        AzureAccount { name: "acc".into(), key: "c2VjcmV0LWtleQ==".into(), ..AzureAccount::default() };
    let url = run(outlets.azure_put("traces", "n_1/a b.pcap", &path, &account)).expect("a blob");
    assert_eq!(url, stub.url("/acc/traces/n_1/a%20b.pcap"));
    let sent = stub.received().remove(0);
    assert_eq!((&*sent.method, &*sent.path), ("PUT", "/acc/traces/n_1/a%20b.pcap"));
    assert!(sent.body == bytes && sent.header("transfer-encoding").is_none());
    assert_eq!(sent.header("x-ms-blob-type"), Some("BlockBlob"));
    assert!(
        sent.header("authorization").is_some_and(|value| value.starts_with("SharedKey acc:")),
        "{sent:?}"
    );
    let empty = run(outlets.azure_put("traces", "empty", &scratch.file("e", b""), &account));
    assert!(empty.is_ok() && stub.received()[1].header("content-length") == Some("0"), "{empty:?}");
}

#[test]
fn azure_refuses() {
    let stub = Receiver::start(|_| Answer::new(403, "<Error><Code>AuthenticationFailed</Code></Error>"));
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "a.pcap", 10);
    let outlets = outlets(Endpoints { azure: Some(stub.url("")), ..Endpoints::default() }, quick());
    let account = AzureAccount { name: "acc".into(), key: "c2VjcmV0".into(), ..AzureAccount::default() };
    let error = told(run(outlets.azure_put("traces", "a", &path, &account)));
    assert!(
        error.contains("Azure: container \"traces\" of \"acc\" refused: 403")
            && error.contains("AuthenticationFailed"),
        "{error}"
    );
    let wrong = AzureAccount { key: "no base64!".into(), ..account };
    let error = told(run(outlets.azure_put("traces", "a", &path, &wrong)));
    assert!(error.contains("key is not base64") && !error.contains("no base64!"), "{error}");
}

#[test]
fn kinesis_gets_a_signed_record() {
    let answer = r#"{"ShardId":"shardId-000000000000","SequenceNumber":"49590338271490256608559692538361571095921575989136588898"}"#;
    let stub = Receiver::start(move |_| Answer::new(200, answer));
    let outlets = outlets(Endpoints { kinesis: Some(stub.url("")), ..Endpoints::default() }, quick());
    let keys = AwsKeys { id: "AKID".into(), secret: "secret".into(), session: Some("session".into()) };
    let record = Record {
        stream: "entries".into(),
        payload: b"hello".to_vec(),
        region: "eu-west-1".into(),
        keys: Some(keys),
    };
    assert_eq!(run(outlets.kinesis_put(&record)).expect("a record")["ShardId"], "shardId-000000000000");
    let sent = stub.received().remove(0);
    assert_eq!(sent.header("x-amz-target"), Some("Kinesis_20131202.PutRecord"));
    assert_eq!(sent.header("content-type"), Some("application/x-amz-json-1.1"));
    assert_eq!(sent.header("x-amz-security-token"), Some("session"));
    let signature = sent.header("authorization").expect("a signature");
    for part in [
        "AWS4-HMAC-SHA256 Credential=AKID/",
        "/eu-west-1/kinesis/aws4_request",
        "content-type;host;x-amz-date;",
        "x-amz-target",
    ] {
        assert!(signature.contains(part), "{signature}");
    }
    let body = sent.json();
    assert_eq!((&body["StreamName"], &body["Data"]), (&json!("entries"), &json!("aGVsbG8=")));
    assert!(body["PartitionKey"].as_str().is_some_and(|key| key.len() == 16), "{body}");
    let nowhere = Record { region: "x.evil.test/".into(), ..record };
    assert!(told(run(outlets.kinesis_put(&nowhere))).contains("is not a region"));
}
