//! The engine, run in this process over a capture in memory.

use std::path::Path;

use serde_json::Value;
use worker::{DissectConfig, DissectError, Input, Limits, Output, Report};

use crate::Scratch;

/// What a capture gives: its entries, what was counted, and how it ended.
pub fn dissect(capture: &[u8]) -> (Vec<Value>, Report, Result<(), DissectError>) {
    let scratch = Scratch::new();
    let file = scratch.file("input.pcap", capture);
    dissect_file(&file)
}

/// The same, of a capture that lies on disk.
pub fn dissect_file(file: &Path) -> (Vec<Value>, Report, Result<(), DissectError>) {
    let (text, report, result) = print(file, "", 1);
    let entries = text.lines().map(|line| serde_json::from_str(line).expect("an entry is JSON")).collect();
    (entries, report, result)
}

/// What `kubeshark dissect --kfl QUERY --threads N FILE` prints, what was counted, and how it ended.
pub fn print(file: &Path, query: &str, threads: usize) -> (String, Report, Result<(), DissectError>) {
    let config = DissectConfig {
        inputs: vec![Input::File(file.to_owned())],
        filter: kfl::Filter::new(query, &api::options(0)).expect("a query").into(),
        output: Output::Ndjson,
        threads,
        bpf: None,
        limits: Limits::default(),
        stop: std::sync::Arc::default(),
    };
    let mut out = Vec::new();
    let (report, result) = worker::dissect(&config, &mut out, &|_| ());
    (String::from_utf8(out).expect("JSON is UTF-8"), report, result)
}

/// The flags of an entry that are set, by name; a gap with its bytes.
pub fn flags(entry: &Value) -> Vec<String> {
    let flags = entry["flags"].as_object().expect("flags");
    let told = flags.iter().filter_map(|(name, value)| match value {
        Value::Bool(true) => Some(name.clone()),
        Value::Number(number) if number.as_u64() != Some(0) => Some(format!("{name}={number}")),
        _ => None,
    });
    told.collect()
}

/// An entry in short: `GET /path 200 body [flags]`, `POST /path (body) 200 body [flags]`; what is missing is `-`.
pub fn line(entry: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let (request, response) = (&entry["request"], &entry["response"]);
    let mut asked = if request.is_null() {
        "-".to_owned()
    } else {
        format!("{} {}", text(&request["method"]), text(&request["url"]))
    };
    if let Some(sent) = request["postData"]["text"].as_str() {
        asked.extend([" (", sent, ")"]);
    }
    let answered = if response.is_null() {
        "-".to_owned()
    } else {
        format!("{} {}", text(&response["status"]), String::from_utf8_lossy(&body(response)))
    };
    format!("{asked} {answered} [{}]", flags(entry).join(" "))
}

/// The body of a response.
pub fn body(response: &Value) -> Vec<u8> {
    let Some(text) = response["content"]["text"].as_str() else { return Vec::new() };
    if response["content"]["encoding"] == "base64" { base64(text) } else { text.as_bytes().to_vec() }
}

/// RFC 4648 §4.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut n_bits) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|&digit| digit == byte)) {
        bits = bits << 6 | digit as u32;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            out.push((bits >> n_bits) as u8);
            bits &= (1 << n_bits) - 1;
        }
    }
    out
}
