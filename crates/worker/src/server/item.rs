//! `/item/:id?q=&lang=`: one entry in full, with its readable form. What the filter redacts is hidden in every part of it;
//! whether the filter lets the entry through does not matter.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use kfl::{Language, Options};
use web::{Access, Failure};

use super::Served;

#[derive(serde::Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    q: String,
    #[serde(default)]
    lang: Language,
}

/// `id` is `{stream}-{index}`: `000000000001.pcap-0`.
pub(super) async fn item(
    _access: Access,
    State(served): State<Served>,
    Path(id): Path<String>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(Parameters { q, lang: language }) =
        parameters.map_err(|error| Failure::bad_request(error.body_text()))?;
    let options = Options { language, ..api::options(now()) };
    let filter =
        kfl::Filter::new(&q, &options).map_err(|error| Failure::bad_request(format!("bad KFL: {error}")))?;
    let well_formed = id.rsplit_once('-').is_some_and(|(stream, index)| {
        stream.strip_suffix(".pcap").is_some()
            && !index.is_empty()
            && index.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !well_formed {
        return Err(Failure::bad_request(format!(
            "`{id}` is no entry's id; one looks like 000000000001.pcap-0"
        )));
    }
    let Some(entry) = served.store.find(&id) else {
        return Err(Failure::not_found(format!("entry {id} is not held: it never was, or it was evicted")));
    };
    let changed = served.scripts.queried(&[&entry]).await.pop().flatten();
    let view = match &changed {
        Some(changed) => api::View::changed(&filter, &entry, changed),
        None => api::View::through(&filter, &entry),
    };
    let mut text = Vec::new();
    api::write_item(&mut text, &view);
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

/// Milliseconds since the Unix epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
