//! Uploads that fail, and processes that die before them.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use support::{
    Scratch,
    pcap::Capture,
    relay::{Fault, Relay},
    servers::S3,
    site::Site,
};

use crate::site;

const BUCKET: &str = "traces";

/// Copies every stream, and uploads each once nothing more comes of it. What can't be uploaded stays, and is tried again.
const UPLOADER: &str = r#"// Uploader
file.mkdir("recorded");
var last = {};
function onItemCaptured(data) {
    if (env.RECORD === "no") return;
    if (last[data.stream] === undefined) {
        try {
            file.copy(pcap.path(data.stream), "recorded/" + data.stream);
        } catch (error) {
            console.error("not recorded: " + data.stream + ": " + error);
            return;
        }
    }
    last[data.stream] = Date.now();
}
jobs.schedule("upload", "* * * * * *", function () {
    for (var stream in last) {
        if (last[stream] === null || Date.now() - last[stream] < 1000) continue;
        var path = "recorded/" + stream;
        try {
            vendor.s3.put(env.S3_BUCKET, path, env.AWS_REGION, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY);
        } catch (error) {
            console.error("not uploaded: " + error);
            return;
        }
        last[stream] = null;
        file.delete(path);
    }
});"#;

/// Counts what the uploader must not make it miss.
const COUNTER: &str = "// Counter\nvar n = 0;\nfunction onItemCaptured(data) { n++; }";

/// An object store behind a wire.
struct Store {
    wire: Relay,
    s3: S3,
}

impl Store {
    fn start() -> Option<Self> {
        let s3 = S3::start(&[BUCKET])?;
        let wire = Relay::start();
        wire.forward(&s3.address);
        Some(Self { wire, s3 })
    }

    fn env(&self, bucket: &str, key: &str) -> Value {
        json!({
            "AWS_REGION": S3::REGION,
            "AWS_ACCESS_KEY_ID": S3::KEY_ID,
            "AWS_SECRET_ACCESS_KEY": key,
            "S3_BUCKET": bucket,
            "AWS_ENDPOINT_URL_S3": format!("http://{}", self.wire.address()),
        })
    }

    /// The frames of every capture in the bucket. Each object is read once.
    fn frames(&self, known: &mut BTreeMap<String, Vec<Vec<u8>>>) -> HashSet<Vec<u8>> {
        for key in self.s3.keys(BUCKET) {
            if !known.contains_key(&key)
                && let Some(object) = self.s3.object(BUCKET, &key)
            {
                known.insert(key.clone(), frames_of(&key, &object));
            }
        }
        known.values().flatten().cloned().collect()
    }
}

/// The frames of a capture, or of that in an archive; of anything else none.
fn frames_of(name: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    let frames = |pcap: &[u8]| Capture::read(pcap).frames.into_iter().map(|frame| frame.bytes).collect();
    if Path::new(name).extension().is_some_and(|extension| extension == "pcap") {
        return frames(bytes);
    }
    if !name.ends_with(".tar.gz") {
        return Vec::new();
    }
    let scratch = Scratch::new();
    let file = scratch.file("a.tar.gz", bytes);
    let done = Command::new("tar").arg("xzf").arg(&file).current_dir(scratch.path()).status();
    assert!(done.expect("tar").success(), "{name} is no archive");
    let members = fs::read_dir(scratch.path()).expect("a directory").flatten().map(|member| member.path());
    let pcap = members.into_iter().find(|path| path.extension().is_some_and(|end| end == "pcap"));
    frames(&fs::read(pcap.expect("a capture in it")).expect("a file"))
}

/// Files below a directory; none while there is no such directory.
fn files(directory: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path.display().to_string()) }
    }
    files
}

/// Waits until all of these frames are in the bucket.
fn arrive(
    site: &Site,
    store: &Store,
    known: &mut BTreeMap<String, Vec<Vec<u8>>>,
    sent: &HashSet<Vec<u8>>,
    what: &str,
) {
    let known = std::cell::RefCell::new(known);
    site.until(&format!("all that was recorded is uploaded after {what}"), || {
        sent.is_subset(&store.frames(&mut known.borrow_mut()))
    });
}

