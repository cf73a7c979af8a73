//! `/jobs…`: what scripts have scheduled, over all workers.

use std::{collections::BTreeSet, sync::Arc};

use api::messages::{JobCommand, ToWorker};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
};
use serde::Deserialize;
use serde_json::{Value, json};
use web::{Access, Failure};

use super::{Hub, scripts::parse};

pub(super) async fn list(State(hub): State<Arc<Hub>>, _: Access) -> Json<Value> {
    let mut jobs = Vec::new();
    for worker in hub.fanout.workers() {
        let state = worker.state();
        let node = state.identity.map(|identity| identity.node);
        for job in state.jobs {
            jobs.push(json!({
                "cron": job.cron,
                "failed": job.failed,
                "lastRun": job.last_run,
                "limit": job.limit,
                "nextRun": job.next_run,
                "node": node,
                "runs": job.runs,
                "script": job.script,
                "status": job.status,
                "tag": job.tag,
                "worker": worker.address,
            }));
        }
    }
    Json(Value::Array(jobs))
}

/// Whose jobs; everybody's and all where nothing is said.
#[derive(Default, Deserialize)]
struct Which {
    tag: Option<String>,
    worker: Option<String>,
}

/// Passed on to the workers that have such a job; what came of it is seen in the list.
pub(super) async fn command(
    State(hub): State<Arc<Hub>>,
    _: Access,
    Path(command): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Failure> {
    let command = match &*command {
        "run" => JobCommand::Run,
        "remove" => JobCommand::Remove,
        "start" => JobCommand::Start,
        "stop" => JobCommand::Stop,
        other => {
            let message = format!("Jobs cannot {other:?}; there are run, remove, start, stop.");
            return Err(Failure::not_found(message));
        }
    };
    let Which { tag, worker } = match body {
        Ok(body) if body.iter().all(u8::is_ascii_whitespace) => Which::default(),
        body => parse(body, "{\"tag\": \"…\", \"worker\": \"host:port\"}")?,
    };
    let workers = hub.fanout.workers();
    if let Some(name) = worker.as_deref().filter(|name| !workers.iter().any(|worker| worker.is_called(name)))
    {
        let known: Vec<_> = workers.iter().map(|worker| &*worker.address).collect();
        return Err(Failure::not_found(format!(
            "There is no worker {name:?}; known are [{}].",
            known.join(", ")
        )));
    }
    let asked = workers.iter().filter(|each| worker.as_deref().is_none_or(|name| each.is_called(name)));
    let mut tags = BTreeSet::new();
    let mut told = Vec::new();
    for each in asked {
        let jobs = each.state().jobs;
        let has = tag.as_ref().is_none_or(|tag| jobs.iter().any(|job| job.tag == *tag));
        tags.extend(jobs.into_iter().map(|job| job.tag));
        if has && each.command(ToWorker::Jobs { command, tag: tag.clone() }) {
            told.push(each.address.clone());
        }
    }
    match tag {
        Some(tag) if told.is_empty() => {
            let tags = tags.into_iter().collect::<Vec<_>>().join(", ");
            Err(Failure::not_found(format!("No connected worker has a job {tag:?}; there are [{tags}].")))
        }
        None if told.is_empty() => Err(Failure::unavailable("No worker is connected.")),
        _ => Ok(Json(json!({ "workers": told }))),
    }
}
