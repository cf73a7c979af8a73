//! Settings of a cluster, from files of the user, and what is said where there is no cluster.

use std::{fs, process::Command, time::Duration};

use support::{
    Scratch,
    program::{self, Ran},
};

use crate::kubeshark;

/// Runs it where nothing of the user's is found but what the test wrote.
fn run_in(scratch: &Scratch, arguments: &[&str]) -> Ran {
    let mut command = Command::new(kubeshark());
    command.args(arguments).current_dir(scratch.path()).env_remove("RUST_LOG").env_remove("KUBECONFIG");
    program::run(command.env("HOME", scratch.path()), b"", Duration::from_secs(30))
}

#[test]
fn a_file_and_what_is_typed_lie_over_the_charts_own() {
    let scratch = Scratch::new();
    scratch.file(
        "kubeshark.yaml",
        b"tap:\n  selfnamespace: sharks\n  storagelimit: 200MB\n  colour: red\nlicense: abc\n",
    );
    let ran = run_in(&scratch, &["config", "--set", "tap.regex=front.*", "--set", "nonsense"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let printed = String::from_utf8(ran.stdout).expect("UTF-8");
    for line in
        ["    namespace: sharks\n", "  storageLimit: \"200M\"\n", "  regex: \"front.*\"\n", "license: abc\n"]
    {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    for words in ["the setting tap.colour is not known", "--set nonsense is ignored: write KEY=VALUE"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    // What it prints can be a file of settings.
    scratch.file("kubeshark.yaml", printed.as_bytes());
    let again = run_in(&scratch, &["config"]);
    assert_eq!((again.code, String::from_utf8_lossy(&again.stdout).as_ref()), (Some(0), printed.as_str()));
    assert_eq!(again.stderr, "");
    assert_eq!(run_in(&scratch, &["license"]).stdout, b"abc\n");
}

#[test]
fn the_users_own_file_is_written_and_kept() {
    let scratch = Scratch::new();
    let own = scratch.path().join(".kubeshark/config.yaml");
    for _ in 0..2 {
        let ran = run_in(&scratch, &["config", "--regenerate"]);
        assert_eq!(
            (ran.code, ran.stdout),
            (Some(0), format!("{}\n", own.display()).into_bytes()),
            "{}",
            ran.stderr
        );
    }
    fs::write(&own, "tap: {regex: mine}\n").expect("a file");
    assert!(own.with_extension("yaml.old").is_file());
    let ran = run_in(&scratch, &["config"]);
    assert!(String::from_utf8_lossy(&ran.stdout).contains("  regex: mine\n"), "{}", ran.stderr);
    fs::write(&own, "- a list\n").expect("a file");
    let ran = run_in(&scratch, &["config"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("config.yaml") && ran.stderr.contains("kubeshark config"), "{}", ran.stderr);
}

#[test]
fn without_a_cluster_it_says_what_to_do() {
    let scratch = Scratch::new();
    for command in ["tap", "proxy", "check", "logs", "clean"] {
        let ran = run_in(&scratch, &[command]);
        assert_eq!(ran.code, Some(1), "{command}: {}", ran.stderr);
        for words in ["no cluster", ".kube/config", "KUBECONFIG", "kubeshark tap -i any"] {
            assert!(ran.stderr.contains(words), "{command}: {words}: {}", ran.stderr);
        }
    }
    let ran = run_in(&scratch, &["tap", "front", "--pcap", "x.pcap"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}
