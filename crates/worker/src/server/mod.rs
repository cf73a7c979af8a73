//! What a worker serves: the stream for its hub, and for whoever asks it directly the same sockets that the hub has.

mod hub;
mod item;
mod pcaps;
mod values;
mod watch;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    routing::{any, get, post},
};
use tokio::sync::Semaphore;
use web::{Access, Door, Hosts, Metrics, Readiness, Report, Shutdown};

use crate::{
    NameHistory, Packets, names::Names, scripts::Scripts, status::Status, store::Store, targets::Targeting,
};

/// Why a watcher lost entries that nobody has looked at: how many of them it would have seen is not known.
const EVICTED: &str = "up to n, evicted from the worker's store before they could be filtered";

/// Why a watcher of a file does not get the whole of it.
const EVICTED_BEFORE: &str =
    "up to n, evicted from the worker's store before you came; --store-mib makes it larger";

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) store: Arc<Store>,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) packets: Option<Packets>,
    pub(crate) history: NameHistory,
    pub(crate) names: Arc<Names>,
    pub(crate) targeting: Arc<Targeting>,
    /// Who may make files of packets at a time.
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) status: Arc<Status>,
    pub(crate) shutdown: Shutdown,
}

/// How many files of packets may be made at a time.
pub(crate) fn exports() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(pcaps::AT_ONCE))
}

/// All routes, behind the access rules.
pub(crate) fn router(served: Served, allowed_hosts: &[String], door: Door) -> Router {
    let watching =
        web::watch::routes(served.clone(), web::watch::Settings::default(), served.shutdown.clone());
    let open = web::health::routes(Reporter(Arc::clone(&served.status)));
    let traffic = Router::new()
        .route("/hub", any(hub::upgrade))
        .route("/item/{id}", get(item::item))
        .route("/pcaps/download/{id}", get(pcaps::download))
        .route("/pcaps/merge", post(pcaps::merge))
        .route("/pcaps/name-resolution-history", get(pcaps::names))
        .route("/values", get(values::values))
        .route("/status", get(status))
        .route("/ledger", get(ledger))
        .with_state(served)
        .merge(watching);
    web::protect(traffic, open, Hosts::new(allowed_hosts), door)
}

async fn status(_access: Access, State(served): State<Served>) -> Json<serde_json::Value> {
    Json(served.status.json())
}

async fn ledger(_access: Access, State(served): State<Served>) -> Json<serde_json::Value> {
    Json(served.status.ledger().json())
}

/// Health and metrics from the status.
#[derive(Clone)]
struct Reporter(Arc<Status>);

impl Report for Reporter {
    fn readiness(&self) -> Readiness {
        self.0.readiness()
    }

    fn metrics(&self, out: &mut Metrics) {
        self.0.metrics(out);
    }
}
