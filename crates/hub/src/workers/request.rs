//! A plain question to a worker: one GET on a connection of its own.

use std::time::Duration;

use axum::{
    body::Bytes,
    http::{StatusCode, header},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, Response, body::Incoming, client::conn::http1::handshake};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tracing::debug;

use super::{Worker, wire::WireError};
use crate::Limits;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be written: {0}")]
    Request(#[from] axum::http::Error),
    #[error("its answer broke off, or is too large: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// Asks the worker for `path_and_query`.
pub(crate) async fn get(
    worker: &Worker,
    path_and_query: &str,
    limits: &Limits,
) -> Result<(StatusCode, Bytes), RequestError> {
    let asking = ask(worker, path_and_query, limits);
    timeout(limits.answer_timeout, asking).await.map_err(|_| RequestError::TimedOut(limits.answer_timeout))?
}

/// Asks the worker for `path_and_query`, of which the answer may be long: only its head is waited for here.
pub(crate) async fn stream(
    worker: &Worker,
    path_and_query: &str,
    limits: &Limits,
) -> Result<Response<Incoming>, RequestError> {
    let asking = async {
        let stream = worker.dial(limits.connect_timeout).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the answer's body, or when nobody reads it any longer.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "A connection to a worker ended badly");
            }
        });
        Ok(sender.send_request(question(&worker.address, path_and_query)?).await?)
    };
    timeout(limits.answer_timeout, asking).await.map_err(|_| RequestError::TimedOut(limits.answer_timeout))?
}

fn question(address: &str, path_and_query: &str) -> Result<Request<Empty<Bytes>>, RequestError> {
    let request =
        Request::get(path_and_query).header(header::HOST, address).header(header::CONNECTION, "close");
    Ok(request.body(Empty::new())?)
}

async fn ask(
    worker: &Worker,
    path_and_query: &str,
    limits: &Limits,
) -> Result<(StatusCode, Bytes), RequestError> {
    let stream = worker.dial(limits.connect_timeout).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let request = question(&worker.address, path_and_query)?;
    let asking = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), limits.message_bytes)
            .collect()
            .await
            .map_err(RequestError::Body)?;
        Ok((status, body.to_bytes()))
    };
    // The connection is driven here, beside the question, and ends with it.
    let driving = async {
        if let Err(error) = connection.await {
            debug!(%error, "A connection to a worker ended badly");
        }
        std::future::pending().await
    };
    tokio::select! {
        answer = asking => answer,
        never = driving => never,
    }
}
