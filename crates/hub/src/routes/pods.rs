//! `/pods/…`: which pods are captured, and where the workers are.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
};
use serde_json::{Value, json};
use web::{Access, Failure};

use super::{Hub, scripts::parse};
use crate::kubernetes::{Kubernetes, MapError, PostedWorker, TargetConfig, Wish};

/// Most workers that requests may add.
const POSTED: usize = 256;

/// `{"targets": [{"ips", "name", "namespace", "node"}]}`
pub(super) async fn targeted(State(hub): State<Arc<Hub>>, _: Access) -> Json<Value> {
    let pods = hub.kubernetes.as_ref().map(|kubernetes| kubernetes.targeted()).unwrap_or_default();
    let target = |pod: api::messages::TargetPod| json!({ "ips": pod.ips, "name": pod.name, "namespace": pod.namespace, "node": pod.node });
    Json(json!({ "targets": pods.into_iter().map(target).collect::<Vec<_>>() }))
}

/// The rule that there is.
pub(super) async fn rule(State(hub): State<Arc<Hub>>, _: Access) -> Result<Json<Value>, Failure> {
    let kubernetes = in_cluster(&hub)?;
    Ok(Json(answer(kubernetes, &kubernetes.targets())))
}

/// Another rule, at once and for every hub of the release.
pub(super) async fn set_rule(
    State(hub): State<Arc<Hub>>,
    _: Access,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Failure> {
    let kubernetes = in_cluster(&hub)?;
    let wish: Wish = parse(body, "{\"regex\": \"^web\", \"namespaces\": [\"shop\"]}")?;
    let targets = kubernetes.retarget(&wish).await?;
    Ok(Json(answer(kubernetes, &targets)))
}

/// The workers and their pods.
pub(super) async fn workers(State(hub): State<Arc<Hub>>, _: Access) -> Json<Value> {
    let one = |worker: Arc<crate::workers::Worker>| {
        let (state, place) = (worker.state(), worker.place().unwrap_or_default());
        json!({
            "connected": state.connected,
            "host": worker.address,
            "node": state.identity.map_or(place.node, |identity| identity.node),
            "pod": place.pod,
        })
    };
    let workers = hub.fanout.workers().into_iter().filter(|worker| worker.is_wanted());
    Json(workers.map(one).collect())
}

/// Says that a worker is there, or is not any more, by its pod. In a cluster the hub finds that out by itself.
pub(super) async fn post_worker(
    State(hub): State<Arc<Hub>>,
    _: Access,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Failure> {
    if hub.kubernetes.is_some() {
        return Err(Failure::new(
            StatusCode::CONFLICT,
            "This hub finds its workers by their pods; GET /pods/worker tells them.",
        ));
    }
    let posted: PostedWorker = parse(body, "a Pod as the API server prints it")?;
    let Some(host) = posted.address() else {
        return Ok(Json(json!({ "host": "", "msg": "Pod IP is empty. Did nothing." })));
    };
    if !posted.is_ready() {
        hub.dialer.withdraw(&host);
        return Ok(Json(json!({ "host": host, "msg": "Removed a worker host." })));
    }
    if hub.fanout.workers().len() >= POSTED {
        let why = format!("This hub knows {POSTED} workers, which is the most that requests may add.");
        return Err(Failure::new(StatusCode::CONFLICT, why));
    }
    hub.dialer.post(&host);
    Ok(Json(json!({ "host": host, "msg": "Added a new worker host." })))
}

fn in_cluster(hub: &Hub) -> Result<&Kubernetes, Failure> {
    hub.kubernetes.as_deref().ok_or_else(|| {
        Failure::new(
            StatusCode::CONFLICT,
            "This hub does not watch a cluster, so that there are no pods to choose from: its workers capture what their \
             own options say.",
        )
    })
}

fn answer(kubernetes: &Kubernetes, targets: &TargetConfig) -> Value {
    json!({
        "excludedNamespaces": targets.excluded,
        "labelSelector": targets.labels,
        "namespaces": targets.namespaces,
        "regex": targets.regex,
        "targets": kubernetes.targeted().len(),
    })
}

impl From<MapError> for Failure {
    fn from(error: MapError) -> Self {
        let status = match error {
            MapError::Script(error) => return error.into(),
            MapError::Targets(_) => StatusCode::BAD_REQUEST,
            MapError::Unnamed | MapError::Unreadable(_) | MapError::Contended(_) => StatusCode::CONFLICT,
            MapError::Refused { .. } => StatusCode::BAD_GATEWAY,
            MapError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
        };
        let mut text = error.to_string();
        // Our errors begin small and have no full stop; what is answered is a sentence.
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self::new(status, text + ".")
    }
}
