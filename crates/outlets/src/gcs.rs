//! Google Cloud Storage, as a service account.

use std::{
    error::Error as StdError,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::{TryStreamExt, stream};
use google_cloud_auth::credentials::{CacheableResource, Credentials, service_account};
use google_cloud_gax::{
    error::Error as GaxError,
    exponential_backoff::ExponentialBackoffBuilder,
    retry_policy::{RetryPolicy, RetryPolicyExt},
    retry_result::RetryResult,
    retry_state::RetryState,
};
use google_cloud_storage::{client::Storage, retry_policy::RetryableErrors};
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use crate::{
    Outlets,
    error::{Error, Service},
    http::{Request, content_type, encode, file_len, parse_url},
    secret::{Secret, scrub},
};

const API: &str = "https://storage.googleapis.com";
/// Clients of so many accounts are kept.
const MAX_CLIENTS: usize = 8;

/// One client per endpoint and account: it holds connections and the token.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<Vec<(Secret, Client)>>);

#[derive(Clone)]
struct Client {
    storage: Storage,
    credentials: Credentials,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(…)")
    }
}

/// Counts what the client would not tell: how often it tried.
#[derive(Debug)]
struct Counted<P> {
    policy: P,
    attempts: Arc<AtomicU32>,
}

impl<P: RetryPolicy> RetryPolicy for Counted<P> {
    fn on_error(&self, state: &RetryState, error: GaxError) -> RetryResult {
        self.attempts.store(state.attempt_count, Ordering::Relaxed);
        self.policy.on_error(state, error)
    }
}

impl Outlets {
    /// Uploads a file and gives its URL: `https://storage.googleapis.com/BUCKET/NAME`. `account` is a service account's
    /// key as Google hands it out.
    ///
    /// # Errors
    ///
    /// The key is none; the file can't be read; GCS can't be reached or refuses it.
    pub async fn gcs_put(
        &self,
        bucket: &str,
        name: &str,
        path: &Path,
        account: &Value,
    ) -> Result<String, Error> {
        check(bucket, name, "the object")?;
        let len = file_len(Service::Gcs, path).await?;
        let client = self.gcs_client(account).await?;
        let target = format!("bucket {bucket:?}");
        let slot = self.slot(Service::Gcs, &target).await?;
        let opened = tokio::fs::File::open(path).await;
        let file =
            opened.map_err(|source| Error::File { service: Service::Gcs, path: path.to_owned(), source })?;
        let limits = self.limits();
        let attempts = Arc::new(AtomicU32::new(1));
        let policy = RetryableErrors.with_attempt_limit(limits.attempts);
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_delay(limits.backoff)
            .with_maximum_delay(limits.backoff_max.max(limits.backoff))
            .clamp();
        let upload = client
            .storage
            .write_object(format!("projects/_/buckets/{bucket}"), name, file)
            .set_content_type(content_type(path))
            .with_idempotency(true)
            .with_retry_policy(Counted { policy, attempts: attempts.clone() })
            .with_backoff_policy(backoff)
            .with_resumable_upload_threshold(limits.part_bytes)
            .with_resumable_upload_buffer_size(limits.part_bytes)
            // Unbuffered, small files would be sent with a checksum in a part of its own, which not every server knows.
            .send_buffered();
        // The client itself waits for ever.
        let limit = limits.transfer(len).saturating_mul(limits.attempts);
        let result = tokio::time::timeout(limit, Box::pin(upload)).await;
        drop(slot);
        let attempts = attempts.load(Ordering::Relaxed);
        match result {
            Ok(Ok(_)) => Ok(self.gcs_url(bucket, name)),
            Ok(Err(error)) => {
                // What was sent to prove who asks is secret, too.
                let headers = token(&client).await.unwrap_or_default();
                let secrets = [secrets(account), bearers(&headers)].concat();
                Err(named(&error, &target, &secrets, attempts))
            }
            Err(_) => Err(Error::TimedOut { service: Service::Gcs, target, after: limit, attempts }),
        }
    }

    /// Deletes all objects whose names begin with `prefix`. Gives how many there were.
    ///
    /// # Errors
    ///
    /// The key is none; GCS can't be reached or refuses it.
    pub async fn gcs_clear(&self, bucket: &str, prefix: &str, account: &Value) -> Result<u64, Error> {
        check(bucket, prefix, "the prefix")?;
        let client = self.gcs_client(account).await?;
        let objects = format!("/storage/v1/b/{}/o", encode(bucket, ""));
        let mut deleted = 0;
        loop {
            // What is deleted is not listed again, so the first page is always the next.
            let query = format!("{objects}?prefix={}&fields=items(name)", encode(prefix, ""));
            let page =
                self.gcs_call(&client, bucket, account, Method::GET, &query).await?.unwrap_or_default();
            let names = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            let names: Vec<String> =
                names.iter().filter_map(|item| Some(encode(item.get("name")?.as_str()?, ""))).collect();
            if names.is_empty() {
                return Ok(deleted);
            }
            let found = names.len() as u64;
            stream::iter(names.into_iter().map(Ok))
                .try_for_each_concurrent(self.limits().concurrency, |name| {
                    let (client, path) = (&client, format!("{objects}/{name}"));
                    async move {
                        self.gcs_call(client, bucket, account, Method::DELETE, &path).await.map(drop)
                    }
                })
                .await?;
            deleted += found;
        }
    }

