//! `/pcaps/…`: packets as files, cut out of the packet store when asked.

use std::{io, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State, rejection::JsonRejection},
    http::{
        StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::spawn_blocking,
};
use web::{Access, Failure};

use super::Served;
use crate::{Packets, PacketsError, What};

/// Files that are made at a time; each holds a thread.
pub(super) const AT_ONCE: usize = 8;
/// Pieces made ahead of who reads them.
const PIECES: usize = 4;
/// Streams of one merge.
const MAX_STREAMS: usize = 100_000;

/// `/pcaps/download/{stream}`: the packets of a stream that are held.
pub(super) async fn download(
    _access: Access,
    State(served): State<Served>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let stream = name.parse::<api::Stream>().map_err(|error| Failure::bad_request(error.to_string()))?;
    let (packets, permit) = store(&served).await?;
    let download = blocking(move || packets.download(stream)).await?;
    Ok(attachment(&stream.to_string(), body(download, permit)))
}

/// What to merge.
#[derive(Deserialize)]
pub(super) struct Merge {
    /// Empty: all packets. It is not looked at otherwise: who asks names the streams that it shows.
    query: String,
    #[serde(default)]
    pcaps: Vec<String>,
}

/// `POST /pcaps/merge`: the packets of many streams, or all, in the order of their times.
pub(super) async fn merge(
    _access: Access,
    State(served): State<Served>,
    request: Result<Json<Merge>, JsonRejection>,
) -> Result<Response, Failure> {
    let Json(Merge { query, pcaps }) = request.map_err(|error| Failure::bad_request(error.body_text()))?;
    if pcaps.len() > MAX_STREAMS {
        return Err(Failure::bad_request(format!(
            "{} streams are too many: {MAX_STREAMS} at most",
            pcaps.len()
        )));
    }
    let streams = pcaps.iter().map(|name| name.parse()).collect::<Result<Vec<api::Stream>, _>>();
    let streams = streams.map_err(|error| Failure::bad_request(error.to_string()))?;
    let (packets, permit) = store(&served).await?;
    let (snapshot, file) = blocking(move || {
        let what = if query.trim().is_empty() { What::All } else { What::Streams(&streams) };
        let snapshot = packets.snapshot(what)?;
        let file = packets.files().read(&snapshot.path)?;
        // What is open can still be read.
        packets.remove(&snapshot.path)?;
        Ok((snapshot, file))
    })
    .await?;
    Ok(attachment(&snapshot.path, body(Pieces(file), permit)))
}

/// `/pcaps/name-resolution-history`
pub(super) async fn names(_access: Access, State(served): State<Served>) -> Response {
    ([(CONTENT_TYPE, "application/json")], served.history.json()).into_response()
}

/// The packet store, and the right to read from it.
async fn store(served: &Served) -> Result<(Packets, OwnedSemaphorePermit), Failure> {
    let packets = served.packets.clone().ok_or_else(|| {
        Failure::unavailable(
            "this worker keeps no packets: start it with --data-dir and without --packets-mib 0",
        )
    })?;
    let permit = Arc::clone(&served.exports).acquire_owned().await;
    Ok((packets, permit.map_err(|_| Failure::unavailable("the worker is ending"))?))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PacketsError> + Send + 'static,
) -> Result<T, Failure> {
    let done = spawn_blocking(work).await.map_err(|error| Failure::unavailable(error.to_string()))?;
    done.map_err(|error| match error {
        PacketsError::Gone(_) | PacketsError::Nothing => Failure::not_found(error.to_string()),
        PacketsError::Busy | PacketsError::Ended => Failure::unavailable(error.to_string()),
        PacketsError::File(_) | PacketsError::Disk(_) => {
            Failure::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
        }
    })
}

/// A body whose pieces are made on a thread, a few ahead of who reads them.
fn body(
    pieces: impl Iterator<Item = io::Result<Vec<u8>>> + Send + 'static,
    permit: OwnedSemaphorePermit,
) -> Body {
    let (sender, receiver) = mpsc::channel(PIECES);
    spawn_blocking(move || {
        let _permit = permit;
        for piece in pieces {
            let failed = piece.is_err();
            // Who reads may have gone.
            if sender.blocking_send(piece.map(Bytes::from)).is_err() || failed {
                return;
            }
        }
    });
    Body::from_stream(stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    }))
}

struct Pieces(std::fs::File);

impl Iterator for Pieces {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        use io::Read;
        let mut piece = vec![0; 256 << 10];
        match self.0.read(&mut piece) {
            Ok(0) => None,
            Ok(n) => {
                piece.truncate(n);
                Some(Ok(piece))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn attachment(name: &str, body: Body) -> Response {
    let disposition = format!("attachment; filename={name}");
    let headers =
        [(CONTENT_TYPE, "application/vnd.tcpdump.pcap".to_owned()), (CONTENT_DISPOSITION, disposition)];
    (headers, body).into_response()
}
