//! `/scripts/logs`: a WebSocket of console lines, one a text, as they are written.
//!
//! First come the last hundred lines (`?tail=` asks for more or fewer), then what follows. Who reads too slowly loses
//! lines, and is told in a line how many.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        Query, State, WebSocketUpgrade,
        rejection::QueryRejection,
        ws::{Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::Response,
};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::{
    sync::Semaphore,
    time::{Instant, interval_at, timeout},
};
use web::{Access, Failure, Shutdown};

use crate::scripts::Scripts;

/// Lines that come first where nothing is said.
const TAIL: u64 = 100;

/// What a follower needs.
#[derive(Clone)]
pub(super) struct Following {
    scripts: Arc<Scripts>,
    shutdown: Shutdown,
    room: Arc<Semaphore>,
    settings: web::watch::Settings,
}

impl Following {
    pub(super) fn new(scripts: Arc<Scripts>, limits: &crate::Limits, shutdown: Shutdown) -> Self {
        let room = Arc::new(Semaphore::new(limits.console_sessions));
        Self { scripts, shutdown, room, settings: limits.sessions.clone() }
    }
}

#[derive(Deserialize)]
pub(super) struct Parameters {
    tail: Option<u64>,
}

pub(super) async fn follow(
    State(following): State<Following>,
    _: Access,
    parameters: Result<Query<Parameters>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let Query(Parameters { tail }) = parameters.map_err(|error| Failure::bad_request(error.body_text()))?;
    let upgrade = upgrade.map_err(|error| {
        let why = error.body_text();
        let message = format!(
            "This is a WebSocket; follow it with `kubeshark console` or `wscat --connect ws://…`. ({why})"
        );
        Failure::new(StatusCode::UPGRADE_REQUIRED, message)
    })?;
    let seat = Arc::clone(&following.room).try_acquire_owned().map_err(|_| {
        Failure::unavailable("As many as may follow the console do so already. Close one of them.")
    })?;
    Ok(upgrade.max_message_size(4096).on_upgrade(move |socket| async move {
        // An error says that the follower is gone, which ends it in any case.
        drop(following.serve(socket, tail.unwrap_or(TAIL)).await);
        drop(seat);
    }))
}

impl Following {
    async fn serve(mut self, socket: WebSocket, tail: u64) -> Result<(), axum::Error> {
        let (mut sink, mut stream) = socket.split();
        let (console, patience) = (&self.scripts.console, self.settings.write_timeout);
        let mut head = console.head();
        let mut next = console.beginning(tail);
        let every: Duration = self.settings.ping_interval;
        let mut ping = interval_at(Instant::now() + every, every);
        loop {
            // Seen before the console is read, so that what comes meanwhile wakes us.
            head.mark_unchanged();
            let read = console.read(next);
            next = read.next;
            let more = !read.texts.is_empty();
            let late = (read.missed > 0).then(|| {
                format!("[hub:ERROR] {} lines are lost: they were read too slowly", read.missed).into()
            });
            let writing = async {
                for line in late.into_iter().chain(read.texts) {
                    sink.feed(Message::Text(line)).await?;
                }
                sink.flush().await
            };
            match timeout(patience, writing).await {
                Ok(written) => written?,
                Err(_) => return Ok(()),
            }
            if more {
                continue;
            }
            tokio::select! {
                biased;
                () = self.shutdown.requested() => return sink.send(Message::Close(None)).await,
                message = stream.next() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                    Some(Ok(_)) => {}
                },
                _ = ping.tick() => sink.send(Message::Ping(Vec::new().into())).await?,
                // The sender lives as long as the hub.
                _ = head.changed() => {}
            }
        }
    }
}
