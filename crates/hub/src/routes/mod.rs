//! What the hub answers. Every route is served as `/x` and, as behind the original's web server, as `/api/x`.

mod about;
mod complete;
mod item;
mod jobs;
mod ledger;
mod logs;
mod pcaps;
mod pods;
mod scripts;
mod status;
mod validate;

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use web::{Door, Hosts, Shutdown};

use crate::{
    Auth, Limits,
    fanout::{Entries, Fanout},
    kubernetes::Kubernetes,
    metrics::Health,
    scripts::Scripts,
    workers::Dialer,
};

/// A script as JSON is longer than the script, at worst six times.
const ESCAPED: usize = 6;

/// What handlers see of the hub.
pub(crate) struct Hub {
    pub(crate) auth: Auth,
    pub(crate) fanout: Arc<Fanout>,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) address: SocketAddr,
    pub(crate) started: SystemTime,
    pub(crate) limits: Limits,
    /// Where it watches a cluster.
    pub(crate) kubernetes: Option<Arc<Kubernetes>>,
    pub(crate) dialer: Arc<Dialer>,
}

/// All routes, behind the access check.
pub(crate) fn router(hub: Hub, hosts: Hosts, door: Door, shutdown: Shutdown) -> Router {
    let hub = Arc::new(hub);
    let following = logs::Following::new(Arc::clone(&hub.scripts), &hub.limits, shutdown.clone());
    let following = Router::new().route("/scripts/logs", get(logs::follow)).with_state(following);
    let entries = Entries::of_all(Arc::clone(&hub.fanout));
    let watching = web::watch::routes_of_parts(entries, "workers", hub.limits.sessions.clone(), shutdown);
    let body = ESCAPED * hub.limits.script_bytes.max(hub.limits.env_bytes);
    let traffic = Router::new()
        .route("/echo", get(about::echo))
        .route("/item/{worker}/{id}", get(item::item))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{command}", post(jobs::command))
        .route("/ledger", get(ledger::ledger))
        .route("/metadata/version", get(about::version))
        .route("/pcaps/download/{worker}/{stream}", get(pcaps::download))
        .route("/pods/regex", get(pods::rule).post(pods::set_rule).put(pods::set_rule))
        .route("/pods/targeted", get(pods::targeted))
        .route("/pods/targetted", get(pods::targeted))
        .route("/pods/worker", get(pods::workers).post(pods::post_worker))
        .route("/query/complete", get(complete::complete))
        .route("/query/validate", get(validate::validate))
        .route("/scripts", get(scripts::list).post(scripts::add))
        .route("/scripts/done", post(scripts::done))
        .route("/scripts/env", get(scripts::names).post(scripts::set_env))
        .route("/scripts/{index}", get(scripts::get).put(scripts::edit).delete(scripts::remove))
        .route("/status", get(status::status))
        .layer(DefaultBodyLimit::max(body))
        .with_state(Arc::clone(&hub))
        .merge(watching)
        .merge(following);
    let front = Router::new().route("/", get(about::front)).with_state(Arc::clone(&hub));
    let open = web::health::routes(Health(hub));
    web::protect(twice(&traffic).merge(front), twice(&open), hosts, door)
}

fn twice(routes: &Router) -> Router {
    routes.clone().nest("/api", routes.clone())
}
