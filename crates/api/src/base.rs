//! The smaller forms of an entry: the base entry of `/ws`, and the item of `/item/:id`.

use kfl::{Record, Value};

use crate::{Entry, Row, Section, Summary, write_record};

/// One line of a traffic list: the names of 2023's first half (`latency`, `size`) beside those of its second.
struct Base<'a> {
    entry: &'a Entry,
    summary: Summary,
}

fn unless_empty(text: &str) -> Option<Value<'_>> {
    (!text.is_empty()).then(|| Value::text(text))
}

kfl::record! {
    impl Record for Base<'_> as base {
        "dst" => base.entry.get("dst"),
        "elapsedTime" => base.entry.get("elapsedTime"),
        "error" => base.entry.get("error"),
        "failed" => base.entry.get("failed"),
        "id" => base.entry.get("id"),
        "latency" => base.entry.get("elapsedTime"),
        "method" => unless_empty(&base.summary.method),
        "methodQuery" => unless_empty(&base.summary.method_query),
        "outgoing" => base.entry.get("outgoing"),
        "passed" => base.entry.get("passed"),
        "proto" => base.entry.get("protocol"),
        "record" => base.entry.get("record"),
        "requestSize" => base.entry.get("requestSize"),
        "responseSize" => base.entry.get("responseSize"),
        "size" => Value::Int((base.entry.request_size + base.entry.response_size) as i64),
        "src" => base.entry.get("src"),
        "status" => Value::Int(base.summary.status),
        "statusQuery" => Value::text(&base.summary.status_query),
        "stream" => base.entry.get("stream"),
        "summary" => unless_empty(&base.summary.summary),
        "summaryQuery" => unless_empty(&base.summary.summary_query),
        "timestamp" => base.entry.get("timestamp"),
        "tls" => base.entry.get("tls"),
        "worker" => base.entry.get("worker"),
    }
}

/// Appends the base form of `entry`.
pub fn write_base(out: &mut Vec<u8>, entry: &Entry) {
    let mut summary = entry.request.as_ref().map(|request| request.summary()).unwrap_or_default();
    if let Some(response) = &entry.response {
        let answer = response.summary();
        (summary.status, summary.status_query) = (answer.status, answer.status_query);
    }
    write_record(out, &Base { entry, summary });
}

/// Appends the item of `entry`: `{base, data, protocol, representation}`; the last is JSON in a string.
pub fn write_item(out: &mut Vec<u8>, entry: &Entry) {
    out.extend_from_slice(b"{\"base\":");
    write_base(out, entry);
    out.extend_from_slice(b",\"data\":");
    write_record(out, entry);
    out.extend_from_slice(b",\"protocol\":");
    write_record(out, entry.protocol);
    out.extend_from_slice(b",\"representation\":");
    kfl::print::write_text(out, &representation(entry));
    out.push(b'}');
}

/// `{"request":[section…],"response":[section…]}`.
fn representation(entry: &Entry) -> String {
    let sections = |half: Option<&dyn crate::Payload>| -> Vec<serde_json::Value> {
        half.map(crate::Payload::sections).unwrap_or_default().into_iter().map(section).collect()
    };
    serde_json::json!({
        "request": sections(entry.request.as_deref()),
        "response": sections(entry.response.as_deref()),
    })
    .to_string()
}

fn section(section: Section) -> serde_json::Value {
    match section {
        Section::Table { title, rows } => {
            let rows: Vec<_> = rows.into_iter().map(|Row { name, value, selector }| serde_json::json!({ "name": name, "selector": selector, "value": value })).collect();
            serde_json::json!({ "data": serde_json::Value::from(rows).to_string(), "title": title, "type": "table" })
        }
        Section::Body { title, encoding, mime_type, selector, text } => {
            let mut body = serde_json::json!({ "data": text, "title": title, "type": "body" });
            for (key, value) in [("encoding", encoding), ("mimeType", &mime_type), ("selector", &selector)] {
                if !value.is_empty() {
                    body[key] = value.into();
                }
            }
            body
        }
    }
}
