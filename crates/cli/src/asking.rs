//! Questions to a hub: one request, one answer.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1::handshake,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::exit::Failure;

/// How long a hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer, in bytes.
const MOST: usize = 64 << 20;

/// Where the hub is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Hub {
    /// The hub
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8899", env = "KUBESHARK_HUB")]
    pub(crate) hub: String,
}

/// Why there is no answer that helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody is there; it may be worth trying again.
    #[error("no hub answers at {0}: {1}. `kubeshark tap` starts one, --hub names another")]
    Away(String, String),
    /// It says no, and why.
    #[error("{message}")]
    Refused { status: u16, message: String },
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        Self::of(&error)
    }
}

impl Hub {
    /// Asks for `path`, with a body where there is one to send.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AskError> {
        let away = |why: String| AskError::Away(self.hub.clone(), why);
        let (status, answer) = timeout(PATIENCE, self.exchange(method, path, body))
            .await
            .map_err(|_| away(format!("not within {} seconds", PATIENCE.as_secs())))?
            .map_err(|error| away(error.to_string()))?;
        let answer: Value = serde_json::from_slice(&answer)
            .map_err(|_| away("what answers there is no hub, it does not speak JSON".to_owned()))?;
        if status == 200 {
            return Ok(answer);
        }
        let message = answer.get("msg").and_then(Value::as_str).unwrap_or("it does not say why").to_owned();
        Err(AskError::Refused { status, message })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(&self.hub).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(connection);
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.hub)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MOST).collect().await?.to_bytes();
        driving.abort();
        Ok((status, body))
    }
}
