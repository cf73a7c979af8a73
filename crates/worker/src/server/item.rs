//! `/item/:id`: one entry in full, with its readable form.

use axum::{
    extract::{Path, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use web::{Access, Failure};

use super::Served;

/// `id` is `{stream}-{index}`: `000000000001.pcap-0`.
pub(super) async fn item(
    _access: Access,
    State(served): State<Served>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
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
    let mut text = Vec::new();
    api::write_item(&mut text, &entry);
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}
