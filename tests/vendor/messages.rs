//! Messages, points, documents, records.

use serde_json::{Value, json};
use support::{
    receiver::{Answer, Receiver},
    servers::Influx,
};

use crate::Node;

/// The page that seed 002 shows, over an item with status 500.
#[test]
fn slack_gets_exactly_this() {
    let slack = Receiver::ok();
    let env = json!({"SLACK_WEBHOOK": slack.url("/services/T/B/x")});
    let code = r##"
        var data = { response: { status: 500 } };
        vendor.slack(
          env.SLACK_WEBHOOK,      // Webhook URL
          "Server-side Error",    // Pretext (title)
          JSON.stringify(data),   // Message text
          "#ff0000"               // Color code of the message
        );"##;
    assert_eq!(Node::new().live(code, &env), Vec::<String>::new());
    let expected = r##"{"attachments":[{"pretext":"Server-side Error","text":"{\"response\":{\"status\":500}}","color":"#ff0000"}]}"##;
    assert_eq!(slack.received()[0].text(), expected);
}

#[test]
fn a_bot_posts_with_fields_and_files() {
    let address = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let known = address.clone();
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
    let env = json!({"SLACK_API_URL": slack.url("")});
    let code = r#"
        vendor.slackBot("xoxb-1", "C1", "Notification", "text", "red",
            { "Zone": "z", "Code": 500 }, { "stream.pcap": "pcaps/000000000007.pcap" });"#;
    assert_eq!(Node::new().live(code, &env), Vec::<String>::new());
    let sent = slack.received();
    assert_eq!(sent[1].text(), "000000000007.pcap: pcap");
    let titles: Vec<Value> = sent[2].json()["attachments"][0]["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .map(|field| field["title"].clone())
        .collect();
    assert_eq!(titles, ["Zone", "Code", "Timestamp"]);
    assert_eq!(sent[3].json()["files"][0], json!({"id": "F1", "title": "stream.pcap"}));
}

#[test]
fn a_webhook_takes_objects_and_answers() {
    let server = Receiver::start(|request| match &*request.path {
        "/no" => Answer::new(400, "never"),
        _ => Answer::new(200, "thanks"),
    });
    let env = json!({"URL": server.url("")});
    let lines = Node::new().live(
        r#"
        console.log(vendor.webhook("POST", env.URL + "/a", { status: 500 }));
        console.log(vendor.webhook("PUT", env.URL + "/b", "text", { "X-Key": 7 }));
        console.log(vendor.webhookForm("POST", env.URL + "/c", { name: "value" }));
        try { vendor.webhook("POST", env.URL + "/no", "x"); } catch (error) { console.log("" + error); }
        try { vendor.webhook("GET", "http://169.254.169.254/latest/"); } catch (error) { console.log("" + error); }
        "#,
        &env,
    );
    assert_eq!(lines[..3], ["thanks", "thanks", "thanks"]);
    assert!(
        lines[3].starts_with("Error: webhook: http://127.0.0.1:")
            && lines[3].contains("400 Bad Request: never"),
        "{lines:?}"
    );
    assert!(lines[4].starts_with("Error: webhook: http://169.254.169.254/… is, or leads to,"), "{lines:?}");
    let sent = server.received();
    assert_eq!(
        (sent[0].text(), sent[0].header("content-type")),
        (r#"{"status":500}"#.to_owned(), Some("application/json"))
    );
    assert_eq!((sent[1].header("x-key"), sent[1].text()), (Some("7"), "text".to_owned()));
    assert!(sent[2].text().contains("name=\"name\"\r\n\r\nvalue\r\n"), "{}", sent[2].text());
}

#[test]
fn influxdb_keeps_points() {
    let Some(server) = Influx::start() else { return };
    let env = json!({"INFLUX_URL": format!("http://{}", server.address), "TOKEN": Influx::TOKEN});
    let lines = Node::new().live(
        r#"
        for (var i = 0; i < 3; i++)
            vendor.influxdb(env.INFLUX_URL, env.TOKEN, "", "kubeshark", "Example", { "count": i, "name": "n" + i }, { node: "a b" });
        try { vendor.influxdb(env.INFLUX_URL, "u:p", "", "kubeshark", "Example", { a: 1 }); } catch (error) { console.log("" + error); }
        "#,
        &env,
    );
    assert!(
        lines.len() == 1 && lines[0].starts_with("Error: InfluxDB: ") && lines[0].contains("401"),
        "{lines:?}"
    );
    let answer = server.query("SELECT count, \"name\", node FROM Example");
    let values = answer["results"][0]["series"][0]["values"].as_array().expect("points").clone();
    // Their times may be the same, which leaves the order to the server.
    let mut rows: Vec<_> =
        values.iter().map(|row| (row[1].clone(), row[2].clone(), row[3].clone())).collect();
    rows.sort_by_key(|(count, ..)| count.as_u64());
    let row = |i: u32| (json!(i), json!(format!("n{i}")), json!("a b"));
    assert_eq!(rows, [row(0), row(1), row(2)]);
    assert!(values[0][0].as_str().is_some_and(|time| time.starts_with("2023-03-23T10:00:00")), "{values:?}");
}

#[test]
fn elasticsearch_and_kinesis_get_documents_and_records() {
    let stub = Receiver::start(|request| match &*request.path {
        "/" => Answer::new(200, r#"{"ShardId":"shard-0","SequenceNumber":"1"}"#),
        _ => Answer::new(200, r#"{"errors":false}"#),
    });
    let env = json!({"ELASTIC_URL": stub.url(""), "AWS_ENDPOINT_URL_KINESIS": stub.url("")});
    let lines = Node::new().live(
        r#"
        vendor.elastic(env.ELASTIC_URL, "entries", [{ status: 500 }, { status: 200 }], "", "", "", "a2V5");
        console.log(vendor.kinesis.put("stream", { a: 1 }, "us-east-2", "AKID", "secret").ShardId);
        "#,
        &env,
    );
    assert_eq!(lines, ["shard-0"]);
    let sent = stub.received();
    assert_eq!(
        (&*sent[0].path, sent[0].header("authorization")),
        ("/entries/_bulk?filter_path=errors,items.*.status,items.*.error", Some("ApiKey a2V5"))
    );
    assert_eq!(sent[0].text().lines().filter(|line| line.contains("status")).count(), 2);
    assert_eq!(sent[1].json()["Data"], "eyJhIjoxfQ==");
}

/// In a rehearsal nothing is sent; what would be is noted, without secrets.
#[test]
fn a_rehearsal_notes_what_it_does_not_send() {
    let server = Receiver::ok();
    let env = json!({"URL": server.url("/hook/hunter2secret"), "SLACK_API_URL": server.url("")});
    let code = r#"
        vendor.webhook("POST", env.URL, { a: 1 }, { "X-Key": "hunter2" });
        vendor.slack(env.URL, "pre", "text", "red");
        vendor.slackBot("xoxb-hunter2", "C1", "pre", "text", "red");
        vendor.influxdb(env.URL, "hunter2", "org", "bucket", "m", { a: 1 });
        vendor.elastic(env.URL, "i", { a: 1 }, "user", "hunter2");
        console.log(vendor.s3.put("bucket", "trace.pcap", "us-east-2", "AKID", "hunter2"));
        console.log(vendor.gcs.put("bucket", "trace.pcap", { private_key: "hunter2" }));
        vendor.azure.put("traces", "trace.pcap", "acc", "hunter2");
        vendor.kinesis.put("stream", "text", "us-east-2", "AKID", "hunter2");
        "#;
    let ran = Node::new().run(code, &env, false);
    assert!(server.received().is_empty());
    let folder = "my-cluster_192.168.49.2_1678808288";
    assert_eq!(
        ran.lines,
        [
            format!("https://bucket.s3.us-east-2.amazonaws.com/{folder}/trace.pcap"),
            format!("https://storage.googleapis.com/bucket/{folder}/trace.pcap"),
        ]
    );
    let helpers: Vec<&str> = ran.outcome.outgoing.iter().map(|call| call.helper).collect();
    let expected = [
        "vendor.webhook",
        "vendor.slack",
        "vendor.slackBot",
        "vendor.influxdb",
        "vendor.elastic",
        "vendor.s3.put",
        "vendor.gcs.put",
        "vendor.azure.put",
        "vendor.kinesis.put",
    ];
    assert_eq!(helpers, expected);
    let noted = format!("{:?}", ran.outcome.outgoing);
    assert!(!noted.contains("hunter2"), "{noted}");
}
