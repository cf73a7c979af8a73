//! What scripts may reach and whom they trust: `--scripts-allow-metadata`, `--scripts-ca`; and what is told at once.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use support::{
    Scratch,
    program::{self, Tap, ask},
    servers::{Gcs, service_account},
    watch::{Got, Watcher},
};

use crate::{capture, eventually, evidence::BUCKET, kubeshark, run, script, text, tried};

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A certificate for `localhost` that nobody has signed but itself, and its key behind it.
fn certificate(scratch: &Scratch) -> PathBuf {
    let file = scratch.path().join("server.pem");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=private.test"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&file)
        .arg("-out")
        .arg(scratch.path().join("authority.pem"))
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let own = std::fs::read_to_string(scratch.path().join("authority.pem")).expect("a certificate");
    let key = std::fs::read_to_string(&file).expect("a key");
    std::fs::write(&file, own + &key).expect("a file");
    file
}

/// A relay in front of a server; gives its address with `https://`.
fn behind_tls(certificate: &Path, server: &str) -> (Running, String) {
    let relay = support::root().join("tests/library/tls.py");
    let mut child = Command::new("python3")
        .arg(relay)
        .arg(certificate)
        .arg(server)
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut port = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut port).expect("a port");
    (Running(child), format!("https://localhost:{}", port.trim()))
}

/// Google's client too, and in the process that a worker starts.
#[test]
fn a_private_authority_is_trusted_by_those_who_name_it() {
    if !program::installed("private authorities", &["openssl", "python3"]) {
        return;
    }
    let Some(server) = Gcs::start(&[BUCKET]) else { return };
    let scratch = Scratch::new();
    let (_relay, url) = behind_tls(&certificate(&scratch), &server.address);
    let account = service_account().to_string();
    let env = [("GCS_BUCKET", BUCKET), ("GCS_SA_KEY_JSON", &*account), ("STORAGE_EMULATOR_HOST", &*url)];
    let name = "api-inventory.js";
    let ran = tried(name, &capture("http-methods"), &env, &["--after", "3600"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.to_lowercase().contains("certificate"), "{}", ran.stderr);
    assert!(server.names(BUCKET).is_empty());

    let authority = scratch.path().join("authority.pem");
    run(name, &capture("http-methods"), &env, &["--after", "3600", "--scripts-ca", text(&authority)]);
    assert_eq!(server.names(BUCKET).len(), 1);

    let place = Scratch::new();
    place.file(name, &std::fs::read(script(name)).expect("a script"));
    let demo = capture("http-methods");
    let mut command = Command::new(kubeshark());
    command.args(["tap", "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0", "--pcap", text(&demo)]);
    command.args(["--scripts", text(place.path()), "--scripts-ca", text(&authority)]);
    command.env("XDG_STATE_HOME", place.path());
    for (name, value) in env {
        command.args(["--env", &format!("{name}={value}")]);
    }
    let tap = Tap::start_as(&mut command);
    eventually("an object of the worker", || {
        // There is no such job as long as the script is not loaded, and nothing to upload before there are entries.
        ask(&tap.hub, "POST", "/api/jobs/run", r#"{"tag":"api-inventory"}"#).0 == 200
            && server.names(BUCKET).len() > 1
    });
    assert_eq!(tap.interrupt().code(), Some(0));
}

#[test]
fn a_file_of_authorities_that_is_none_is_named() {
    let scratch = Scratch::new();
    let empty = scratch.file("empty.pem", b"nothing");
    for (file, why) in [(&*empty, "holds no certificate"), (Path::new("nowhere.pem"), "No such file")] {
        for command in [&["tap"][..], &["worker"], &["hub", "--workers", "127.0.0.1:1"]] {
            let mut ran = Command::new(kubeshark());
            ran.args(command).args(["--scripts-ca", text(file)]);
            if command[0] != "hub" {
                ran.args(["--pcap", text(&capture("demo"))]);
            }
            let ran = program::run(&mut ran, b"", std::time::Duration::from_secs(30));
            assert_eq!(ran.code, Some(1), "{command:?}");
            assert!(ran.stderr.contains(text(file)) && ran.stderr.contains(why), "{}", ran.stderr);
        }
    }
}

/// A script that looks for something at an address that gives out credentials; what it is told.
const LOOKS: &str = r#"
try { vendor.s3.put("b", "missing.pcap", "us-east-2", "AKID", "secret"); } catch (error) { console.log("" + error); }
"#;

#[test]
fn the_clouds_own_addresses_are_opened_by_a_flag_alone() {
    let scratch = Scratch::new();
    scratch.file("looks.js", LOOKS.as_bytes());
    for (flag, said) in [
        (None, "only who runs Kubeshark can allow it"),
        (Some("--scripts-allow-metadata"), "missing.pcap can't be read"),
    ] {
        let demo = capture("ipv6");
        let mut arguments = vec!["--pcap", text(&demo), "--scripts", text(scratch.path())];
        arguments.extend(["--env", "AWS_ENDPOINT_URL_S3=http://169.254.169.254/"]);
        arguments.extend(flag);
        let tap = Tap::start(&kubeshark(), &arguments);
        let mut console = Watcher::connect(&tap.hub, "/api/scripts/logs?tail=10");
        let line = console.next(std::time::Duration::from_secs(30));
        assert!(matches!(&line, Got::Text(line) if line.contains(said)), "{flag:?}: {line:?}");
        assert_eq!(tap.interrupt().code(), Some(0));
    }
}

/// Before anything runs.
#[test]
fn a_capture_that_cannot_be_opened_is_told_of_first() {
    let scratch = Scratch::new();
    let none = scratch.file("text.pcap", b"this is no capture at all, but a text");
    let empty = support::pcap::Capture { link_type: 1, frames: Vec::new() };
    let empty = scratch.file("empty.pcap", &empty.pcap(support::pcap::Endian::Little, true));
    for (file, why) in
        [(Path::new("nowhere.pcap"), "No such file"), (&*none, "text.pcap"), (&*empty, "holds no packets")]
    {
        let ran = tried("packet-count.js", file, &[], &[]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "", "no script ran");
    }
}
