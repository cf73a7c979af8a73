//! `/query/complete?q=&cursor=`: what may be typed next, for an editor.
//!
//! Fields, macros and helpers are known here. Values (of `src.namespace`, of a host name, of any field) are asked of the
//! workers, which look at their newest entries: the hub itself never reads an entry.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use futures_util::future::join_all;
use kfl::SuggestionKind;
use serde::Deserialize;
use serde_json::{Value, json};
use web::{Access, Failure};

use super::Hub;
use crate::workers::{Worker, request};

/// Most values that are offered.
const VALUES: usize = 50;

/// Longest query that is completed, in bytes: as long as a watcher's may be.
const QUERY_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    q: String,
    /// In bytes of UTF-8; the end where it is missing.
    cursor: Option<usize>,
}

pub(super) async fn complete(
    State(hub): State<Arc<Hub>>,
    _: Access,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(Parameters { q, cursor }) =
        parameters.map_err(|error| Failure::bad_request(error.body_text()))?;
    if q.len() > QUERY_BYTES {
        return Err(Failure::bad_request(format!("The query is longer than {QUERY_BYTES} bytes.")));
    }
    let found = kfl::complete(&q, cursor.unwrap_or(q.len()), &api::explaining(0));
    let mut suggestions: Vec<Value> = found
        .suggestions
        .into_iter()
        .map(|suggestion| json!({ "about": suggestion.about, "kind": kind(suggestion.kind), "text": suggestion.text }))
        .collect();
    if let Some(field) = &found.values_of {
        let typed = q.get(found.span.clone()).unwrap_or_default();
        suggestions.extend(values(&hub, field, typed).await.into_iter().map(|(value, entries)| {
            json!({ "about": format!("in {entries} of the newest entries"), "kind": "value", "text": value })
        }));
    }
    Ok(Json(json!({
        "end": found.span.end,
        "start": found.span.start,
        "suggestions": suggestions,
        "valuesOf": found.values_of,
    })))
}

fn kind(kind: SuggestionKind) -> &'static str {
    match kind {
        SuggestionKind::Field => "field",
        SuggestionKind::Macro => "macro",
        SuggestionKind::Helper => "helper",
        SuggestionKind::Value => "value",
    }
}

/// The values of a field that begin with `typed`, the most frequent first. A worker that does not answer has none.
async fn values(hub: &Hub, field: &str, typed: &str) -> Vec<(String, u64)> {
    let encoded: String =
        field
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
    let path = format!("/values?field={encoded}");
    let workers = hub.fanout.workers();
    let connected = workers.iter().filter(|worker| worker.is_connected());
    let answers = join_all(connected.map(|worker| ask(worker, &path, hub))).await;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (value, entries) in answers.into_iter().flatten().flatten() {
        // A value with a quote cannot be typed.
        let typable = !value.contains(['"', '\\', '\n']);
        let fits = value.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed));
        if typable && fits {
            *counts.entry(value).or_default() += entries;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(one, many), (other, few)| few.cmp(many).then(one.cmp(other)));
    counts.truncate(VALUES);
    counts
}

async fn ask(worker: &Worker, path: &str, hub: &Hub) -> Option<BTreeMap<String, u64>> {
    match request::get(worker, path, &hub.limits).await {
        Ok((StatusCode::OK, body)) => serde_json::from_slice(&body).ok(),
        Ok(_) | Err(_) => None,
    }
}