#[test]
fn nothing_recorded_is_lost_however_an_upload_fails() {
    let Some(mut site) = site("faults of uploads", None) else { return };
    let Some(store) = Store::start() else { return };
    let good = store.env(BUCKET, S3::KEY);
    site.set_env(&good);
    let uploader = site.add("Uploader", UPLOADER);
    let counter = site.add("Counter", COUNTER);
    site.loaded(uploader);
    site.loaded(counter);
    let mut console = site.console();
    let mut uploaded = BTreeMap::new();

    let sent = site.send(40, 50);
    arrive(&site, &store, &mut uploaded, &sent, "nothing at all");
    let faults: [(&str, Value, Fault, &str); 4] = [
        ("a bucket that is missing", store.env("absent", S3::KEY), Fault::None, "NoSuchBucket"),
        ("a wrong key", store.env(BUCKET, "wrong-hunter2"), Fault::None, "SignatureDoesNotMatch"),
        ("answers of 500", good.clone(), Fault::Answer(500), "500"),
        ("a network that is cut", good.clone(), Fault::CutAfter(3000), "not uploaded"),
    ];
    for (what, env, fault, told) in faults {
        site.set_env(&env);
        store.wire.fail(fault);
        let sent = site.send(40, 50);
        let line =
            console.until(what, |line| line.contains("not uploaded: Error: S3") && line.contains(told));
        println!("{what}: {line}");
        assert!(line.starts_with(&format!("[{}-{uploader}:ERROR] ", support::site::NODE)), "{line}");
        assert!(!line.contains("hunter2") && !line.contains(S3::KEY), "{line}");
        site.until("a file for each stream", || files(&site.data().join("recorded")).len() == 40);
        site.set_env(&good);
        store.wire.fail(Fault::None);
        arrive(&site, &store, &mut uploaded, &sent, what);
        site.until("what was uploaded does not stay", || files(&site.data().join("recorded")).is_empty());
    }

    // A server that takes the request and says nothing, at a thousand transactions in a second.
    let seconds = support::number("KUBESHARK_HANG_SECONDS", 4) as u32;
    store.wire.fail(Fault::HangAfter(0));
    let connections = store.wire.connections();
    let sent = site.send(1, 50);
    site.until("an upload hangs", || store.wire.connections() > connections);
    let mut no_more = good.clone();
    no_more["RECORD"] = json!("no");
    site.set_env(&no_more);
    site.send(334 * seconds, 50);
    site.until("no call of the other script is missing", || {
        site.fares(counter)["calls"].as_u64() == Some(site.transactions() + 1)
    });
    site.all_is_seen();
    let scripts = site.scripts();
    let hook = &scripts["hooks"]["onItemCaptured"];
    let missed = site.fares(uploader)["backlogFull"].as_u64().expect("a number");
    println!(
        "an upload hung for {seconds} s or more: {} transactions, {} fed, {missed} missed by the script that waits; the other was called {} times",
        site.transactions(),
        hook["fed"],
        site.fares(counter)["calls"]
    );
    assert_eq!(
        (&hook["fed"], &hook["queueFull"], &hook["hostEnded"]),
        (&json!(site.transactions()), &json!(0), &json!(0)),
        "{scripts}"
    );
    assert_eq!(
        (&scripts["restarts"], &site.fares(counter)["backlogFull"]),
        (&json!(0), &json!(0)),
        "{scripts}"
    );
    assert_eq!(hook["backlogFull"], missed, "what a script misses is counted: {scripts}");
    store.wire.fail(Fault::None);
    arrive(&site, &store, &mut uploaded, &sent, "a server that hung");
}

/// As its page has it, with small recordings.
fn recorder(streams: u32) -> String {
    format!(
        "// Recorder\nfunction onItemCaptured(data) {{\n    wrapper.kflPcapS3(data, {{ kflArr: [\"http\"], maxL4Streams: {streams}, verbose: true }});\n}}"
    )
}

