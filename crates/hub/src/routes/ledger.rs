//! `/ledger`: where every packet, byte, flow and message of the cluster ended.
//!
//! Workers say their ledger with their status, every few seconds, so each is given with its age. That of a worker that
//! is away stays, and counts, until it is back and says another.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};
use web::Access;

use super::Hub;
use crate::workers::Worker;

pub(super) async fn ledger(State(hub): State<Arc<Hub>>, _: Access) -> Json<Value> {
    let workers: Vec<Value> = hub.fanout.workers().iter().map(|each| worker(each)).collect();
    let mut sum = Value::Object(Map::new());
    for worker in &workers {
        add(&mut sum, &worker["ledger"]);
    }
    Json(json!({ "sum": sum, "workers": workers }))
}

fn worker(worker: &Worker) -> Value {
    let state = worker.state();
    let identity = state.identity.as_ref();
    json!({
        "address": worker.address,
        "ageSeconds": state.said.map(|said| said.elapsed().as_millis() as f64 / 1000.0),
        "boot": identity.map(|identity| identity.boot),
        "connected": state.connected,
        "ledger": state.status.get("ledger"),
        "node": identity.map(|identity| &identity.node),
        "worker": identity.map(|identity| &identity.worker),
    })
}

/// Adds the counts of `other`, row by row. A row that only some workers have, of another release, is theirs alone.
fn add(sum: &mut Value, other: &Value) {
    match other {
        Value::Object(rows) => {
            if !sum.is_object() {
                *sum = Value::Object(Map::new());
            }
            for (row, count) in rows {
                add(&mut sum[row], count);
            }
        }
        Value::Number(count) => {
            *sum = sum.as_u64().unwrap_or(0).saturating_add(count.as_u64().unwrap_or(0)).into();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_whoever_has_them() {
        let mut sum = Value::Object(Map::new());
        for ledger in [
            json!({ "flow": { "open": 1, "strays": 2 } }),
            Value::Null,
            json!({ "flow": { "open": 3 }, "decode": { "arp": u64::MAX } }),
            json!({ "decode": { "arp": 1 } }),
        ] {
            add(&mut sum, &ledger);
        }
        assert_eq!(sum, json!({ "flow": { "open": 4, "strays": 2 }, "decode": { "arp": u64::MAX } }));
    }
}
