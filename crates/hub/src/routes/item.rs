//! `/item/{worker}/{id}?q=&field=`: one entry in full, from the worker that has it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{OriginalUri, Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use web::{Access, Failure};

use super::Hub;
use crate::workers::{
    Worker,
    request::{self, RequestError},
};

/// The parts that may be asked for alone.
const FIELDS: &[&str] = &["base", "data", "protocol", "representation"];

#[derive(Deserialize)]
pub(super) struct Parameters {
    field: Option<String>,
}

pub(super) async fn item(
    State(hub): State<Arc<Hub>>,
    _: Access,
    Path((name, id)): Path<(String, String)>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Failure> {
    let Query(parameters) = parameters.map_err(|error| Failure::bad_request(error.body_text()))?;
    let field = parameters.field.filter(|field| !field.is_empty());
    if let Some(unknown) = field.as_deref().filter(|field| !FIELDS.contains(field)) {
        let message = format!("There is no field {unknown:?}; there are {}.", FIELDS.join(", "));
        return Err(Failure::bad_request(message));
    }
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return Err(Failure::bad_request(format!(
            "{id:?} is not an id; one looks like 000000019561.pcap-0."
        )));
    }
    let worker = find(&hub, &name)?;
    let (status, body) = request::get(&worker, &path(&id, &uri), &hub.limits)
        .await
        .map_err(|error| unanswered(&worker, &error))?;
    let body = match field {
        Some(field) if status == StatusCode::OK => part(&body, &field).ok_or_else(|| {
            Failure::bad_gateway(format!("Worker {} sent an item without {field}.", worker.address))
        })?,
        _ => body.to_vec(),
    };
    Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// What is said of a worker that does not answer.
pub(super) fn unanswered(worker: &Worker, error: &RequestError) -> Failure {
    let status = match error {
        RequestError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    Failure::new(status, format!("Worker {} does not answer: {error}.", worker.address))
}

/// The worker of this name. Only workers of ours are asked: whatever else a request names is none.
pub(super) fn find(hub: &Hub, name: &str) -> Result<Arc<Worker>, Failure> {
    let workers = hub.fanout.workers();
    let found = workers.iter().find(|worker| worker.is_called(name));
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = workers.iter().map(|worker| &*worker.address).collect();
        Failure::not_found(format!("There is no worker {name:?}; known are [{}].", known.join(", ")))
    })
}

/// Where the worker has it. The filter is passed on as it was encoded.
fn path(id: &str, uri: &Uri) -> String {
    let mut parameters = uri.query().unwrap_or_default().split('&');
    match parameters.find(|parameter| parameter.starts_with("q=")) {
        Some(q) => format!("/item/{id}?{q}"),
        None => format!("/item/{id}"),
    }
}

/// One part of an item, as it stands in it.
fn part(item: &[u8], field: &str) -> Option<Vec<u8>> {
    let parts: BTreeMap<&str, &RawValue> = serde_json::from_slice(item).ok()?;
    Some(parts.get(field)?.get().as_bytes().to_vec())
}
