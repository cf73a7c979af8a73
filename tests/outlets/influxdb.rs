//! Points, at `InfluxDB` 1, and at a stub of version 2.

use std::time::{Duration, SystemTime};

use outlets::{Error, Point};
use serde_json::{Value, json};
use support::{
    receiver::{Answer, Receiver},
    servers::Influx,
};

use crate::{nobody, plain, run, told};

fn point(url: &str, token: &str, fields: &Value) -> Point {
    Point {
        url: url.to_owned(),
        token: token.into(),
        organization: "my org".to_owned(),
        bucket: "kubeshark".to_owned(),
        measurement: "http, by status".to_owned(),
        fields: fields.as_object().expect("an object").clone(),
        tags: [("node".to_owned(), "a=b, c".to_owned()), ("none".to_owned(), String::new())].into(),
        at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
    }
}

#[test]
fn points_come_back() {
    let Some(server) = Influx::start() else { return };
    let outlets = plain();
    let url = format!("http://{}", server.address);
    let fields = json!({"count": 3, "ms": 1.5, "ok": true, "said": "say \"a\\b\"\nand c", "more": {"x": [1]}, "none": null});
    run(async {
        outlets.influxdb(&point(&url, Influx::TOKEN, &fields)).await.expect("a point");
        let mut second = point(&url, Influx::TOKEN, &json!({"count": 4}));
        second.at = None;
        outlets.influxdb(&second).await.expect("a point");
    });
    let answer = server.query("SELECT * FROM \"http, by status\"");
    let series = &answer["results"][0]["series"][0];
    let columns: Vec<&str> =
        series["columns"].as_array().expect("columns").iter().filter_map(Value::as_str).collect();
    assert_eq!(columns, ["time", "count", "more", "ms", "node", "ok", "said"]);
    let first = json!(["2023-11-14T22:13:20Z", 3, "{\"x\":[1]}", 1.5, "a=b, c", true, "say \"a\\b\"\nand c"]);
    assert_eq!(series["values"][0], first);
    assert_eq!(series["values"].as_array().map(Vec::len), Some(2));
}

#[test]
fn refusals_of_version_1() {
    let Some(server) = Influx::start() else { return };
    let url = format!("http://{}", server.address);
    let attempt = |token: &str, bucket: &str| {
        let point = Point { bucket: bucket.to_owned(), ..point(&url, token, &json!({"a": 1})) };
        told(run(plain().influxdb(&point)))
    };
    let wrong = attempt("kubeshark:battery-staple", "kubeshark");
    assert!(
        wrong.contains("InfluxDB: http://127.0.0.1:")
            && wrong.contains("401")
            && wrong.contains("check the key"),
        "{wrong}"
    );
    let missing = attempt(Influx::TOKEN, "absent");
    assert!(missing.contains("database not found") && missing.contains("bucket \"absent\""), "{missing}");
}

/// A stub of version 2: shows what is sent.
#[test]
fn version_2_by_its_own_api() {
    let stub = Receiver::start(|request| {
        if request.path.contains("bucket=absent") {
            return Answer::new(404, r#"{"code":"not found","message":"bucket \"absent\" not found"}"#);
        }
        Answer::new(204, "")
    });
    let outlets = plain();
    run(async {
        outlets.influxdb(&point(&stub.url("/base/"), "tok-en", &json!({"a": 1}))).await.expect("a point");
        let absent =
            Point { bucket: "absent".to_owned(), ..point(&stub.url(""), "tok-en", &json!({"a": 1})) };
        let error = told(outlets.influxdb(&absent).await);
        assert!(error.contains("bucket \\\"absent\\\" not found"), "{error}");
    });
    let received = stub.received();
    assert_eq!(received.len(), 2, "a missing bucket is not taken for an old server");
    let sent = &received[0];
    assert_eq!(sent.path, "/base/api/v2/write?org=my+org&bucket=kubeshark&precision=ns");
    assert_eq!(sent.header("authorization"), Some("Token tok-en"));
    assert_eq!(sent.text(), "http\\,\\ by\\ status,node=a\\=b\\,\\ c a=1 1700000000000000000");
}

#[test]
fn a_server_that_is_down() {
    let error = run(plain().influxdb(&point(&nobody(), "t", &json!({"a": 1})))).expect_err("nobody");
    assert!(matches!(error, Error::Unreachable { attempts: 3, .. }), "{error:?}");
}
