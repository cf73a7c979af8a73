//! `/query/validate?q=`: whether a text is a filter, and what is wrong with it.

use axum::{
    Json,
    extract::{Query, rejection::QueryRejection},
};
use serde::Deserialize;
use serde_json::{Value, json};
use web::Failure;

#[derive(Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    q: String,
}

/// Always 200 for a question that can be read; the answer is in the body.
pub(super) async fn validate(
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(parameters) = parameters.map_err(|error| Failure::bad_request(error.body_text()))?;
    // Whether it is a filter does not depend on when it is asked.
    let options = api::options(0);
    let message = kfl::Filter::new(&parameters.q, &options).err().map(|error| error.to_string());
    Ok(Json(json!({ "message": message.as_deref().unwrap_or_default(), "valid": message.is_none() })))
}
