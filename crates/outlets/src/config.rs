//! What whoever runs the program decides.

use std::time::Duration;

use crate::error::{Error, Service};

/// How the services are reached.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Time, attempts, sizes.
    pub limits: Limits,
    /// Where services are that are not where their vendors put them.
    pub endpoints: Endpoints,
    /// Whether a script may name an address that gives out the cloud's credentials, such as 169.254.169.254.
    pub allow_metadata_address: bool,
    /// Certificates in PEM that are trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// Bounds of every call.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For a connection to be made.
    pub connect: Duration,
    /// For one attempt: the request, and the answer to its last byte. Also how long a call waits for its turn.
    pub request: Duration,
    /// The slowest transfer that is waited for, in bytes per second: it lengthens an attempt by the body's size.
    pub slowest: u64,
    /// How often a call is tried in all.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles from one attempt to the next, up to `backoff_max`.
    pub backoff: Duration,
    /// The longest pause, also where a service asks for a longer one.
    pub backoff_max: Duration,
    /// How many calls one service gets at a time.
    pub concurrency: usize,
    /// The largest body that is sent from memory, in bytes. Files have no limit.
    pub request_bytes: usize,
    /// How much of an answer is read, in bytes; the rest is dropped.
    pub response_bytes: usize,
    /// Files above this size go to S3 and GCS in parts of it, in bytes; at least 5 MiB, which S3 demands.
    pub part_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            slowest: 64 << 10,
            attempts: 4,
            backoff: Duration::from_millis(250),
            backoff_max: Duration::from_secs(10),
            concurrency: 8,
            request_bytes: 16 << 20,
            response_bytes: 1 << 20,
            part_bytes: 8 << 20,
        }
    }
}

impl Limits {
    /// How long one attempt to move so many bytes may take.
    pub(crate) fn transfer(&self, bytes: u64) -> Duration {
        self.request + Duration::from_secs(bytes / self.slowest.max(1))
    }

    /// The pause before attempt `next` (2, 3, …): half of it fixed, half of it by lot, so that many who failed together do
    /// not come back together.
    pub(crate) fn pause(&self, next: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << next.saturating_sub(2).min(16));
        doubled.min(self.backoff_max).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// Addresses in place of the vendors' own, as `http://host:port`.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// S3; buckets are then in the path (`http://host:port/BUCKET/KEY`).
    pub s3: Option<String>,
    /// Google Cloud Storage.
    pub gcs: Option<String>,
    /// Slack's API, in place of `https://slack.com/api`.
    pub slack: Option<String>,
    /// Azure Blob Storage; the account is then in the path, as Azurite has it.
    pub azure: Option<String>,
    /// Kinesis.
    pub kinesis: Option<String>,
}

impl Endpoints {
    /// Reads the variables by which the vendors' own tools are redirected: `AWS_ENDPOINT_URL_S3` and
    /// `AWS_ENDPOINT_URL_KINESIS` (else `AWS_ENDPOINT_URL`), `STORAGE_EMULATOR_HOST` for GCS, and, as these have none,
    /// `SLACK_API_URL` and `AZURE_STORAGE_ENDPOINT`.
    pub fn from_vars(mut lookup: impl FnMut(&str) -> Option<String>) -> Self {
        let mut find =
            |names: &[&str]| names.iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()));
        // Google's tools take a host alone.
        let with_scheme = |host: String| if host.contains("://") { host } else { format!("http://{host}") };
        Self {
            s3: find(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            gcs: find(&["STORAGE_EMULATOR_HOST"]).map(with_scheme),
            slack: find(&["SLACK_API_URL"]),
            azure: find(&["AZURE_STORAGE_ENDPOINT"]),
            kinesis: find(&["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"]),
        }
    }

    /// These, and others where there are none of these.
    pub(crate) fn or(self, other: &Self) -> Self {
        let either = |one: Option<String>, other: &Option<String>| one.or_else(|| other.clone());
        Self {
            s3: either(self.s3, &other.s3),
            gcs: either(self.gcs, &other.gcs),
            slack: either(self.slack, &other.slack),
            azure: either(self.azure, &other.azure),
            kinesis: either(self.kinesis, &other.kinesis),
        }
    }

    /// What is wrong with them, if anything is.
    pub(crate) fn check(&self, allow_metadata_address: bool) -> Result<(), Error> {
        let Self { s3, gcs, slack, azure, kinesis } = self;
        let named = [
            (Service::S3, s3),
            (Service::Gcs, gcs),
            (Service::Slack, slack),
            (Service::Azure, azure),
            (Service::Kinesis, kinesis),
        ];
        for (service, url) in named {
            let Some(url) = url else { continue };
            let url = crate::http::parse_url(service, url, "its endpoint")?;
            if !allow_metadata_address && crate::guard::permit_url(&url).is_err() {
                return Err(Error::MetadataAddress { service, target: url.origin().ascii_serialization() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit() {
        let limits = Limits::default();
        for (next, least, most) in [(2, 125, 250), (3, 250, 500), (4, 500, 1000), (60, 5000, 10_000)] {
            let pause = limits.pause(next).as_millis();
            assert!((least..=most).contains(&pause), "{next}: {pause} ms");
        }
    }

    #[test]
    fn endpoints_are_found_where_other_tools_find_them() {
        let vars = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some("http://aws".to_owned()),
            "AWS_ENDPOINT_URL_S3" => Some("http://s3".to_owned()),
            "STORAGE_EMULATOR_HOST" => Some("gcs:4443".to_owned()),
            "SLACK_API_URL" => Some(String::new()),
            _ => None,
        };
        let found = Endpoints::from_vars(vars);
        assert_eq!(found.s3.as_deref(), Some("http://s3"));
        assert_eq!(found.kinesis.as_deref(), Some("http://aws"));
        assert_eq!(found.gcs.as_deref(), Some("http://gcs:4443"));
        assert_eq!(found.slack, None);
    }

    #[test]
    fn an_endpoint_that_is_none_is_named() {
        let endpoints = Endpoints { slack: Some("slack.test".to_owned()), ..Endpoints::default() };
        let error = endpoints.check(false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Slack: its endpoint is not a URL: give one that begins with http:// or https://"
        );
    }

    #[test]
    fn an_endpoint_is_not_the_clouds_own() {
        let endpoints = Endpoints { s3: Some("http://169.254.169.254/".to_owned()), ..Endpoints::default() };
        assert!(matches!(endpoints.check(false), Err(Error::MetadataAddress { .. })));
        assert!(endpoints.check(true).is_ok());
    }
}
