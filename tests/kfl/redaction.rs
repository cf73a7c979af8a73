//! What a query redacts is hidden in every form of an entry.

use api::View;
use serde_json::Value;

fn json(write: impl FnOnce(&mut Vec<u8>)) -> Value {
    let mut text = Vec::new();
    write(&mut text);
    serde_json::from_slice(&text).unwrap()
}

/// The item of the first entry of a capture that matches, with the representation read as JSON; and the text of it all.
fn item(capture: &str, pick: &str, query: &str) -> (Value, String) {
    let filter = |text: &str| kfl::Filter::new(text, &api::options(0)).unwrap();
    let entries = super::entries(capture);
    let entry = entries.iter().find(|entry| filter(pick).matches(*entry)).unwrap();
    let filter = filter(query);
    let view = View::through(&filter, entry);
    let mut item = json(|out| api::write_item(out, &view));
    let text = item.to_string();
    assert_eq!(item["base"], json(|out| api::write_base(out, &view)));
    assert_eq!(item["data"], json(|out| api::write_full(out, &view)));
    let representation = item["representation"].as_str().unwrap().to_owned();
    item["representation"] = serde_json::from_str(&representation).unwrap();
    (item, text)
}

/// The rows of a table of the representation.
fn rows(item: &Value, half: &str, title: &str) -> Vec<(String, String)> {
    let sections = item["representation"][half].as_array().unwrap();
    let section = sections.iter().find(|section| section["title"] == title).unwrap();
    let rows: Vec<Value> = serde_json::from_str(section["data"].as_str().unwrap()).unwrap();
    let cell = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| (cell(row, "name"), cell(row, "value"))).collect()
}

#[test]
fn a_value_in_all_forms() {
    let (whole, _) = item("http-methods", "request.method == \"GET\"", "");
    let path = whole["data"]["request"]["path"].as_str().unwrap();
    let (item, _) = item(
        "http-methods",
        "request.method == \"GET\"",
        "redact(\"request.path\", \"response.status\", \"dst.ip\")",
    );
    assert_eq!(item["data"]["request"]["path"], "[REDACTED]");
    assert_eq!(item["base"]["summary"], "[REDACTED]");
    assert_eq!(item["base"]["summaryQuery"], "request.path == \"[REDACTED]\"");
    assert_eq!((&item["base"]["status"], &item["base"]["dst"]["ip"]), (&0.into(), &"[REDACTED]".into()));
    assert_eq!(item["base"]["method"], "GET");
    assert!(rows(&item, "request", "Details").contains(&("Path".into(), "[REDACTED]".into())), "{path}");
    assert!(rows(&item, "response", "Details").contains(&("Status".into(), "[REDACTED]".into())));
    assert_eq!(item["protocol"], whole["protocol"]);
}

#[test]
fn whole_maps_and_halves() {
    let (whole, text) = item("http-methods", "http", "");
    let host = whole["data"]["request"]["headers"]["Host"].as_str().unwrap();
    assert!(text.contains(host));
    let (item_of, text) =
        item("http-methods", "http", "redact(\"request.headers\", \"request.url\", \"request.targetUri\")");
    assert_eq!(item_of["data"]["request"]["headers"], "[REDACTED]");
    assert_eq!(rows(&item_of, "request", "Headers"), [("[REDACTED]".into(), "[REDACTED]".into())]);
    assert!(!text.contains(host), "{host} in {text}");
    let (item_of, _) = item("http-methods", "http", "redact(\"request\")");
    assert_eq!(item_of["data"]["request"], "[REDACTED]");
    assert_eq!(
        (&item_of["base"]["method"], &item_of["base"]["summary"]),
        (&"[REDACTED]".into(), &"[REDACTED]".into())
    );
    for section in item_of["representation"]["request"].as_array().unwrap() {
        assert!(!section.to_string().contains(host), "{section}");
    }
}

