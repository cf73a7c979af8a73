//! What the hub is.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::Hub;

/// `/echo`: is it there? The words are the original's: its command line waits for them.
pub(super) async fn echo() -> &'static str {
    "It's running."
}

/// `/metadata/version`
pub(super) async fn version() -> Json<Value> {
    Json(json!({ "ver": env!("CARGO_PKG_VERSION") }))
}

/// `/`: what to do here.
pub(super) async fn front(State(hub): State<Arc<Hub>>) -> String {
    let at = hub.address;
    format!(
        "This is the hub of Kubeshark. To watch traffic, send it a filter (an empty one selects everything):\n\n  \
         wscat --connect ws://{at}/api/wsFull -x 'http and response.status == 500' -w 1000\n\n\
         http://{at}/api/status          how the hub and its workers are\n\
         http://{at}/api/ledger          where every packet, byte, flow and message ended\n\
         http://{at}/api/query/validate  whether ?q=… is a filter\n\
         http://{at}/metrics             numbers for Prometheus\n"
    )
}
