//! What recordings should hold, found by tshark and by the entries that were read by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::{
    Scratch,
    captures::Case,
    pcap::{Capture, Frame},
};

/// The streams of a capture as tshark finds them, named as ours, in the order of their first packets.
pub fn streams(capture: &Path) -> BTreeMap<String, Vec<Frame>> {
    let told = Command::new("tshark")
        .arg("-r")
        .arg(capture)
        .args(["-T", "fields", "-e", "tcp.stream", "-e", "udp.stream"])
        .output()
        .expect("tshark");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let frames = Capture::read(&fs::read(capture).expect("a capture")).frames;
    let mut keys: Vec<String> = Vec::new();
    let mut streams: BTreeMap<String, Vec<Frame>> = BTreeMap::new();
    for (key, frame) in String::from_utf8_lossy(&told.stdout).lines().zip(frames) {
        if key.trim().is_empty() {
            continue;
        }
        let number = keys.iter().position(|known| known == key).unwrap_or_else(|| {
            keys.push(key.to_owned());
            keys.len() - 1
        });
        let kind = if key.starts_with('\t') { "_udp" } else { "" };
        streams.entry(format!("{:012}{kind}.pcap", number + 1)).or_default().push(frame);
    }
    streams
}

/// The members of a `.tar.gz`, by name.
pub fn unpacked(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let scratch = Scratch::new();
    let file = scratch.file("a.tar.gz", archive);
    let done = Command::new("tar").arg("xzf").arg(&file).current_dir(scratch.path()).status();
    assert!(done.expect("tar").success());
    fs::remove_file(file).expect("a file");
    let members = fs::read_dir(scratch.path()).expect("a directory").flatten();
    let member = |file: fs::DirEntry| {
        (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).expect("a file"))
    };
    members.map(member).collect()
}

/// The complete entries of a case: those that scripts see.
pub fn entries(name: &str) -> Vec<Value> {
    let entries = fs::read_to_string(Case::named(name).entries()).expect("entries");
    let entries = entries.lines().map(|line| serde_json::from_str::<Value>(line).expect("an entry"));
    entries.filter(|entry| entry["request"].is_object() && entry["response"].is_object()).collect()
}

/// The streams of the entries of a case that are as asked.
pub fn matching(name: &str, matches: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let entries = entries(name).into_iter().filter(matches);
    entries.map(|entry| entry["stream"].as_str().expect("a stream").to_owned()).collect()
}

/// The streams of a capture that are whole in a PCAP that was recorded of it; nothing else may be in there.
pub fn names(recorded: &[u8], capture: &Path) -> BTreeSet<String> {
    let scratch = Scratch::new();
    let original = streams(capture);
    let name = |found: &Vec<Frame>| {
        let whole = original.iter().find(|(_, frames)| *frames == found).map(|(name, _)| name.clone());
        whole.unwrap_or_else(|| panic!("{} packets that are no whole stream", found.len()))
    };
    streams(&scratch.file("recorded.pcap", recorded)).values().map(name).collect()
}
