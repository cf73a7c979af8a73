//! Bytes to a worker and back: plain, or TLS where hub and workers have keys.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::Worker;

/// A connection.
pub(crate) type Wire = Box<dyn Stream>;

/// What a connection can do.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("cannot connect within {0:?}")]
    Unreachable(Duration),
    #[error("there is no TLS with it: {0}; its keys and the hub's must be of one release")]
    Tls(io::Error),
}

impl Worker {
    /// Dials. The time is that for TCP alone: it would itself wait longer and longer for an answer, and be late when the
    /// way there is open again.
    pub(super) async fn dial(&self, patience: Duration) -> Result<Wire, WireError> {
        let stream = timeout(patience, TcpStream::connect(&self.address))
            .await
            .map_err(|_| WireError::Unreachable(patience))?
            .map_err(WireError::Connect)?;
        stream.set_nodelay(true).map_err(WireError::Connect)?;
        match &self.keys {
            Some(keys) => Ok(Box::new(keys.dial(stream).await.map_err(WireError::Tls)?)),
            None => Ok(Box::new(stream)),
        }
    }
}
