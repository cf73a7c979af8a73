//! One client and its WebSocket, from the first filter to the close.

use std::{
    error::Error,
    future::pending,
    sync::Arc,
    time::{Duration, SystemTime},
};

use api::messages::Shape;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::{FutureExt, SinkExt};
use kfl::Language;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite;
use tracing::debug;

use super::{Feed, Item, Query, Settings, Source, notices::Notices};
use crate::{Access, Shutdown};

/// Entries in one batch, which is written without a flush between them.
const BATCH_ENTRIES: usize = 64;
/// Bytes after which a batch is flushed whatever its entries.
const BATCH_BYTES: usize = 256 * 1024;
/// Longest reason of a close frame: RFC 6455 §5.5 leaves 125 bytes, two of them for the code.
const REASON_BYTES: usize = 123;
/// How long the client may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A client's session.
///
/// ```text
///             a filter                    limit, shutdown, bad KFL
///   Waiting ───────────▶ Watching ──────────────────────────▶ closed
///                        │      ▲
///                        └──────┘ another filter
/// ```
pub(super) struct Session<S: Source> {
    socket: WebSocket,
    source: S,
    access: Access,
    asked: Asked,
    settings: Settings,
    /// `None` until there is a filter.
    watch: Option<Watch<S::Feed>>,
    notices: Notices,
    unanswered_pings: u32,
    /// What the client says cannot be read any more.
    deaf: bool,
}

/// What a client asked for when it connected.
pub(super) struct Asked {
    /// The form of the entries.
    pub(super) shape: Shape,
    /// Whether it wants notices.
    pub(super) events: bool,
    /// The spelling of its filters.
    pub(super) language: Language,
}

/// A filter at work.
struct Watch<F> {
    feed: F,
    /// Entries still to be sent; `None` without a limit.
    left: Option<u64>,
}

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
enum End {
    /// We close, with this code and reason.
    #[error("closed with {0}: {1}")]
    Close(u16, String),
    /// The client has, or cannot be reached.
    #[error("{0}")]
    Gone(&'static str),
}

/// What happens next.
enum Event {
    Message(Option<Result<Message, axum::Error>>),
    Item(Item),
    Ping,
    Notices,
    Shutdown,
}

impl<S: Source> Session<S> {
    pub(super) fn new(
        socket: WebSocket,
        source: S,
        access: Access,
        asked: Asked,
        settings: Settings,
    ) -> Self {
        let (watch, notices, unanswered_pings, deaf) = (None, Notices::default(), 0, false);
        Self { socket, source, access, asked, settings, watch, notices, unanswered_pings, deaf }
    }

    /// Runs the session to its end.
    pub(super) async fn run(mut self, first: Option<Utf8Bytes>, mut shutdown: Shutdown) {
        let end = match self.converse(first, &mut shutdown).await {
            Err(End::Close(code, reason)) => self.close(code, reason).await,
            Err(gone) => gone,
            Ok(never) => match never {},
        };
        debug!(reason = %end, "A watcher's session ended");
    }

    async fn converse(
        &mut self,
        first: Option<Utf8Bytes>,
        shutdown: &mut Shutdown,
    ) -> Result<std::convert::Infallible, End> {
        if let Some(text) = first {
            self.open(text)?;
        }
        let mut ping = interval_at(Instant::now() + self.settings.ping_interval, self.settings.ping_interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                () = shutdown.requested() => Event::Shutdown,
                message = self.socket.recv() => Event::Message(message),
                item = next(self.watch.as_mut()) => Event::Item(item),
                _ = ping.tick() => Event::Ping,
                () = self.notices.due() => Event::Notices,
            };
            // A client that does not read must not hold up the end of the process.
            tokio::select! {
                done = self.handle(event) => done?,
                () = shutdown.requested() => return Err(End::shutdown()),
            }
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Message(message) => self.receive(message).await,
            Event::Item(item) => self.deliver(item).await,
            Event::Ping => self.ping().await,
            Event::Notices => self.tell().await,
            Event::Shutdown => Err(End::shutdown()),
        }
    }