    /// The URL of an object, there or not.
    pub fn gcs_url(&self, bucket: &str, name: &str) -> String {
        format!("{}/{bucket}/{}", self.gcs_api(), encode(name, "/"))
    }

    fn gcs_api(&self) -> &str {
        self.endpoints().gcs.as_deref().unwrap_or(API).trim_end_matches('/')
    }

    /// The client of an account.
    async fn gcs_client(&self, account: &Value) -> Result<Client, Error> {
        let key = Secret::new(format!("{} {account}", self.gcs_api()));
        let held = |clients: &Clients| {
            let clients = clients.0.lock().unwrap_or_else(PoisonError::into_inner);
            clients.iter().find(|(held, _)| *held == key).map(|(_, client)| client.clone())
        };
        if let Some(client) = held(&self.inner.gcs) {
            return Ok(client);
        }
        let wrong = || {
            let what = "the service account's key can't be used: give the JSON that Google hands out, parsed, with its \
                        \"client_email\", \"private_key_id\" and \"private_key\"";
            Error::invalid(Service::Gcs, what)
        };
        let credentials = service_account::Builder::new(account.clone()).build().map_err(|_| wrong())?;
        let mut builder = Storage::builder().with_credentials(credentials.clone());
        if self.endpoints().gcs.is_some() {
            builder = builder.with_endpoint(self.gcs_api());
        }
        let storage = builder
            .build()
            .await
            .map_err(|error| Error::invalid(Service::Gcs, scrub(&root(&error), &secrets(account))))?;
        let client = Client { storage, credentials };
        let mut clients = self.inner.gcs.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.remove(0);
        }
        clients.push((key, client.clone()));
        Ok(client)
    }

    /// Calls the JSON API, which lists and deletes; the client's way to do so is gRPC, which is not let through
    /// everywhere. What is not there is `None` when it is deleted.
    async fn gcs_call(
        &self,
        client: &Client,
        bucket: &str,
        account: &Value,
        method: Method,
        path: &str,
    ) -> Result<Option<Value>, Error> {
        let url = parse_url(Service::Gcs, &format!("{}{path}", self.gcs_api()), "its endpoint")?;
        let is_delete = method == Method::DELETE;
        let mut request = Request::new(Service::Gcs, method, url);
        request.target = format!("bucket {bucket:?}");
        request.secrets = secrets(account);
        request.headers = token(client).await?;
        request.secrets.extend(bearers(&request.headers));
        let answer = self.send(&request).await?;
        if is_delete && answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(request.accept(answer)?.json()))
    }
}

/// The headers that say who asks.
#[expect(clippy::default_trait_access, reason = "the type is of a crate that is not used otherwise")]
async fn token(client: &Client) -> Result<HeaderMap, Error> {
    let failed = || {
        Error::invalid(Service::Gcs, "the service account's key can't sign: is its \"private_key\" whole?")
    };
    match client.credentials.headers(Default::default()).await {
        Ok(CacheableResource::New { data, .. }) => Ok(data),
        _ => Err(failed()),
    }
}

fn bearers(headers: &HeaderMap) -> Vec<Secret> {
    let values = headers.values().filter_map(|value| value.to_str().ok());
    values.filter_map(|value| value.strip_prefix("Bearer ")).map(Secret::from).collect()
}

fn check(bucket: &str, name: &str, what: &str) -> Result<(), Error> {
    let right = !bucket.is_empty()
        && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !right {
        return Err(Error::invalid(Service::Gcs, format!("{bucket:?} is not a bucket's name")));
    }
    if name.is_empty() {
        return Err(Error::invalid(Service::Gcs, format!("{what} has no name")));
    }
    Ok(())
}

fn secrets(account: &Value) -> Vec<Secret> {
    ["private_key", "private_key_id"]
        .iter()
        .filter_map(|key| Some(account.get(key)?.as_str()?.into()))
        .collect()
}

fn named(error: &GaxError, target: &str, secrets: &[Secret], attempts: u32) -> Error {
    let service = Service::Gcs;
    if let Some(status) = error.http_status_code() {
        let said = match (error.status(), error.http_payload()) {
            (Some(status), _) => status.message.clone(),
            (None, Some(payload)) => String::from_utf8_lossy(payload).into_owned(),
            (None, None) => String::new(),
        };
        return Error::refused(service, target, status, &scrub(&said, secrets), attempts);
    }
    if error.is_authentication() {
        return Error::invalid(
            service,
            "the service account's key can't sign: is its \"private_key\" whole?",
        );
    }
    let cause = scrub(&root(error), secrets);
    Error::Unreachable { service, target: target.to_owned(), cause, attempts }
}

/// The innermost cause.
fn root(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
