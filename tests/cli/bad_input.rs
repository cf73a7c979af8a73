//! Each failure says what is wrong, names the thing, and says what to do.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use support::{
    Scratch,
    pcap::{self, Capture, Endian},
    program,
};

use crate::{capture, kubeshark, run, run_with, text};

/// What must be printed is exit code and words of stderr.
fn refuses(arguments: &[&str], code: i32, words: &[&str]) {
    let ran = run(arguments);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{arguments:?} does not say {word:?}: {}", ran.stderr);
    }
}

#[test]
fn what_is_no_capture() {
    let scratch = Scratch::new();
    let page = scratch.file("page.html", b"<html><body>no packets</body></html>");
    let empty = scratch.file("empty.pcap", b"");
    let mut foreign = Capture::read(&fs::read(capture("http-methods")).expect("a file"));
    foreign.link_type = 105;
    let foreign = scratch.file("radio.pcap", &foreign.pcap(Endian::Little, false));
    let missing = scratch.path().join("missing.pcap");
    for (path, words) in [
        (text(&page), &["page.html", "not a capture", "pcapng"][..]),
        (text(&empty), &["empty.pcap", "is empty"]),
        (text(&foreign), &["radio.pcap", "link type 105", "byte 20", "Ethernet"]),
        (text(scratch.path()), &[text(scratch.path()), "is a directory", "name a capture file"]),
        (text(&missing), &["missing.pcap", "No such file", "check its name"]),
    ] {
        refuses(&["dissect", path], 1, words);
        refuses(
            &["tap", "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0", "--pcap", path],
            1,
            words,
        );
    }
}

#[test]
fn a_cut_capture_gives_all_before_the_cut() {
    let scratch = Scratch::new();
    let whole = fs::read(capture("http-methods")).expect("a file");
    let expected = run(&["dissect", text(&capture("http-methods"))]);
    // In the middle of the last packet: a FIN's acknowledgment, which no entry needs.
    let cut = &whole[..whole.len() - 5];
    for (name, bytes) in
        [("cut.pcap", cut.to_vec()), ("cut.pcap.gz", pcap::gzip(cut)), ("cut.pcap.zst", pcap::zstd(cut))]
    {
        let path = scratch.file(name, &bytes);
        let ran = run(&["dissect", text(&path)]);
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        assert_eq!(ran.stdout, expected.stdout, "{name}");
        let offset = whole.len() - 16 - 66;
        let place = match name {
            "cut.pcap" => format!("byte {offset} is"),
            _ => format!("byte {offset} of the uncompressed capture"),
        };
        for word in [name, "cut short", &place, "everything before it was read"] {
            assert!(ran.stderr.contains(word), "{name} does not say {word:?}: {}", ran.stderr);
        }
        assert!(ran.stderr.contains("HTTP 12"), "no ledger: {}", ran.stderr);
    }
    // A compressed stream that breaks off says so as well.
    for (name, bytes) in [("broken.pcap.gz", pcap::gzip(&whole)), ("broken.pcap.zst", pcap::zstd(&whole))] {
        let path = scratch.file(name, &bytes[..bytes.len() - 20]);
        refuses(&["dissect", text(&path)], 1, &[name, "cut short: the compressed stream at byte "]);
    }
    let path = scratch.file("junk.pcap.gz", &[&pcap::gzip(&whole)[..], b"junk"].concat());
    refuses(&["dissect", text(&path)], 1, &["junk.pcap.gz", "is damaged", "something else follows"]);
    let ran = run_with(&["dissect", "-"], cut);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("standard input"), "{}", ran.stderr);
}

#[test]
fn nothing_is_read_unless_all_files_open() {
    let ran = run(&["dissect", text(&capture("demo")), "missing.pcap"]);
    assert_eq!((ran.code, ran.stdout.len()), (Some(1), 0), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: cannot open missing.pcap"), "{}", ran.stderr);
}

#[test]
fn wrong_usage() {
    let demo = capture("demo");
    for (arguments, words) in [
        (&["dissect"][..], &["FILE"][..]),
        (&["dissect", "--kfl", "http and", text(&demo)], &["1 | http and", "^"]),
        (&["dissect", "--bpf", "port", text(&demo)], &["`port`", "BPF"]),
        (&["dissect", "--threads", "0", text(&demo)], &["--threads"]),
        (&["kfl", "check", "response.status >"], &["1 | response.status >", "^"]),
        (&["hub"], &["a hub needs workers", "--workers 127.0.0.1:30001"]),
        (&["worker"], &["a worker needs packets", "-i", "--pcap"]),
        (&["worker", "--pcap", text(&demo), "--advertise", "a/b"], &["a/b", "host:port"]),
        (&["nonsense"], &["nonsense", "--help"]),
    ] {
        refuses(arguments, 2, words);
    }
}

#[test]
fn a_hub_names_a_worker_that_is_no_address() {
    refuses(&["hub", "--listen", "127.0.0.1:0", "--workers", "over there"], 2, &["over there", "host:port"]);
}

#[test]
fn ports_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let demo = capture("demo");
    for arguments in [
        &["tap", "--pcap", text(&demo), "--listen", &address, "--worker-listen", "127.0.0.1:0"][..],
        &["tap", "--pcap", text(&demo), "--listen", "127.0.0.1:0", "--worker-listen", &address],
        &["worker", "--pcap", text(&demo), "--listen", &address],
        &["hub", "--workers", "127.0.0.1:1", "--listen", &address],
    ] {
        refuses(arguments, 1, &[&address, "in use", "choose another port"]);
    }
}

#[test]
fn no_such_interface() {
    let ran = run(&["tap", "-i", "nosuch0", "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0"]);
    // Who may not capture at all is told that first.
    assert!(matches!(ran.code, Some(1 | 77)), "{}", ran.stderr);
    assert!(ran.stderr.contains("nosuch0"), "{}", ran.stderr);
}

/// The program, run by somebody without rights. As root we become `nobody`; else we have none.
fn unprivileged(arguments: &[&str], scratch: &Scratch) -> program::Ran {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let mut command = if root {
        // Where `nobody` may run it: the checkout may lie in a home that is closed to others.
        let copy = scratch.path().join("kubeshark");
        fs::copy(kubeshark(), &copy).expect("a copy");
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "--inh-caps=-all",
                "--bounding-set=-all",
            ])
            .arg(copy);
        command
    } else {
        Command::new(kubeshark())
    };
    program::run(command.args(arguments).current_dir("/"), b"", Duration::from_secs(30))
}

#[test]
fn no_right_to_read() {
    let scratch = Scratch::new();
    let secret = scratch.file("secret.pcap", &fs::read(capture("demo")).expect("a file"));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("our own file");
    let ran = unprivileged(&["dissect", text(&secret)], &scratch);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("secret.pcap") && ran.stderr.contains("Permission denied"), "{}", ran.stderr);
}

#[test]
fn no_right_to_capture() {
    let scratch = Scratch::new();
    let arguments = [
        "tap",
        "-i",
        "lo",
        "--bpf",
        "tcp port 80",
        "--listen",
        "127.0.0.1:0",
        "--worker-listen",
        "127.0.0.1:0",
    ];
    let ran = unprivileged(&arguments, &scratch);
    assert_eq!(ran.code, Some(77), "{}", ran.stderr);
    for word in [
        "not allowed to capture on lo",
        "sudo setcap cap_net_raw+ep /",
        "kubeshark\n",
        "tap -i lo --bpf 'tcp port 80'",
    ] {
        assert!(ran.stderr.contains(word), "does not say {word:?}: {}", ran.stderr);
    }
}