#[test]
fn items_of_lists() {
    let (whole, _) = item("dns-udp", "response.answers.*.ip == r\"[0-9]\"", "");
    let name = whole["data"]["request"]["questions"][0]["name"].as_str().unwrap().to_owned();
    let query = "redact(\"request.questions[0].name\", \"response.answers.*.name\", \"response.questions\")";
    let (item, text) = item("dns-udp", "response.answers.*.ip == r\"[0-9]\"", query);
    assert_eq!(item["data"]["request"]["questions"][0]["name"], "[REDACTED]");
    assert_eq!(item["base"]["summary"], "[REDACTED]");
    assert_eq!(rows(&item, "request", "Question [0]")[0], ("Name".into(), "[REDACTED]".into()));
    assert_eq!(rows(&item, "response", "Answer [0]")[0], ("Name".into(), "[REDACTED]".into()));
    assert!(!text.contains(&name), "{name} in {text}");
}

/// What a heading says of a field is hidden with it, and with whatever is around it.
#[test]
fn headings() {
    let pick = "request.postData.mimeType == r\"^application/x-www-form-urlencoded\"";
    let headings = |query: &str| -> Vec<String> {
        let (item, _) = item("http-bodies", pick, query);
        let sections = item["representation"]["request"].as_array().unwrap();
        sections.iter().map(|section| section["title"].as_str().unwrap().to_owned()).collect()
    };
    assert!(headings("").contains(&"POST Data (application/x-www-form-urlencoded)".to_owned()));
    for query in [
        "redact(\"request.postData.mimeType\")",
        "redact(\"request.postData\")",
        "redact(\"request\")",
        "redact(\"..mimeType\")",
    ] {
        assert!(headings(query).contains(&"POST Data ([REDACTED])".to_owned()), "{query}");
    }
    assert!(
        headings("redact(\"request.url\")")
            .contains(&"POST Data (application/x-www-form-urlencoded)".to_owned())
    );
}

#[test]
fn bodies() {
    let body = |item: &Value, half: &str, title: &str| {
        let sections = item["representation"][half].as_array().unwrap();
        sections.iter().find(|section| section["title"] == title).unwrap().clone()
    };
    let pick = "response.content.text != \"\"";
    let (whole, _) = item("http-bodies", pick, "");
    assert_eq!(body(&whole, "response", "Body")["encoding"], "base64");
    let (hidden, _) =
        item("http-bodies", pick, "redact(\"response.content.text\", \"response.content.mimeType\")");
    let section = body(&hidden, "response", "Body");
    assert_eq!(
        (&section["data"], &section["encoding"], &section["mimeType"]),
        (&"[REDACTED]".into(), &Value::Null, &Value::Null)
    );
    assert_eq!(hidden["data"]["response"]["content"]["text"], "[REDACTED]");
    // Inside an encoded document: the same text in both, still base64.
    let scratch = support::Scratch::new();
    let mix = support::traffic::Mix { connections: 1, requests: 1, questions: 0, seed: 1 };
    let input = worker::Input::File(scratch.mix(&mix));
    let entries = worker::entries(input, &worker::Limits::default()).unwrap();
    let filter =
        kfl::Filter::new("redact(\"response.content.text.json().lines[0].article\")", &api::options(0))
            .unwrap();
    let mut shown = json(|out| api::write_item(out, &View::through(&filter, &entries[0])));
    shown["representation"] = serde_json::from_str(shown["representation"].as_str().unwrap()).unwrap();
    let section = body(&shown, "response", "Body");
    assert_eq!(section["data"], shown["data"]["response"]["content"]["text"]);
    assert_eq!(section["encoding"], "base64");
    let read = |query: &str| kfl::Filter::new(query, &api::options(0)).unwrap();
    let data = &shown["data"];
    assert!(read("response.content.text.json().lines[0].article == \"[REDACTED]\"").matches(data));
    assert!(read("response.content.text.json().lines[1].article == \"no 1\"").matches(data));
}
