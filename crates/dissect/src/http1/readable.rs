//! Requests and responses for people: one line, tables, bodies.

use api::{Payload, Row, Section, Summary};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    form::Param,
    message::{PostData, Request, Response, TextOrBytes},
    text::{Map, MultiMap, Span},
    words::reason,
};

const SPAN_PAIR: usize = size_of::<(Span, Span)>();

impl Payload for Request {
    fn heap_size(&self) -> usize {
        let rows = self.headers.capacity() + self.cookies.capacity() + self.query.capacity();
        let post = self.post.as_ref().map_or(0, |post| {
            let body = match &post.body {
                TextOrBytes::Text(text) => text.capacity(),
                TextOrBytes::Bytes(bytes) => bytes.capacity(),
            };
            body + post.mime_type.len() + post.params.0.iter().map(Param::heap_size).sum::<usize>()
        });
        size_of::<Self>() + self.text.heap_size() + rows * SPAN_PAIR + post
    }

    fn summary(&self) -> Summary {
        let (method, path) = (self.text.get(self.method), self.text.get(self.path));
        Summary {
            method: method.to_owned(),
            method_query: format!("request.method == {}", quoted(method)),
            summary: path.to_owned(),
            summary_query: format!("request.path == {}", quoted(path)),
            ..Summary::default()
        }
    }

    fn sections(&self) -> Vec<Section> {
        let path = self.text.get(self.path);
        let mut sections = vec![Section::table(
            "Details",
            vec![
                Row::new("Method", self.text.get(self.method), "request.method"),
                Row::new("Target URI", self.target(), "request.targetUri"),
                Row::new("Path", path, "request.path"),
                Row::new("Body Size (bytes)", self.body_size, "request.bodySize"),
            ],
        )];
        let segments = self.segments().0;
        if segments.len() > 1 {
            let rows = segments.iter().enumerate();
            let rows = rows.map(|(index, segment)| {
                Row::new(index.to_string(), segment, format!("request.pathSegments[{index}]"))
            });
            sections.push(Section::table("Path Segments", rows.collect()));
        }
        sections.push(Section::table("Headers", map_rows(&self.headers(), "request.headers")));
        sections.push(Section::table("Cookies", map_rows(&self.cookies(), "request.cookies")));
        sections.push(Section::table("Query String", query_rows(&self.query())));
        if let Some(post) = &self.post {
            sections.push(post.section());
        }
        sections
    }
}

impl PostData {
    fn section(&self) -> Section {
        if !self.params.0.is_empty() {
            let rows = self.params.0.iter().enumerate().map(|(index, param)| {
                let value = param.file_name.as_deref().or(param.value.as_deref()).unwrap_or_default();
                Row::new(param.name.clone(), value, format!("request.postData.params[{index}].value"))
            });
            let media = self.mime_type.split(';').next().unwrap_or_default();
            return Section::Table {
                title: "POST Data".to_owned(),
                detail: Some((media.to_owned(), "request.postData.mimeType".to_owned())),
                rows: rows.collect(),
            };
        }
        let (encoding, text) = match &self.body {
            TextOrBytes::Text(text) => ("", text.clone()),
            TextOrBytes::Bytes(bytes) => ("base64", STANDARD.encode(bytes)),
        };
        Section::Body {
            title: "POST Data (text/plain)".to_owned(),
            encoding,
            mime_type: self.mime_type.to_string(),
            selector: "request.postData.text".to_owned(),
            text,
        }
    }
}

impl Payload for Response {
    fn heap_size(&self) -> usize {
        let rows = self.headers.capacity() + self.cookies.capacity();
        size_of::<Self>()
            + self.text.heap_size()
            + rows * SPAN_PAIR
            + self.content.text.capacity()
            + size_of_val(&*self.interim.0)
    }

    fn summary(&self) -> Summary {
        Summary {
            status: i64::from(self.status),
            status_query: format!("response.status == {}", self.status),
            ..Summary::default()
        }
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections = vec![
            Section::table(
                "Details",
                vec![
                    Row::new("Status", self.status, "response.status"),
                    Row::new("Status Text", reason(self.status), "response.statusText"),
                    Row::new("Body Size (bytes)", self.body_size, "response.bodySize"),
                ],
            ),
            Section::table("Headers", map_rows(&self.headers(), "response.headers")),
            Section::table("Cookies", map_rows(&self.cookies(), "response.cookies")),
        ];
        if !self.content.text.is_empty() {
            sections.push(Section::Body {
                title: "Body".to_owned(),
                encoding: "base64",
                mime_type: self.text.get(self.content.mime_type).to_owned(),
                selector: "response.content.text".to_owned(),
                text: STANDARD.encode(&self.content.text),
            });
        }
        sections
    }
}

fn map_rows(map: &Map<'_>, selector: &str) -> Vec<Row> {
    let rows = map.rows.iter().map(|(name, value)| (map.text.get(*name), map.text.get(*value)));
    rows.map(|(name, value)| Row::new(name, value, format!("{selector}[{}]", quoted(name)))).collect()
}

fn query_rows(query: &MultiMap<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, group) in query.groups() {
        let selector = format!("request.queryString[{}]", quoted(name));
        for (index, (_, value)) in group.iter().enumerate() {
            let selector = if group.len() == 1 { selector.clone() } else { format!("{selector}[{index}]") };
            rows.push(Row::new(name, query.text.get(*value), selector));
        }
    }
    rows
}

/// As a string of the filter language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
