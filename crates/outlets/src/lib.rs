//! Clients of the services that scripts and recordings write to: a document, a point or a file goes in, and it is
//! there when the call returns, or an [`Error`] says what stands in the way.
//!
//! Every call has a time limit and a bounded number of attempts. Each service takes a bounded number of calls at a time.
//! Addresses that give out a cloud's credentials are refused, and no secret is ever part of an error.

mod azure;
mod config;
mod elastic;
mod error;
mod gcs;
mod guard;
mod http;
mod influxdb;
mod kinesis;
mod s3;
mod secret;
mod slack;
mod webhook;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

pub use azure::AzureAccount;
pub use config::{Config, Endpoints, Limits};
pub use elastic::{Documents, ElasticLogin};
pub use error::{Error, Service};
pub use http::shown_url;
pub use influxdb::Point;
pub use kinesis::Record;
pub use s3::{AwsKeys, S3Bucket};
pub use secret::Secret;
pub use slack::{Attachment, BotMessage};
pub use webhook::{Form, Response, Webhook};

/// The clients of all services. Cheap to clone; its clones share connections and limits.
#[derive(Clone, Debug)]
pub struct Outlets {
    inner: Arc<Inner>,
    endpoints: Arc<Endpoints>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    http: http::Http,
    aws: aws_sdk_s3::config::SharedHttpClient,
    /// What AWS's default chain found last; it is asked at the first call without keys.
    aws_chain: Mutex<Option<aws_sdk_s3::config::Credentials>>,
    gcs: gcs::Clients,
    old_influx: influxdb::Old,
    elastic: elastic::Pinned,
    slots: [Semaphore; Service::ALL.len()],
}

impl Outlets {
    /// Clients that nothing has been asked of yet.
    ///
    /// # Errors
    ///
    /// The configuration can't be used: a certificate that is none, an endpoint that is no URL.
    pub fn new(config: Config) -> Result<Self, Error> {
        // Another part of the process may have installed it already, and it is the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
        config.endpoints.check(config.allow_metadata_address)?;
        let http = http::Http::new(&config)?;
        let aws = s3::http_client(&config)?;
        let slots = Service::ALL.map(|_| Semaphore::new(config.limits.concurrency.max(1)));
        let endpoints = Arc::new(config.endpoints.clone());
        let inner = Inner {
            config,
            http,
            aws,
            aws_chain: Mutex::new(None),
            gcs: gcs::Clients::default(),
            old_influx: influxdb::Old::default(),
            elastic: elastic::Pinned::default(),
            slots,
        };
        Ok(Self { inner: Arc::new(inner), endpoints })
    }

    /// The same clients, with the same connections and limits, and the services that are named here in these places.
    ///
    /// # Errors
    ///
    /// An endpoint is no URL, or an address that gives out the cloud's credentials.
    pub fn relocated(&self, endpoints: Endpoints) -> Result<Self, Error> {
        endpoints.check(self.inner.config.allow_metadata_address)?;
        let endpoints = Arc::new(endpoints.or(&self.endpoints));
        Ok(Self { inner: Arc::clone(&self.inner), endpoints })
    }

    fn limits(&self) -> &Limits {
        &self.inner.config.limits
    }

    fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// A place among the calls that a service takes at a time. Who holds one must not ask for another.
    async fn slot(&self, service: Service, target: &str) -> Result<SemaphorePermit<'_>, Error> {
        let busy = || Error::Busy { service, target: target.to_owned(), limit: self.limits().concurrency };
        let Some(slots) = self.inner.slots.get(service as usize) else { return Err(busy()) };
        match tokio::time::timeout(self.limits().request, slots.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(busy()),
        }
    }

    /// Sends a request in a slot of its service.
    async fn send(&self, request: &http::Request) -> Result<http::Answer, Error> {
        let slot = self.slot(request.service, &request.target).await?;
        let answer = self.inner.http.send(request, self.limits()).await;
        drop(slot);
        answer
    }

    /// How long one attempt to move so many bytes may take.
    fn transfer(&self, bytes: u64) -> Duration {
        self.limits().transfer(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    /// Callers spawn what they wait for.
    #[test]
    fn calls_may_go_to_another_thread() {
        fn sendable<T: Send>(_: T) {}
        let outlets = Outlets::new(Config::default()).unwrap();
        let (bucket, path) = (S3Bucket::default(), Path::new("p"));
        sendable(outlets.webhook(Webhook::default()));
        sendable(outlets.webhook_form(Form::default()));
        sendable(outlets.slack(&Secret::default(), &Attachment::default()));
        sendable(outlets.slack_bot(&BotMessage::default()));
        sendable(outlets.influxdb(&Point::default()));
        sendable(outlets.elastic(&Documents::default()));
        sendable(outlets.s3_put(&bucket, "k", path));
        sendable(outlets.s3_clear(&bucket, "k"));
        sendable(outlets.gcs_put("b", "n", path, &Value::Null));
        sendable(outlets.gcs_clear("b", "n", &Value::Null));
        sendable(outlets.azure_put("c", "n", path, &AzureAccount::default()));
        sendable(outlets.kinesis_put(&Record::default()));
    }
}
