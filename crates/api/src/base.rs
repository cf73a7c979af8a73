//! The smaller forms of an entry: the base entry of `/ws`, and the item of `/item/:id`.

use kfl::{Path, REDACTED, Value, print::write_text};

use crate::{Row, Section, Summary, View, view::Shown, write_full, write_record};

/// One line of a traffic list: the names of 2023's first half (`latency`, `size`) beside those of its second.
struct Base<'a> {
    view: &'a View<'a>,
    summary: Summary,
}

fn unless_empty(text: &str) -> Option<Value<'_>> {
    (!text.is_empty()).then(|| Value::text(text))
}

kfl::record! {
    impl Record for Base<'_> as base {
        "dst" => base.view.get("dst"),
        "elapsedTime" => base.view.get("elapsedTime"),
        "error" => base.view.get("error"),
        "failed" => base.view.get("failed"),
        "id" => base.view.get("id"),
        "latency" => base.view.get("elapsedTime"),
        "method" => unless_empty(&base.summary.method),
        "methodQuery" => unless_empty(&base.summary.method_query),
        "outgoing" => base.view.get("outgoing"),
        "passed" => base.view.get("passed"),
        "proto" => base.view.get("protocol"),
        "record" => base.view.get("record"),
        "requestSize" => base.view.get("requestSize"),
        "responseSize" => base.view.get("responseSize"),
        "size" => base.size(),
        "src" => base.view.get("src"),
        "status" => Value::Int(base.summary.status),
        "statusQuery" => Value::text(&base.summary.status_query),
        "stream" => base.view.get("stream"),
        "summary" => unless_empty(&base.summary.summary),
        "summaryQuery" => unless_empty(&base.summary.summary_query),
        "timestamp" => base.view.get("timestamp"),
        "tls" => base.view.get("tls"),
        "worker" => base.view.get("worker"),
    }
}

impl Base<'_> {
    /// Of request and response together; hidden where one of them is.
    fn size(&self) -> Value<'_> {
        match (self.view.get("requestSize"), self.view.get("responseSize")) {
            (Some(Value::Int(asked)), Some(Value::Int(answered))) => Value::Int(asked + answered),
            _ => Value::text(REDACTED),
        }
    }
}

/// Appends the base form of an entry.
pub fn write_base(out: &mut Vec<u8>, view: &View<'_>) {
    let entry = view.entry();
    let mut summary = entry.request.as_ref().map(|request| request.summary()).unwrap_or_default();
    if let Some(response) = &entry.response {
        let answer = response.summary();
        (summary.status, summary.status_query) = (answer.status, answer.status_query);
    }
    if view.is_altered() {
        hide_in_summary(view, &mut summary);
    }
    write_record(out, &Base { view, summary });
}

/// What a summary says is in its queries' fields too: where one of those is altered, the word is hidden.
fn hide_in_summary(view: &View<'_>, summary: &mut Summary) {
    for (text, query) in
        [(&mut summary.method, &mut summary.method_query), (&mut summary.summary, &mut summary.summary_query)]
    {
        if hide_in_query(view, query) {
            REDACTED.clone_into(text);
        }
    }
    if hide_in_query(view, &mut summary.status_query) {
        summary.status = 0;
    }
}

/// Whether a field of the query is altered; then the query asks for the word that stands in its place.
fn hide_in_query(view: &View<'_>, query: &mut String) -> bool {
    let options = kfl::Options::new(&[], 0);
    let fields = kfl::explain(query, &options).map(|found| found.fields).unwrap_or_default();
    let hidden = fields.iter().any(|field| view.shown(&field.path) != Shown::Same);
    if hidden {
        *query = match fields.as_slice() {
            [field] => format!("{} == \"{REDACTED}\"", field.path),
            _ => String::new(),
        };
    }
    hidden
}

/// Appends the item of an entry: `{base, data, protocol, representation}`; the last is JSON in a string.
pub fn write_item(out: &mut Vec<u8>, view: &View<'_>) {
    out.extend_from_slice(b"{\"base\":");
    write_base(out, view);
    out.extend_from_slice(b",\"data\":");
    write_full(out, view);
    out.extend_from_slice(b",\"protocol\":");
    match view.get("protocol") {
        Some(Value::Record(protocol)) => write_record(out, &*protocol),
        _ => write_text(out, REDACTED),
    }
    out.extend_from_slice(b",\"representation\":");
    write_text(out, &representation(view));
    out.push(b'}');
}

/// `{"request":[section…],"response":[section…]}`.
fn representation(view: &View<'_>) -> String {
    let sections = |half: Option<&dyn crate::Payload>| -> Vec<serde_json::Value> {
        let sections = half.map(crate::Payload::sections).unwrap_or_default();
        sections.into_iter().map(|section| written(hide_in_section(view, section))).collect()
    };
    serde_json::json!({
        "request": sections(view.entry().request.as_deref()),
        "response": sections(view.entry().response.as_deref()),
    })
    .to_string()
}

/// The section with what the view hides.
fn hide_in_section(view: &View<'_>, section: Section) -> Section {
    if !view.is_altered() {
        return section;
    }
    match section {
        Section::Table { title, detail, rows } => {
            let detail = detail.map(|(text, selector)| match view.shown(&selector) {
                Shown::Same => (text, selector),
                Shown::As(hidden) => (hidden, selector),
                Shown::Gone => (REDACTED.to_owned(), selector),
            });
            let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
            for row in rows {
                let row = match view.shown(&row.selector) {
                    Shown::Same => row,
                    Shown::As(value) => Row { value, ..row },
                    // Of what is hidden whole, not even the names are told, nor how many there were.
                    Shown::Gone => Row::new(REDACTED, REDACTED, ""),
                };
                if row.name != REDACTED || kept.last().is_none_or(|last| last.name != REDACTED) {
                    kept.push(row);
                }
            }
            Section::Table { title, detail, rows: kept }
        }
        Section::Body { title, encoding, mime_type, selector, text } => {
            let named = Path::parse(&selector).map(|path| path.sibling("mimeType"));
            let mime_type = match named.map_or(Shown::Gone, |path| view.shown_at(&path)) {
                Shown::Same => mime_type,
                Shown::As(_) | Shown::Gone => String::new(),
            };
            match view.shown(&selector) {
                Shown::Same => Section::Body { title, encoding, mime_type, selector, text },
                // A document with something hidden inside is encoded as it was; the word itself is not.
                Shown::As(text) if text != REDACTED => {
                    Section::Body { title, encoding, mime_type, selector, text }
                }
                Shown::As(_) | Shown::Gone => {
                    Section::Body { title, encoding: "", mime_type, selector, text: REDACTED.to_owned() }
                }
            }
        }
    }
}

fn written(section: Section) -> serde_json::Value {
    match section {
        Section::Table { title, detail, rows } => {
            let title = match detail {
                Some((detail, _)) => format!("{title} ({detail})"),
                None => title,
            };
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
