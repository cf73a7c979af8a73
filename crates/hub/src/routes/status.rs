//! `/status`: the hub, its watchers and its workers, for a person who wonders why something is not seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use axum::{Json, extract::State};
use serde_json::{Value, json};
use web::Access;

use super::Hub;
use crate::{fanout::Watcher, kubernetes::Place, printed, workers::Worker};

pub(super) async fn status(State(hub): State<Arc<Hub>>, _: Access) -> Json<Value> {
    let watchers: Vec<_> = hub.fanout.watchers(|watchers| watchers.values().cloned().collect());
    let counts = hub.fanout.counts();
    Json(json!({
        "access": { "auth": hub.auth.to_string(), "warning": hub.auth.warning() },
        "hub": {
            "address": hub.address.to_string(),
            "delivered": counts.taken,
            "lost": counts.lost,
            "started": printed(hub.started),
            "uptimeSeconds": seconds_since(hub.started),
            "version": env!("CARGO_PKG_VERSION"),
        },
        "kubernetes": hub.kubernetes.as_ref().map(|kubernetes| kubernetes.status()),
        "note": note(&hub),
        "watchers": watchers.iter().map(|each| watcher(each, &hub)).collect::<Vec<_>>(),
        "waiting": waiting(&hub),
        "workers": hub.fanout.workers().iter().map(|each| worker(each)).collect::<Vec<_>>(),
    }))
}

/// Why there may be nothing to see; empty if there is no reason.
fn note(hub: &Hub) -> String {
    let mut workers = hub.fanout.workers();
    workers.retain(|worker| worker.is_wanted());
    if let Some(note) = hub.kubernetes.as_ref().and_then(|kubernetes| kubernetes.note()) {
        return note + ".";
    }
    let present = workers.iter().filter(|worker| worker.is_connected()).count();
    let blind = workers.iter().find_map(|worker| {
        let tested = worker.state().tested?;
        let source = tested.sources.into_iter().find(|source| !source.seen)?;
        let why = source.why.unwrap_or_default();
        Some(format!("Worker {} does not see its own packets on {}: {why}.", worker.address, source.source))
    });
    match (workers.len(), present) {
        (0, _) if hub.kubernetes.is_some() => {
            "No pod of a worker is there, or has an address: see `waiting`.".into()
        }
        (0, _) => "No worker is known: start the hub with --workers host:port.".into(),
        (_, 0) => "No worker is connected; each says why.".into(),
        (all, present) if present < all => format!("Only {present} of {all} workers are connected."),
        _ => blind.unwrap_or_default(),
    }
}

/// Pods of workers that have no address yet.
fn waiting(hub: &Hub) -> Vec<Value> {
    let places = hub.kubernetes.as_ref().map(|kubernetes| kubernetes.waiting()).unwrap_or_default();
    places.iter().map(pod).collect()
}

fn pod(place: &Place) -> Value {
    json!({
        "name": place.pod, "node": place.node, "restarts": place.restarts, "trouble": place.trouble,
    })
}

fn watcher(watcher: &Watcher, hub: &Hub) -> Value {
    watcher.change(|queue| {
        let report = queue.report();
        json!({
            "delivered": report.taken,
            "historyEnded": report.past_seam,
            "id": watcher.id,
            "kfl": watcher.query.text.as_str(),
            "node": watcher.only.as_deref(),
            "lost": report.lost.iter().copied().collect::<BTreeMap<_, _>>(),
            "queue": {
                "bytes": report.bytes,
                "entries": report.entries,
                "limitBytes": hub.limits.queue_bytes,
                "limitEntries": hub.limits.queue_entries,
            },
            "shape": watcher.shape,
            "since": printed(watcher.since),
            "who": watcher.access.who(),
        })
    })
}

fn worker(worker: &Worker) -> Value {
    let (state, place) = (worker.state(), worker.place());
    let identity = state.identity.as_ref();
    let node = identity.map(|identity| &identity.node).or(place.as_ref().map(|place| &place.node));
    json!({
        "address": worker.address,
        "boot": identity.map(|identity| identity.boot),
        "connected": state.connected,
        "lastError": state.error,
        "gone": !worker.is_wanted(),
        "node": node,
        "pod": place.as_ref().map(pod),
        "received": worker.received.load(Relaxed),
        "selfTest": state.tested.map(|tested| json!({ "id": tested.id, "sources": tested.sources })),
        "repeated": worker.repeated.load(Relaxed),
        "since": printed(state.since),
        "status": state.status,
        "statusAgeSeconds": state.said.map(|said| said.elapsed().as_secs()),
        "worker": identity.map(|identity| &identity.worker),
    })
}

fn seconds_since(time: SystemTime) -> u64 {
    SystemTime::now().duration_since(time).unwrap_or(Duration::ZERO).as_secs()
}
