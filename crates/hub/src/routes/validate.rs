//! `/query/validate?q=&lang=`: whether a text is a filter, what is wrong with it, and what is likely not meant.
//!
//! `valid` and `message` are those of the original. An editor also gets `errors` and `warnings`, each with its place:
//! `start` and `end` in bytes of UTF-8, `line` and `column` from 1 in characters.

use axum::{
    Json,
    extract::{Query, rejection::QueryRejection},
};
use kfl::{Error, Language, Options};
use serde::Deserialize;
use serde_json::{Value, json};
use web::Failure;

#[derive(Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    q: String,
    #[serde(default)]
    lang: Language,
}

/// Always 200 for a question that can be read; the answer is in the body.
pub(super) async fn validate(
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(Parameters { q, lang: language }) =
        parameters.map_err(|error| Failure::bad_request(error.body_text()))?;
    // Whether it is a filter does not depend on when it is asked.
    let options = Options { language, ..api::explaining(0) };
    Ok(Json(match kfl::explain(&q, &options) {
        Ok(found) => json!({
            "errors": [],
            "fields": found.fields.iter().map(|field| json!({
                "end": field.span.end, "path": field.path, "start": field.span.start,
            })).collect::<Vec<_>>(),
            "language": if found.language == Language::V2 { "v2" } else { "v1" },
            "means": found.grouped,
            "message": "",
            "valid": true,
            "warnings": found.warnings.iter().map(placed).collect::<Vec<_>>(),
        }),
        Err(error) => json!({
            "errors": [placed(&error)],
            "message": error.to_string(),
            "valid": false,
            "warnings": [],
        }),
    }))
}

fn placed(error: &Error) -> Value {
    json!({
        "column": error.column(),
        "end": error.span().end,
        "line": error.line(),
        "message": error.message(),
        "start": error.span().start,
        "suggestion": error.suggestion(),
    })
}
