//! `InfluxDB`: one point at a time, by the write API of version 2, which 1.8 speaks too, else by that of version 1.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use reqwest::{Method, Url};
use serde_json::{Map, Value};

use crate::{
    Outlets,
    error::{Error, Service},
    http::{Answer, Request, parse_url},
    secret::Secret,
};

/// Which servers are older than 1.8, so that they are asked the right way at once.
#[derive(Debug, Default)]
pub(crate) struct Old(Mutex<HashSet<String>>);

/// So many are remembered.
const MAX_OLD: usize = 64;

impl Old {
    fn has(&self, server: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(server)
    }

    fn add(&self, server: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_OLD {
            known.insert(server);
        }
    }
}

/// One point and where it goes.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// The server: `http://host:8086`.
    pub url: String,
    /// The token; `user:password` for version 1.
    pub token: Secret,
    /// The organization; version 1 has none.
    pub organization: String,
    /// The bucket; for version 1 `database` or `database/retention-policy`.
    pub bucket: String,
    /// The measurement.
    pub measurement: String,
    /// The fields. Numbers are written as floats, as JavaScript's are; objects and arrays as JSON text; `null` is left out.
    pub fields: Map<String, Value>,
    /// The tags. Empty ones are left out.
    pub tags: BTreeMap<String, String>,
    /// The point's time; now, if there is none.
    pub at: Option<SystemTime>,
}

impl Outlets {
    /// Writes a point.
    ///
    /// # Errors
    ///
    /// It has no field; the server can't be reached or refuses it.
    pub async fn influxdb(&self, point: &Point) -> Result<(), Error> {
        let base = parse_url(Service::InfluxDb, &point.url, "the URL")?;
        let line = line(point)?;
        let server = base.origin().ascii_serialization();
        if !self.inner.old_influx.has(&server) {
            let request = request(&base, point, Api::V2, &line)?;
            let answer = self.send(&request).await?;
            if !is_old(&answer) {
                return request.accept(answer).map(drop);
            }
        }
        let request = request(&base, point, Api::V1, &line)?;
        let answer = self.send(&request).await?;
        request.accept(answer)?;
        self.inner.old_influx.add(server);
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Api {
    V1,
    V2,
}

/// A server that does not know the path says so in plain text. One that does not know the bucket says so in JSON.
fn is_old(answer: &Answer) -> bool {
    answer.status == 404 && answer.json().get("code").is_none()
}

fn request(base: &Url, point: &Point, api: Api, line: &str) -> Result<Request, Error> {
    let mut url = base.clone();
    let path = match api {
        Api::V1 => "/write",
        Api::V2 => "/api/v2/write",
    };
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    match api {
        Api::V2 => {
            let pairs = [("org", &*point.organization), ("bucket", &point.bucket), ("precision", "ns")];
            url.query_pairs_mut().extend_pairs(pairs);
        }
        Api::V1 => {
            let (database, policy) = point.bucket.split_once('/').unwrap_or((&point.bucket, ""));
            let pairs = [("db", database), ("rp", policy), ("precision", "n")];
            url.query_pairs_mut().extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
        }
    }
    let mut request = Request::new(Service::InfluxDb, Method::POST, url);
    // What is ours in the path is no secret, the bucket helps to understand.
    request.target = format!("{} bucket {:?}", base.origin().ascii_serialization(), point.bucket);
    // The point carries its time: written twice, it is the same point.
    request.repeatable = true;
    if !point.token.is_empty() {
        let token = point.token.expose();
        let value = match (api, token.contains(':')) {
            (Api::V1, true) => basic(token),
            _ => format!("Token {token}"),
        };
        request = request.credentials("authorization", &value, &point.token)?;
        // Of user:password each part alone is a secret, too.
        request.secrets.extend(token.split_once(':').map(|(_, password)| Secret::from(password)));
    }
    Ok(request.header("content-type", "text/plain; charset=utf-8")?.body(line.to_owned()))
}

/// `Basic …` of `user:password` (RFC 7617).
pub(crate) fn basic(login: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(login))
}

/// The point in line protocol.
fn line(point: &Point) -> Result<String, Error> {
    let invalid = |what: &str| Err(Error::invalid(Service::InfluxDb, what));
    if point.measurement.trim().is_empty() {
        return invalid("the point has no measurement: name what it measures");
    }
    let mut line = escape(&point.measurement, ", ");
    for (key, value) in point.tags.iter().filter(|(key, value)| !key.is_empty() && !value.is_empty()) {
        line.extend([",", &escape(key, ",= "), "=", &escape(value, ",= ")]);
    }
    let mut separator = ' ';
    for (key, value) in point.fields.iter().filter(|(key, _)| !key.is_empty()) {
        let Some(value) = field(value) else { continue };
        line.push(separator);
        line.extend([&escape(key, ",= "), "=", &value]);
        separator = ',';
    }
    if separator == ' ' {
        return invalid("the point has no field: give at least one that is not null");
    }
    let at = point.at.unwrap_or_else(SystemTime::now);
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    line.extend([" ", &since.as_nanos().to_string()]);
    Ok(line)
}

/// A name or a tag. Line protocol has no way to write a line break there, nor a backslash at the end, which would escape
/// what follows: they become spaces and nothing.
fn escape(text: &str, special: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.trim_end_matches('\\').chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(if c.is_control() { ' ' } else { c });
    }
    escaped
}

fn field(value: &Value) -> Option<String> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(measurement: &str, fields: Value, tags: &[(&str, &str)]) -> Result<String, String> {
        let Value::Object(fields) = fields else { panic!("an object") };
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let at = Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(5));
        let point = Point { measurement: measurement.to_owned(), fields, tags, at, ..Point::default() };
        line(&point).map_err(|error| error.to_string())
    }

    #[test]
    fn line_protocol() {
        for (measurement, fields, tags, expected) in [
            ("m", json!({"a": 1, "b": 1.5, "c": true}), &[][..], "m a=1,b=1.5,c=true 5"),
            ("m", json!({"s": "say \"a\\b\""}), &[], "m s=\"say \\\"a\\\\b\\\"\" 5"),
            ("m", json!({"o": {"x": [1]}, "n": null}), &[], "m o=\"{\\\"x\\\":[1]}\" 5"),
            ("a b,c=d", json!({"f": 1}), &[], "a\\ b\\,c=d f=1 5"),
            ("m", json!({"f g": 1}), &[("k=1", "v,w x"), ("none", "")], "m,k\\=1=v\\,w\\ x f\\ g=1 5"),
            ("m", json!({"f": 1}), &[("path", "c:\\"), ("two", "a\nb")], "m,path=c:,two=a b f=1 5"),
        ] {
            assert_eq!(written(measurement, fields, tags).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn points_that_are_none() {
        assert!(written("m", json!({"a": null}), &[]).unwrap_err().contains("no field"));
        assert!(written(" ", json!({"a": 1}), &[]).unwrap_err().contains("no measurement"));
    }
}
