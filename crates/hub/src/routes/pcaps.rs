//! `/pcaps/download/{worker}/{stream}`: packets of a stream, passed through from the worker that holds them.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{
        StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use web::{Access, Failure};

use super::{
    Hub,
    item::{find, unanswered},
};
use crate::workers::request;

/// The worker's answer, piece by piece as it comes: it may be longer than what the hub would hold.
pub(super) async fn download(
    State(hub): State<Arc<Hub>>,
    _: Access,
    Path((name, stream)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let stream = stream.parse::<api::Stream>().map_err(|error| Failure::bad_request(error.to_string()))?;
    let worker = find(&hub, &name)?;
    let answer = request::stream(&worker, &format!("/pcaps/download/{stream}"), &hub.limits)
        .await
        .map_err(|error| unanswered(&worker, &error))?;
    let (head, body) = answer.into_parts();
    let mut passed = (StatusCode::OK, Body::new(body)).into_response();
    *passed.status_mut() = head.status;
    for name in [CONTENT_TYPE, CONTENT_DISPOSITION] {
        if let Some(value) = head.headers.get(&name) {
            passed.headers_mut().insert(name, value.clone());
        }
    }
    Ok(passed)
}
