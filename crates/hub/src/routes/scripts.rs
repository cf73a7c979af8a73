//! `/scripts…`: what the workers are to run, and what it runs with.

use std::{collections::BTreeMap, sync::Arc};

use api::messages::Env;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::StatusCode,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use web::{Access, Failure};

use super::Hub;
use crate::scripts::{Edit, Kept, Order, ScriptError, Scripts};

/// What of a script may be sent; other keys are passed over.
#[derive(Deserialize)]
pub(super) struct Sent {
    title: Option<String>,
    code: Option<String>,
    active: Option<bool>,
}

pub(super) async fn list(State(hub): State<Arc<Hub>>, _: Access) -> Json<Value> {
    let scripts = hub.scripts.list();
    Json(scripts.iter().map(|(&index, kept)| one(&hub, index, kept)).collect())
}

pub(super) async fn get(
    State(hub): State<Arc<Hub>>,
    _: Access,
    Path(index): Path<String>,
) -> Result<Json<Value>, Failure> {
    let (index, scripts) = (number(&index)?, hub.scripts.list());
    let kept = scripts.get(&index).ok_or_else(|| {
        let known = scripts.keys().map(u32::to_string).collect::<Vec<_>>().join(", ");
        Failure::from(ScriptError::Unknown { index, known })
    })?;
    Ok(Json(one(&hub, index, kept)))
}

pub(super) async fn add(
    State(hub): State<Arc<Hub>>,
    _: Access,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Failure> {
    let Sent { title, code, active } = parse(body, "{\"title\": \"…\", \"code\": \"…\"}")?;
    let code = code.ok_or_else(|| {
        Failure::bad_request("A script needs `code`; send {\"title\": \"…\", \"code\": \"…\"}.")
    })?;
    let index = order(hub, Order::Add { title, code, active: active.unwrap_or(true) }).await?;
    Ok(Json(json!({ "index": index })))
}

pub(super) async fn edit(
    State(hub): State<Arc<Hub>>,
    _: Access,
    Path(index): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Failure> {
    let index = number(&index)?;
    let Sent { title, code, active } = parse(body, "{\"code\": \"…\"} or {\"active\": false}")?;
    order(hub, Order::Edit(index, Edit { title, code, active })).await?;
    Ok(Json(json!({ "index": index })))
}

pub(super) async fn remove(
    State(hub): State<Arc<Hub>>,
    _: Access,
    Path(index): Path<String>,
) -> Result<Json<Value>, Failure> {
    let index = number(&index)?;
    order(hub, Order::Remove(index)).await?;
    Ok(Json(json!({ "index": index })))
}

/// Names only: who may see traffic need not see the keys of a bucket.
pub(super) async fn names(State(hub): State<Arc<Hub>>, _: Access) -> Json<Value> {
    Json(json!({ "names": hub.scripts.names() }))
}

pub(super) async fn set_env(
    State(hub): State<Arc<Hub>>,
    _: Access,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Failure> {
    let env: Env = parse(body, "{\"NAME\": \"value\"}")?;
    if let Some(kubernetes) = hub.kubernetes.as_ref().filter(|kubernetes| kubernetes.keeps_env()) {
        hub.scripts.check_env(&env)?;
        kubernetes.keep_env(&env).await?;
    }
    hub.scripts.set_env(env)?;
    Ok(Json(json!({ "names": hub.scripts.names() })))
}

/// The original's command line says here that it has sent all. Scripts run as soon as they are there, so there is
/// nothing left to do.
pub(super) async fn done(State(hub): State<Arc<Hub>>, _: Access) -> Json<Value> {
    Json(json!({ "scripts": hub.scripts.list().len() }))
}

/// Does what a request wants of scripts. Where a release keeps them, that is changed first: who is answered knows that it
/// is kept.
async fn order(hub: Arc<Hub>, order: Order) -> Result<u32, Failure> {
    let Some(kubernetes) = hub.kubernetes.clone().filter(|kubernetes| kubernetes.keeps_scripts()) else {
        return waiting(hub, move |scripts| scripts.order(order)).await;
    };
    let checked = order.clone();
    waiting(Arc::clone(&hub), move |scripts| scripts.check_order(&checked)).await?;
    let (index, released) = kubernetes.keep_scripts(&hub.scripts, &order).await?;
    waiting(hub, move |scripts| {
        scripts.release(released);
        Ok(index)
    })
    .await
}

/// Runs what waits for the parser.
async fn waiting<T: Send + 'static>(
    hub: Arc<Hub>,
    work: impl FnOnce(&Scripts) -> Result<T, ScriptError> + Send + 'static,
) -> Result<T, Failure> {
    let worked = tokio::task::spawn_blocking(move || work(&hub.scripts)).await;
    let worked =
        worked.map_err(|panic| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, panic.to_string()))?;
    worked.map_err(Failure::from)
}

fn one(hub: &Hub, index: u32, kept: &Kept) -> Value {
    let on = |worker: &Arc<crate::workers::Worker>| {
        let state = worker.state();
        let mut fares = json!({
            "connected": state.connected,
            "node": state.identity.map(|identity| identity.node),
            "worker": worker.address,
        });
        let known = state.scripts.iter().find(|state| state.index == index);
        let known: BTreeMap<String, Value> = known
            .and_then(|state| serde_json::from_value(serde_json::to_value(state).ok()?).ok())
            .unwrap_or_default();
        for (key, value) in known.into_iter().filter(|(key, _)| key != "index") {
            fares[key] = value;
        }
        fares
    };
    json!({
        "active": kept.active,
        "code": kept.code,
        "error": kept.error,
        "index": index,
        "path": kept.path,
        "title": kept.title,
        "workers": hub.fanout.workers().iter().map(on).collect::<Vec<_>>(),
    })
}

fn number(index: &str) -> Result<u32, Failure> {
    index.parse().map_err(|_| Failure::bad_request(format!("{index:?} is not the number of a script.")))
}

/// Reads a body as JSON; `like` is what it should look like.
pub(super) fn parse<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
    like: &str,
) -> Result<T, Failure> {
    let body = body.map_err(|error| Failure::new(error.status(), error.body_text()))?;
    serde_json::from_slice(&body).map_err(|error| {
        Failure::bad_request(format!("The body is not what is wanted here, JSON like {like}: {error}."))
    })
}

impl From<ScriptError> for Failure {
    fn from(error: ScriptError) -> Self {
        let status = match error {
            ScriptError::Unknown { .. } => StatusCode::NOT_FOUND,
            ScriptError::Syntax(_) => StatusCode::BAD_REQUEST,
            ScriptError::TooMany(_) => StatusCode::CONFLICT,
            ScriptError::TooLarge { .. }
            | ScriptError::AllTooLarge { .. }
            | ScriptError::EnvTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        };
        let mut text = error.to_string();
        // Our errors begin small and have no full stop; what is answered is a sentence.
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Failure::new(status, text + ".")
    }
}
