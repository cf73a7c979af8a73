//! `vendor.*`: other people's services, through `outlets`. What can't be sent is an exception whose text is the error's.

pub(super) mod azure;
pub(super) mod elastic;
pub(super) mod gcs;
pub(super) mod influxdb;
pub(super) mod kinesis;
pub(super) mod s3;
pub(super) mod slack;
pub(super) mod webhook;

use std::{fmt, future::Future};

use boa_engine::{JsResult, property::PropertyKey};
use outlets::{Endpoints, Outlets};

use super::{Call, paths};

/// The services, in the places that `env` gives them; else where the process was told they are.
pub(super) fn outlets(call: &mut Call<'_>) -> JsResult<Outlets> {
    let outlets = call.outlets();
    let mut failed = None;
    let from_env = Endpoints::from_vars(|name| match call.env(name) {
        Ok(value) => value,
        Err(error) => {
            failed.get_or_insert(error);
            None
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    outlets.relocated(from_env).map_err(|error| call.error(error.text()))
}

/// Waits for a call to a service.
fn wait<T: Send + 'static>(
    call: &mut Call<'_>,
    future: impl Future<Output = Result<T, outlets::Error>> + Send + 'static,
) -> JsResult<T> {
    call.wait(async { future.await.map_err(Told) })
}

/// An error and its cause in one line.
struct Told(outlets::Error);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text())
    }
}

/// Sends a file, and takes back what was made for that alone, whatever came of it.
fn send_file(
    call: &mut Call<'_>,
    path: &str,
    send: impl FnOnce(&mut Call<'_>, &paths::Readable) -> JsResult<String>,
) -> JsResult<String> {
    let file = paths::readable(call, path)?;
    let result = send(call, &file);
    let done = file.done(call);
    result.and_then(|url| done.map(|()| url))
}

/// `<node>_<ip>`, the folder of a node in a bucket.
pub(super) fn folder(call: &Call<'_>) -> String {
    let about = call.about();
    format!("{}_{}", about.node, about.ip)
}

/// `<node>_<ip>_<run>`, the folder of a node since it was started.
fn run_folder(call: &Call<'_>) -> String {
    format!("{}_{}", folder(call), call.about().run_id)
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The pairs of an object in its own order, as text. None where it is `undefined` or `null`.
fn pairs(call: &mut Call<'_>, at: usize) -> JsResult<Vec<(String, String)>> {
    if !call.has(at) {
        return Ok(Vec::new());
    }
    let object = call.object(at)?;
    let mut pairs = Vec::new();
    for key in object.own_property_keys(call.context())? {
        let name = match &key {
            PropertyKey::String(name) => name.to_std_string_lossy(),
            PropertyKey::Index(index) => index.get().to_string(),
            PropertyKey::Symbol(_) => continue,
        };
        let value = object.get(key, call.context())?;
        if !value.is_null_or_undefined() {
            pairs.push((name, call.show(&value)?));
        }
    }
    Ok(pairs)
}
