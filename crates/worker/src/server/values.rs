//! `/values?field=`: the values that a field has in the newest entries, each with the number of entries that have it.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use web::{Access, Failure};

use super::Served;

/// Entries that are looked at.
const ENTRIES: u64 = 2_000;

/// Most values that are told.
const VALUES: usize = 500;

/// Longest value that is told, in bytes: nobody wants a longer one suggested.
const VALUE_BYTES: usize = 200;

#[derive(serde::Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    field: String,
}

pub(super) async fn values(
    _access: Access,
    State(served): State<Served>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<BTreeMap<String, u64>>, Failure> {
    let Query(Parameters { field }) = parameters.map_err(|error| Failure::bad_request(error.body_text()))?;
    let path = kfl::Path::parse(&field).ok_or_else(|| {
        Failure::bad_request(format!("{field:?} is no field; one looks like src.namespace"))
    })?;
    let head = *served.store.head().borrow();
    let mut next = head.saturating_sub(ENTRIES - 1).max(served.store.first());
    let mut counts = BTreeMap::new();
    while next <= head {
        let read = served.store.read(next);
        if read.entries.is_empty() {
            break;
        }
        for (_, entry) in &read.entries {
            let value =
                path.text_in(&**entry).filter(|value| !value.is_empty() && value.len() <= VALUE_BYTES);
            if let Some(value) = value {
                if let Some(count) = counts.get_mut(&value) {
                    *count += 1;
                } else if counts.len() < VALUES {
                    counts.insert(value, 1);
                }
            }
        }
        next = read.next;
        // Others want the thread too.
        tokio::task::yield_now().await;
    }
    Ok(Json(counts))
}