    async fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        // Whatever it says, the client is there.
        self.unanswered_pings = 0;
        match message {
            Some(Ok(Message::Text(text))) => {
                self.tell().await?;
                self.open(text)
            }
            Some(Ok(Message::Binary(_))) => {
                Err(End::Close(close_code::UNSUPPORTED, "send the filter as text".into()))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Close(_))) | None => Err(End::Gone("the client closed")),
            Some(Err(error)) if is_too_long(&error) => {
                self.deaf = true;
                Err(self.too_long())
            }
            Some(Err(_)) => Err(End::Gone("the client broke off")),
        }
    }

    /// Begins to watch what `text` selects, instead of anything before it.
    fn open(&mut self, text: Utf8Bytes) -> Result<(), End> {
        if text.len() > self.settings.query_bytes {
            return Err(self.too_long());
        }
        let now = now();
        let options = kfl::Options { language: self.asked.language, ..api::options(now) };
        let filter = kfl::Filter::new(&text, &options)
            .map_err(|error| End::Close(close_code::POLICY, format!("bad KFL: {error}")))?;
        // Whoever reads it again reads it in the same spelling.
        let query = Query { text, now, language: filter.language() };
        let left = filter.limit();
        // The old feed goes first, so that a client never holds two.
        self.watch = None;
        let feed = self.source.open(Arc::new(filter), &query, self.asked.shape, &self.access);
        self.watch = Some(Watch { feed, left });
        Ok(())
    }

    fn too_long(&self) -> End {
        let reason = format!("a filter may have at most {} bytes", self.settings.query_bytes);
        End::Close(close_code::SIZE, reason)
    }

    /// Sends `first` and whatever else is ready, as one batch.
    async fn deliver(&mut self, first: Item) -> Result<(), End> {
        let Self { socket, watch: Some(watch), notices, .. } = self else { return Ok(()) };
        let batch = async {
            let (mut entries, mut bytes, mut next, mut over) = (0, 0, Some(first), false);
            while let Some(item) = next {
                match item {
                    Item::Entry(text) => {
                        entries += 1;
                        bytes += text.len();
                        socket.feed(Message::Text(text)).await?;
                        watch.left = watch.left.map(|left| left.saturating_sub(1));
                        over = watch.left == Some(0);
                    }
                    Item::Lost { n, why } if self.asked.events => notices.lost(n, why),
                    Item::HistoryEnd if self.asked.events => {
                        socket.feed(Message::Text(r#"{"event":"historyEnd"}"#.into())).await?;
                    }
                    Item::Lost { .. } | Item::HistoryEnd => {}
                    Item::End => over = true,
                }
                let full = entries == BATCH_ENTRIES || bytes >= BATCH_BYTES;
                next = if over || full { None } else { watch.feed.next().now_or_never() };
            }
            socket.flush().await?;
            Ok(over)
        };
        if written(timeout(self.settings.write_timeout, batch).await)? {
            return Err(End::Close(close_code::NORMAL, "that was all".into()));
        }
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.unanswered_pings >= self.settings.unanswered_pings {
            return Err(End::Gone("the client answered no ping"));
        }
        self.unanswered_pings += 1;
        self.send([Message::Ping(Vec::new().into())]).await
    }

    /// Tells what was lost, if the client wants to know.
    async fn tell(&mut self) -> Result<(), End> {
        let texts = self.notices.take();
        self.send(texts.into_iter().map(|text| Message::Text(text.into()))).await
    }

    async fn send(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), End> {
        let writing = async {
            for message in messages {
                self.socket.feed(message).await?;
            }
            self.socket.flush().await
        };
        written(timeout(self.settings.write_timeout, writing).await)
    }

    /// Says good-bye and waits until the client has heard it: to go at once could lose what is still on its way.
    async fn close(&mut self, code: u16, mut reason: String) -> End {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES));
        let frame = CloseFrame { code, reason: reason.as_str().into() };
        let parting = async {
            self.tell().await?;
            self.send([Message::Close(Some(frame))]).await?;
            while let Some(Ok(_)) = self.socket.recv().await {}
            if self.deaf {
                // It cannot be heard to answer; to go at once would take back what it was just told.
                pending::<()>().await;
            }
            Ok(())
        };
        match timeout(CLOSE_TIMEOUT, parting).await {
            Ok(Err(end)) => end,
            Ok(Ok(())) | Err(_) => End::Close(code, reason),
        }
    }
}

impl End {
    fn shutdown() -> Self {
        Self::Close(close_code::AWAY, "the server is shutting down".into())
    }
}

/// Whether a message was longer than anything that is read.
fn is_too_long(error: &axum::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(tungstenite::Error::Capacity(_)))
}

/// What came of writing within a time-out.
fn written<T>(result: Result<Result<T, axum::Error>, tokio::time::error::Elapsed>) -> Result<T, End> {
    match result {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(End::Gone("the client broke off")),
        Err(_) => Err(End::Gone("the client stopped reading")),
    }
}

async fn next<F: Feed>(watch: Option<&mut Watch<F>>) -> Item {
    match watch {
        Some(watch) => watch.feed.next().await,
        None => pending().await,
    }
}

/// Milliseconds since the Unix epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
