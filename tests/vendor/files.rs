//! Files, at object stores.

use serde_json::{Value, json};
use support::{
    receiver::{Answer, Receiver},
    servers::{Gcs, S3, service_account},
};

use crate::Node;

fn s3_env(server: &S3) -> Value {
    json!({
        "AWS_REGION": S3::REGION,
        "AWS_ACCESS_KEY_ID": S3::KEY_ID,
        "AWS_SECRET_ACCESS_KEY": S3::KEY,
        "S3_BUCKET": "traces",
        "AWS_ENDPOINT_URL_S3": format!("http://{}", server.address),
    })
}

#[test]
fn s3_takes_both_orders() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let env = s3_env(&server);
    let node = Node::new();
    let lines = node.live(
        r#"
        console.log(vendor.s3.put(env.AWS_REGION, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY, env.S3_BUCKET, "trace.pcap"));
        console.log(vendor.s3.put(env.S3_BUCKET, "./trace.pcap", env.AWS_REGION, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY));
        "#,
        &env,
    );
    let (old, new) = ("my-cluster_192.168.49.2/trace.pcap", "my-cluster_192.168.49.2_1678808288/trace.pcap");
    let base = format!("http://{}/traces", server.address);
    assert_eq!(lines, [format!("{base}/{old}"), format!("{base}/{new}")]);
    assert_eq!(server.keys("traces"), [old, new]);
    assert_eq!(server.object("traces", old).as_deref(), Some(&b"packets"[..]));
    let clear =
        "vendor.s3.clear(env.AWS_REGION, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY, env.S3_BUCKET);";
    node.live(clear, &env);
    assert_eq!(server.keys("traces"), Vec::<String>::new());
}

/// The worker's record of names, and a stream of which no file was made.
#[test]
fn what_is_no_file_yet_is_made_and_taken_back() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let node = Node::new();
    let code = r#"
        var put = function (path) {
            vendor.s3.put(env.S3_BUCKET, path, env.AWS_REGION, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY);
        };
        put("pcaps/000000000007.pcap");
        put("name_resolution_history.json");
        "#;
    let ran = node.run(code, &s3_env(&server), true);
    assert_eq!(ran.lines, Vec::<String>::new());
    let folder = "my-cluster_192.168.49.2_1678808288";
    let stream = server.object("traces", &format!("{folder}/000000000007.pcap")).expect("an object");
    assert_eq!(String::from_utf8_lossy(&stream), "000000000007.pcap: pcap");
    let names =
        server.object("traces", &format!("{folder}/name_resolution_history.json")).expect("an object");
    let names: Value = serde_json::from_slice(&names).expect("JSON");
    assert_eq!(names["1679565600"]["10.0.0.1"]["FullAddress"], "a.b");
    let left = std::fs::read_dir(node.path(".")).expect("a directory").flatten();
    let left = left.filter(|file| file.file_name().to_string_lossy().contains("upload")).count();
    assert_eq!(left, 0, "{:?}", ran.asked);
    assert!(
        ran.asked.iter().any(|asked| matches!(asked, scripting::Request::Deleted { .. })),
        "{:?}",
        ran.asked
    );
}

#[test]
fn a_failed_upload_is_an_exception_and_the_file_stays() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let node = Node::new();
    let code = r#"
        function attempt(bucket, path, secret) {
            try {
                vendor.s3.put(bucket, path, env.AWS_REGION, env.AWS_ACCESS_KEY_ID, secret);
            } catch (error) {
                console.log("" + error);
            }
        }
        attempt("absent", "trace.pcap", env.AWS_SECRET_ACCESS_KEY);
        attempt(env.S3_BUCKET, "trace.pcap", "wrong-hunter2");
        attempt(env.S3_BUCKET, "missing.pcap", env.AWS_SECRET_ACCESS_KEY);
        attempt(env.S3_BUCKET, "../etc/passwd", env.AWS_SECRET_ACCESS_KEY);
        attempt(env.S3_BUCKET, "/etc/passwd", env.AWS_SECRET_ACCESS_KEY);
        attempt(env.S3_BUCKET, "trace.pcap");
        attempt(env.S3_BUCKET);
        "#;
    let lines = node.live(code, &s3_env(&server));
    for (line, parts) in lines.iter().zip([
        ["Error: S3: bucket \"absent\" at http://", "NoSuchBucket"],
        ["Error: S3: bucket \"traces\"", "SignatureDoesNotMatch"],
        ["Error: S3: ", "missing.pcap can't be read: No such file"],
        ["Error: \"../etc/passwd\"", "is not a path in the data directory"],
        ["Error: ", "\"/etc/passwd\" is not a path in the data directory"],
        ["TypeError: vendor.s3.put: accessKey (argument 5)", "given with keyID"],
        ["TypeError: vendor.s3.put: ", "must be"],
    ]) {
        assert!(line.starts_with(parts[0]) && line.contains(parts[1]), "{line}");
        assert!(!line.contains("hunter2") && !line.contains(S3::KEY), "{line}");
    }
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert!(node.path("trace.pcap").exists());
    assert_eq!(server.keys("traces"), Vec::<String>::new());
}

/// As seed 004 does it: the key comes as text in `env`, and a network interface as its parsed object.
#[test]
fn gcs_takes_a_key_from_env() {
    let Some(server) = Gcs::start(&["test-11-12"]) else { return };
    let node = Node::new();
    let env = json!({
        "GCS_BUCKET": "test-11-12",
        "GCS_SA_KEY_JSON": service_account().to_string(),
        "STORAGE_EMULATOR_HOST": server.address,
    });
    let lines = node.live(
        r#"
        var serviceAccountKey = JSON.parse(env.GCS_SA_KEY_JSON);
        console.log(vendor.gcs.put(env.GCS_BUCKET, "trace.pcap", serviceAccountKey));
        vendor.gcs.put(env.GCS_BUCKET, "name_resolution_history.json", serviceAccountKey);
        try { vendor.gcs.put("absent", "trace.pcap", serviceAccountKey); } catch (error) { console.log("" + error); }
        try { vendor.gcs.put(env.GCS_BUCKET, "trace.pcap", {}); } catch (error) { console.log("" + error); }
        "#,
        &env,
    );
    let folder = "my-cluster_192.168.49.2_1678808288";
    assert_eq!(lines[0], format!("http://{}/test-11-12/{folder}/trace.pcap", server.address));
    assert!(lines[1].starts_with("Error: GCS: bucket \"absent\" refused: 404"), "{lines:?}");
    assert!(lines[2].starts_with("Error: GCS: the service account's key can't be used"), "{lines:?}");
    let names = server.names("test-11-12");
    assert_eq!(names, [format!("{folder}/name_resolution_history.json"), format!("{folder}/trace.pcap")]);
    node.live("vendor.gcs.clear(env.GCS_BUCKET, JSON.parse(env.GCS_SA_KEY_JSON));", &env);
    assert_eq!(server.names("test-11-12"), Vec::<String>::new());
}

#[test]
fn azure_gets_a_blob() {
    let stub = Receiver::start(|_| Answer::new(201, ""));
    let node = Node::new();
    let env = json!({"AZURE_STORAGE_ENDPOINT": stub.url("")});
    let lines = node.live(r#"console.log(vendor.azure.put("traces", "trace.pcap", "acc", "a2V5"));"#, &env);
    let path = "/acc/traces/my-cluster_192.168.49.2/trace.pcap";
    assert_eq!(lines, [stub.url(path)]);
    assert_eq!((&*stub.received()[0].path, &*stub.received()[0].body), (path, &b"packets"[..]));
}
