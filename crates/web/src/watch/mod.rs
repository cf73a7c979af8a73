//! `/ws` and `/wsFull`: a client sends a filter and watches entries, over a WebSocket.
//!
//! ```text
//!   client                                      server
//!     │ ── GET /wsFull[?q=KFL][&lang=v2] ─────▶ │   also events=1
//!     │ ── text: KFL (if there was no q) ─────▶ │   a bad one closes with 1008 and a reason that quotes the error
//!     │ ◀────────────── text: entry, entry, … ─ │   what is stored, oldest first; then what comes
//!     │ ── text: KFL ─────────────────────────▶ │   replaces the filter; everything begins anew
//!     │ ◀── text: {"event":"lost","n":3,…} ──── │   only with events=1; so is {"event":"historyEnd"}
//!     │ ◀───────────────────────────── close ── │   1000 limit reached · 1001 shutdown · 1003 not text
//!     │                                         │   1008 bad KFL · 1009 too long
//! ```

mod notices;
mod session;

use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};

use api::messages::Shape;
use axum::{
    Router,
    extract::{
        self, Path, State, WebSocketUpgrade,
        rejection::QueryRejection,
        ws::{Utf8Bytes, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::Response,
    routing::get,
};
use kfl::Language;
use serde::Deserialize;
use tokio::sync::Semaphore;

use self::session::{Asked, Session};
use crate::{Access, Failure, Shutdown};

/// What a feed gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An entry that matches, as JSON text: sent as it is.
    Entry(Utf8Bytes),
    /// Entries that match and will never come.
    Lost {
        /// How many.
        n: u64,
        /// Why, in words for a person.
        why: Cow<'static, str>,
    },
    /// What was stored is sent; what follows is live.
    HistoryEnd,
    /// There is no more.
    End,
}

/// The entries of one query, as they come.
pub trait Feed: Send {
    /// The next item, whenever there is one. Cancel-safe: a future that is dropped before it is ready takes nothing.
    fn next(&mut self) -> impl Future<Output = Item> + Send;
}

/// Where entries come from.
pub trait Source: Clone + Send + Sync + 'static {
    /// What it opens for a query.
    type Feed: Feed;

    /// Begins anew: all that is stored and matches, oldest first, then all that comes. `filter` is `query`, compiled.
    fn open(&self, filter: Arc<kfl::Filter>, query: &Query, shape: Shape, access: &Access) -> Self::Feed;
}

/// A source of several parts that can be watched alone.
pub trait Parted: Source {
    /// The part of this name; 404 where there is none.
    fn part(&self, name: &str) -> Result<Self, Failure>;
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The filter as it was typed.
    pub text: Utf8Bytes,
    /// What `now()` means in it: milliseconds since the Unix epoch.
    pub now: i64,
    /// The spelling that it was read in.
    pub language: Language,
}

/// Bounds of the sessions of one server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most sessions at a time; more are refused with 503.
    pub sessions: usize,
    /// How long the client may take to receive one batch (at most 64 entries) before the session ends.
    pub write_timeout: Duration,
    /// How often the client is pinged.
    pub ping_interval: Duration,
    /// Pings that may stay unanswered; at the next one the session ends.
    pub unanswered_pings: u32,
    /// Longest filter, in bytes.
    pub query_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sessions: 256,
            // A client that pauses for half a minute is slow, not gone.
            write_timeout: Duration::from_mins(1),
            ping_interval: Duration::from_secs(30),
            unanswered_pings: 3,
            query_bytes: 64 * 1024,
        }
    }
}

/// So much more than the longest filter is read of a message, and refused: a client that sends a little too much gets an
/// orderly close.
const READ_FACTOR: usize = 4;

/// `/ws` (base entries) and `/wsFull` (full entries).
pub fn routes<S: Source>(source: S, settings: Settings, shutdown: Shutdown) -> Router {
    whole(&Watching::new(source, settings, shutdown))
}

/// The same, and `/PLACE/{part}/ws` and `/PLACE/{part}/wsFull` for a part of it. Together they have room for as many
/// sessions as the whole alone would have.
pub fn routes_of_parts<S: Parted>(source: S, place: &str, settings: Settings, shutdown: Shutdown) -> Router {
    let watching = Watching::new(source, settings, shutdown);
    Router::new()
        .route(&format!("/{place}/{{part}}/ws"), get(watch_part::<S, { Shape::Base as u8 }>))
        .route(&format!("/{place}/{{part}}/wsFull"), get(watch_part::<S, { Shape::Full as u8 }>))
        .with_state(watching.clone())
        .merge(whole(&watching))
}

fn whole<S: Source>(watching: &Watching<S>) -> Router {
    Router::new()
        .route("/ws", get(watch::<S, { Shape::Base as u8 }>))
        .route("/wsFull", get(watch::<S, { Shape::Full as u8 }>))
        .with_state(watching.clone())
}

/// What every session needs.
#[derive(Clone)]
struct Watching<S> {
    source: S,
    settings: Settings,
    shutdown: Shutdown,
    room: Arc<Semaphore>,
}

impl<S> Watching<S> {
    fn new(source: S, settings: Settings, shutdown: Shutdown) -> Self {
        let room = Arc::new(Semaphore::new(settings.sessions));
        Self { source, settings, shutdown, room }
    }
}

#[derive(Deserialize)]
struct Parameters {
    q: Option<String>,
    #[serde(default)]
    events: String,
    /// The spelling of every filter of the session.
    #[serde(default)]
    lang: Language,
}

async fn watch_part<S: Parted, const SHAPE: u8>(
    State(watching): State<Watching<S>>,
    Path(part): Path<String>,
    access: Access,
    parameters: Result<extract::Query<Parameters>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let source = watching.source.part(&part)?;
    watch::<S, SHAPE>(State(Watching { source, ..watching }), access, parameters, upgrade).await
}

async fn watch<S: Source, const SHAPE: u8>(
    State(watching): State<Watching<S>>,
    access: Access,
    parameters: Result<extract::Query<Parameters>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let extract::Query(parameters) = parameters.map_err(|error| Failure::bad_request(error.body_text()))?;
    let upgrade = upgrade.map_err(|error| {
        Failure::new(
            StatusCode::UPGRADE_REQUIRED,
            format!("This is a WebSocket; connect with `wscat --connect ws://…`. ({})", error.body_text()),
        )
    })?;
    let Watching { source, settings, shutdown, room } = watching;
    let seat = room.try_acquire_owned().map_err(|_| {
        Failure::unavailable(format!(
            "{} sessions are open, which is the most. Close one.",
            settings.sessions
        ))
    })?;
    let asked = Asked {
        shape: if SHAPE == Shape::Base as u8 { Shape::Base } else { Shape::Full },
        events: matches!(&*parameters.events, "1" | "true"),
        language: parameters.lang,
    };
    let most = settings.query_bytes.saturating_mul(READ_FACTOR);
    let upgrade = upgrade.max_message_size(most).max_frame_size(most);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let session = Session::new(socket, source, access, asked, settings);
        session.run(parameters.q.map(Utf8Bytes::from), shutdown).await;
        drop(seat);
    }))
}

#[cfg(test)]
mod tests;
