//! S3, at versitygw; and AWS's default chain.

use std::{env, fs, io::Write as _, path::Path, process::Command};

use outlets::{AwsKeys, Endpoints, Error, Limits, Outlets, S3Bucket};
use support::{
    Scratch,
    receiver::{Answer, Receiver},
    relay::{Fault, Relay},
    servers::S3,
};

use crate::{file, impatient, nobody, outlets, quick, run, told};

fn at(address: &str, limits: Limits) -> Outlets {
    let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    outlets(Endpoints { s3: Some(url), ..Endpoints::default() }, limits)
}

fn bucket(name: &str, secret: &str) -> S3Bucket {
    let keys = AwsKeys { id: S3::KEY_ID.into(), secret: secret.into(), session: None };
    S3Bucket { region: S3::REGION.into(), bucket: name.into(), keys: Some(keys) }
}

fn put(outlets: &Outlets, key: &str, path: &Path) -> Result<String, Error> {
    run(outlets.s3_put(&bucket("traces", S3::KEY), key, path))
}

#[test]
fn small_and_large_files_arrive_whole() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let scratch = Scratch::new();
    let outlets = at(&server.address, quick());
    for (name, len) in
        [("empty.pcap", 0), ("small.pcap", 1000), ("part.bin", 8 << 20), ("large.pcap", 40 << 20)]
    {
        let (path, bytes) = file(&scratch, name, len);
        let key = format!("node-1_10.0.0.1/{name}");
        let url = put(&outlets, &key, &path).expect("an upload");
        assert_eq!(url, format!("http://{}/traces/{key}", server.address));
        assert!(server.object("traces", &key) == Some(bytes), "{name} differs");
    }
    assert_eq!(server.unfinished("traces"), 0);
}

#[test]
fn a_file_is_sent_as_long_as_it_was() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let scratch = Scratch::new();
    let (path, bytes) = file(&scratch, "growing.pcap", 20 << 20);
    let relay = Relay::start();
    relay.forward(&server.address);
    let outlets = at(relay.address(), quick());
    let growing = path.clone();
    let (stop, stopped) = std::sync::mpsc::sync_channel::<()>(1);
    let writer = std::thread::spawn(move || {
        let mut file = fs::OpenOptions::new().append(true).open(growing).expect("a file");
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            file.write_all(b"more").expect("room");
        }
    });
    let result = put(&outlets, "growing.pcap", &path);
    stop.send(()).expect("a writer");
    writer.join().expect("no panic");
    result.expect("an upload");
    let held = server.object("traces", "growing.pcap").expect("an object");
    assert!(held.len() >= bytes.len() && held[..bytes.len()] == bytes, "{} bytes", held.len());
    assert!((held.len() as u64) < fs::metadata(&path).expect("a file").len());
}

#[test]
fn clear_deletes_what_has_the_prefix() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "a", 10);
    let outlets = at(&server.address, quick());
    for key in ["node-1_10.0.0.1/a", "node-1_10.0.0.1/sub/b", "node-2_10.0.0.2/a"] {
        put(&outlets, key, &path).expect("an upload");
    }
    assert_eq!(run(outlets.s3_clear(&bucket("traces", S3::KEY), "node-1_10.0.0.1/")).expect("a list"), 2);
    assert_eq!(server.keys("traces"), ["node-2_10.0.0.2/a"]);
    assert_eq!(run(outlets.s3_clear(&bucket("traces", S3::KEY), "node-1_10.0.0.1/")).expect("a list"), 0);
}

#[test]
fn refusals_say_what_to_do() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "a", 10);
    let outlets = at(&server.address, quick());
    let attempt = |name: &str, secret: &str| told(run(outlets.s3_put(&bucket(name, secret), "k", &path)));
    let wrong = attempt("traces", "not-the-key");
    for part in ["S3: bucket \"traces\" at http://", "403 Forbidden: SignatureDoesNotMatch", "check the key"]
    {
        assert!(wrong.contains(part), "{wrong}");
    }
    let missing = attempt("absent", S3::KEY);
    for part in ["bucket \"absent\"", "404 Not Found: NoSuchBucket", "check the name"] {
        assert!(missing.contains(part), "{missing}");
    }
    let (large, _) = file(&scratch, "large", 9 << 20);
    let missing = told(run(outlets.s3_put(&bucket("absent", S3::KEY), "k", &large)));
    assert!(missing.contains("NoSuchBucket"), "{missing}");
    let clear = told(run(outlets.s3_clear(&bucket("absent", S3::KEY), "k")));
    assert!(clear.contains("NoSuchBucket"), "{clear}");
}