#[test]
fn what_a_dead_process_recorded_is_uploaded_by_the_next() {
    let Some(mut site) = site("death between copy and upload", None) else { return };
    let Some(store) = Store::start() else { return };
    site.set_env(&store.env(BUCKET, S3::KEY));
    let mut console = site.console();
    let mut uploaded = BTreeMap::new();
    let recordings = |site: &Site, part: &str, end: &str| {
        let files = files(&site.data().join("kfl_pcap_s3"));
        files.iter().filter(|file| file.contains(part) && file.ends_with(end)).count()
    };

    // The script host dies while streams are gathered: they lie in the directory of their period.
    let script = site.add("Recorder", &recorder(1000));
    site.loaded(script);
    let sent = site.send(30, 50);
    site.until("copies", || recordings(&site, "/open/", "pcap") == 30);
    site.all_is_seen();
    site.kill_script_host();
    let line = console.until("word of it", |line| line.contains("ended by signal 9"));
    println!("{line}");
    assert_eq!(site.scripts()["restarts"], 1);
    site.loaded(script);
    site.send(1, 50);
    arrive(&site, &store, &mut uploaded, &sent, "the script host's death");
    console.until("the upload is told", |line| line.contains("Uploaded http"));
    site.remove(script);

    // It dies while a packed recording waits for a server that refuses it.
    store.wire.fail(Fault::Answer(503));
    let script = site.add("Recorder", &recorder(10));
    site.loaded(script);
    let sent = site.send(30, 50);
    site.until("packed recordings", || recordings(&site, "/ready/", ".tar.gz") >= 3);
    console.until("word of it", |line| line.contains("is not uploaded, stays on disk"));
    site.kill_script_host();
    store.wire.fail(Fault::None);
    site.loaded(script);
    site.send(1, 50);
    arrive(&site, &store, &mut uploaded, &sent, "the script host's death with packed recordings");
    site.remove(script);

    // The worker itself dies, with what was in its memory.
    let script = site.add("Recorder", &recorder(1000));
    site.loaded(script);
    let sent = site.send(30, 50);
    site.until("copies", || recordings(&site, "/open/", "pcap") >= 30);
    site.all_is_seen();
    site.kill_worker();
    site.loaded(script);
    site.send(1, 50);
    arrive(&site, &store, &mut uploaded, &sent, "the worker's death");
}

#[test]
fn a_full_disk_is_told_and_harms_nothing_that_lies_there() {
    let Some(mut site) = site("a full disk", Some(6)) else { return };
    let Some(store) = Store::start() else { return };
    site.set_env(&store.env(BUCKET, S3::KEY));
    store.wire.fail(Fault::Answer(500));
    let uploader = site.add("Uploader", UPLOADER);
    site.loaded(uploader);
    let mut console = site.console();
    // More than fits: some 11 KB for each of 800 connections.
    let sent = site.send(800, 50);
    // Either the copy did not fit, or the packets had to go before they were copied: whoever is faster fills the disk.
    let words = ["No space left", "removed to make room"];
    let told = console.until("word of it", |line| {
        line.contains("not recorded: ") && words.iter().any(|word| line.contains(word))
    });
    println!("{told}");
    // Capture goes on: not a packet and not a transaction is missing.
    site.all_is_seen();
    site.until("the script has seen all", || {
        site.fares(uploader)["calls"].as_u64() > Some(site.transactions())
    });
    let on_disk = files(&site.data().join("recorded")).len();
    store.wire.fail(Fault::None);
    site.until("what lies there is uploaded", || files(&site.data().join("recorded")).is_empty());
    let mut uploaded = BTreeMap::new();
    let arrived = store.frames(&mut uploaded);
    assert!(arrived.is_subset(&sent), "frames that nobody sent");
    assert_eq!(uploaded.len(), on_disk, "a stream that was copied is there");
    // A connection takes 3 frames, 3 for each transaction and 3.
    let whole = 6 + 3 * support::site::REQUESTS as usize;
    let missing: usize = uploaded.values().map(|frames| whole - frames.len()).sum();
    // What made room before it was copied counts too.
    let rows = ["pinRefused", "refusedDisk", "evictedForDisk", "evictedForBytes"];
    let refused = rows.map(|row| site.row("packets", row));
    println!("{on_disk} of 800 streams on disk, {missing} frames missing in them; {rows:?}: {refused:?}");
    assert!(
        missing as u64 <= refused.iter().sum(),
        "{missing} frames are missing, and {refused:?} were counted"
    );
    // There is room again.
    let sent = site.send(20, 50);
    arrive(&site, &store, &mut uploaded, &sent, "a full disk");
}
