//! Requests come in, manners go out: what the HTTP servers of worker and hub have in common.
//!
//! A server is a [`Router`](axum::Router) of its own routes beside those of [`watch`] (entries over a WebSocket) and
//! [`health`]; [`access::protect`] stands before them all, and [`serve()`] runs them until it is told to stop.
//!
//! ```no_run
//! # async fn run(source: impl web::Source, report: impl web::Report) -> Result<(), Box<dyn std::error::Error>> {
//! let listener = web::bind("127.0.0.1:0".parse()?).await?;
//! let (trigger, shutdown) = web::shutdown();
//! let traffic = web::watch::routes(source, web::watch::Settings::default(), shutdown.clone());
//! let open = web::health::routes(report);
//! let server = tokio::spawn(web::serve(listener, None, web::protect(traffic, open, web::Hosts::default(), web::Door::Loopback), shutdown));
//! // …
//! trigger.finish().await;
//! server.await??;
//! # Ok(())
//! # }
//! ```

pub mod access;
mod error;
pub mod health;
mod serve;
mod shutdown;
pub mod tls;
pub mod watch;

pub use access::{Access, Door, Hosts, Judge, protect};
pub use error::Failure;
pub use health::{Metrics, Readiness, Report};
pub use serve::{BindError, bind, serve};
pub use shutdown::{Shutdown, Trigger, shutdown};
pub use watch::{Feed, Item, Parted, Query, Source};