#[test]
fn files_that_can_not_be_read() {
    let scratch = Scratch::new();
    let outlets = at(&nobody(), quick());
    let missing = told(put(&outlets, "k", &scratch.path().join("absent.pcap")));
    assert!(missing.contains("absent.pcap can't be read") && missing.contains("No such file"), "{missing}");
    let directory = told(put(&outlets, "k", scratch.path()));
    assert!(directory.contains("is a directory"), "{directory}");
}

#[test]
fn a_server_that_is_down_or_silent() {
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "a", 10);
    let down = put(&at(&nobody(), quick()), "k", &path).expect_err("nobody");
    assert!(matches!(&down, Error::Unreachable { attempts: 3, .. }), "{down:?}");
    assert!(down.to_string().contains("refused"), "{down}");
    let silent = Receiver::start(|_| Answer::Silence);
    let error = put(&at(&silent.url(""), impatient()), "k", &path).expect_err("silence");
    assert!(matches!(&error, Error::TimedOut { attempts: 2, .. }), "{error:?}");
    assert_eq!(silent.received().len(), 2);
}

/// The server has a fault of its own, twice; then it is well.
#[test]
fn faults_of_the_server_pass() {
    let scratch = Scratch::new();
    let (path, bytes) = file(&scratch, "a", 1000);
    let left = std::sync::atomic::AtomicU32::new(2);
    let server = Receiver::start(move |_| {
        let ill = left.fetch_update(
            std::sync::atomic::Ordering::SeqCst,
            std::sync::atomic::Ordering::SeqCst,
            |n| n.checked_sub(1),
        );
        Answer::new(if ill.is_ok() { 500 } else { 200 }, "")
    });
    put(&at(&server.url(""), quick()), "k", &path).expect("an upload at last");
    let received = server.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|request| request.body == bytes));
    let ill =
        Receiver::start(|_| Answer::new(503, "<Error><Code>SlowDown</Code><Message>less</Message></Error>"));
    let error = told(put(&at(&ill.url(""), quick()), "k", &path));
    assert!(
        error.contains("503 Service Unavailable: SlowDown: less; it has a fault of its own")
            && error.contains("attempts: 3"),
        "{error}"
    );
}

#[test]
fn a_wire_that_is_cut_in_the_middle() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let scratch = Scratch::new();
    let (path, bytes) = file(&scratch, "large.pcap", 20 << 20);
    let relay = Relay::start();
    relay.forward(&server.address);
    // No part gets through whole.
    relay.fail(Fault::CutAfter(3 << 20));
    let outlets = at(relay.address(), quick());
    let error = put(&outlets, "large.pcap", &path).expect_err("a cut wire");
    assert!(matches!(&error, Error::Unreachable { attempts: 3, .. }), "{error:?}");
    assert!(relay.connections() >= 3);
    assert_eq!(server.object("traces", "large.pcap"), None);
    // What is on disk is still there, and goes through when the wire is whole.
    relay.fail(Fault::None);
    put(&outlets, "large.pcap", &path).expect("an upload");
    assert!(server.object("traces", "large.pcap") == Some(bytes));
}

#[test]
fn a_wire_that_hangs_in_the_middle() {
    let Some(server) = S3::start(&["traces"]) else { return };
    let scratch = Scratch::new();
    let (path, _) = file(&scratch, "large.pcap", 9 << 20);
    let relay = Relay::start();
    relay.forward(&server.address);
    relay.fail(Fault::HangAfter(1 << 20));
    let limits = Limits { slowest: 1 << 30, ..impatient() };
    let error = put(&at(relay.address(), limits), "large.pcap", &path).expect_err("a hanging wire");
    assert!(matches!(&error, Error::TimedOut { .. } | Error::Unreachable { .. }), "{error:?}");
    assert_eq!(server.object("traces", "large.pcap"), None);
}

/// Set by the test below for the process that it starts.
const SERVER: &str = "KUBESHARK_TEST_S3";

/// Without keys, those of the environment are found. Variables can't be set in a process of many threads, so the test runs
/// itself again.
#[test]
fn the_default_chain_finds_keys() {
    if let Ok(address) = env::var(SERVER) {
        let scratch = Scratch::new();
        let (path, _) = file(&scratch, "a", 10);
        let bucket = S3Bucket { keys: None, ..bucket("traces", "") };
        run(at(&address, quick()).s3_put(&bucket, "by-chain", &path)).expect("keys");
        return;
    }
    let Some(server) = S3::start(&["traces"]) else { return };
    let again = Command::new(env::current_exe().expect("a test"))
        .args(["--exact", "aws::the_default_chain_finds_keys"])
        .env(SERVER, &server.address)
        .env("AWS_ACCESS_KEY_ID", S3::KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", S3::KEY)
        .output()
        .expect("a test");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    assert_eq!(server.keys("traces"), ["by-chain"]);
}
