//! What is sent, at the servers that it is sent to: versitygw for S3, fake-gcs-server for GCS, `InfluxDB` 1, and
//! receivers that keep what comes. Where the real service can't be had (Slack, Elasticsearch, Azure, Kinesis, `InfluxDB` 2),
//! a receiver is a stub: it shows what we send, not that the service takes it.

mod aws;
mod gcs;
mod influxdb;
mod metadata;
mod secrets;
mod slack;
mod stubs;
mod webhook;

use std::{path::PathBuf, time::Duration};

use outlets::{Config, Endpoints, Error, Limits, Outlets};
use support::Scratch;

/// Runs what is asynchronous.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Limits that fail soon, so that tests of failures do not take long.
fn quick() -> Limits {
    Limits {
        request: Duration::from_secs(20),
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(2),
        attempts: 3,
        ..Limits::default()
    }
}

/// The same, for servers that say nothing.
fn impatient() -> Limits {
    Limits { request: Duration::from_secs(1), attempts: 2, ..quick() }
}

/// Clients with these endpoints.
fn outlets(endpoints: Endpoints, limits: Limits) -> Outlets {
    Outlets::new(Config { endpoints, limits, ..Config::default() }).expect("a configuration")
}

/// Clients without endpoints of their own.
fn plain() -> Outlets {
    outlets(Endpoints::default(), quick())
}

/// Bytes of which no two parts are alike, in a file.
fn file(scratch: &Scratch, name: &str, len: usize) -> (PathBuf, Vec<u8>) {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    let bytes: Vec<u8> = std::iter::repeat_with(next).take(len).collect();
    (scratch.file(name, &bytes), bytes)
}

/// An address where nobody listens.
fn nobody() -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", socket.local_addr().expect("a socket"))
}

/// What a user is told.
fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.expect_err("a failure").text()
}
