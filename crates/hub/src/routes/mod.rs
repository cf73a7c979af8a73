//! What the hub answers. Every route is served as `/x` and, as behind the original's web server, as `/api/x`.

mod about;
mod complete;
mod item;
mod ledger;
mod status;
mod validate;

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use axum::{Router, routing::get};
use web::{Hosts, Shutdown};

use crate::{
    Limits,
    fanout::{Entries, Fanout},
    metrics::Health,
};

/// What handlers see of the hub.
pub(crate) struct Hub {
    pub(crate) fanout: Arc<Fanout>,
    pub(crate) address: SocketAddr,
    pub(crate) started: SystemTime,
    pub(crate) limits: Limits,
}

/// All routes, behind the access check.
pub(crate) fn router(hub: Hub, hosts: Hosts, shutdown: Shutdown) -> Router {
    let hub = Arc::new(hub);
    let watching =
        web::watch::routes(Entries(Arc::clone(&hub.fanout)), hub.limits.sessions.clone(), shutdown);
    let traffic = Router::new()
        .route("/echo", get(about::echo))
        .route("/item/{worker}/{id}", get(item::item))
        .route("/ledger", get(ledger::ledger))
        .route("/metadata/version", get(about::version))
        .route("/query/complete", get(complete::complete))
        .route("/query/validate", get(validate::validate))
        .route("/status", get(status::status))
        .with_state(Arc::clone(&hub))
        .merge(watching);
    let front = Router::new().route("/", get(about::front)).with_state(Arc::clone(&hub));
    let open = web::health::routes(Health(hub));
    web::protect(twice(&traffic).merge(front), twice(&open), hosts)
}

fn twice(routes: &Router) -> Router {
    routes.clone().nest("/api", routes.clone())
}
