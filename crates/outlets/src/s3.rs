//! Amazon S3, and what speaks its language.

use std::{
    error::Error as StdError,
    path::Path,
    time::{Duration, SystemTime},
};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Credentials, ProvideCredentials, Region, RequestChecksumCalculation,
        SharedHttpClient, retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    primitives::{ByteStream, Length},
    types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier},
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

use crate::{
    Outlets,
    config::Config,
    error::{Error, Service},
    http::{content_type, encode, file_len, parse_url},
    secret::{Secret, scrub},
};

/// S3 takes no more parts than this of one file.
const MAX_PARTS: u64 = 10_000;
/// S3 takes no smaller part, but for the last, in bytes.
const MIN_PART: u64 = 5 << 20;
/// Temporary keys are asked for anew when they have less than this left.
const KEY_RESERVE: Duration = Duration::from_mins(5);

/// A bucket and who writes to it.
#[derive(Clone, Debug, Default)]
pub struct S3Bucket {
    /// Its region.
    pub region: String,
    /// Its name.
    pub bucket: String,
    /// Who writes; without keys, whoever AWS's default chain finds: the environment, a profile, a service account's
    /// role (IRSA), a container's or a machine's role.
    pub keys: Option<AwsKeys>,
}

/// An access key of AWS.
#[derive(Clone, Debug, Default)]
pub struct AwsKeys {
    /// Its id.
    pub id: Secret,
    /// The key.
    pub secret: Secret,
    /// What belongs to it, if it is a temporary one.
    pub session: Option<Secret>,
}

/// A client with its bucket, and what its errors say and do not say.
struct Open<'a> {
    outlets: &'a Outlets,
    client: Client,
    bucket: &'a str,
    target: String,
    secrets: Vec<Secret>,
    /// Of one attempt.
    limit: Duration,
}

/// Tries a call until it is done, or another attempt would not better it. All that is asked of S3 here may be asked twice.
/// (A function would take the call as a closure, whose future nobody can know to be `Send`.)
macro_rules! tried {
    ($open:expr, $call:expr) => {{
        let mut attempts = 1;
        loop {
            match async { $call }.await {
                Ok(done) => break done,
                Err(failed) => $open.pause(failed, &mut attempts).await?,
            }
        }
    }};
}

/// The connections that all clients share.
pub(crate) fn http_client(config: &Config) -> Result<SharedHttpClient, Error> {
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let Some(pem) = &config.ca_pem else { return Ok(builder.build_https()) };
    let trusted = TrustStore::default().with_native_roots(true).with_pem_certificate(pem.as_slice());
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|_| {
        Error::invalid(Service::S3, "the certificates to trust can't be read: give them in PEM")
    })?;
    Ok(builder.tls_context(context).build_https())
}

/// A region's name goes into a host's name, so it has to be one.
pub(crate) fn check_region(service: Service, region: &str) -> Result<(), Error> {
    let right = !region.is_empty()
        && region.len() <= 32
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let what = || format!("{region:?} is not a region: give one like \"us-east-2\"");
    if right { Ok(()) } else { Err(Error::invalid(service, what())) }
}

/// Where AWS is, for a region.
pub(crate) fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

impl Outlets {
    /// Uploads a file and gives its URL: `https://BUCKET.s3.REGION.amazonaws.com/KEY`.
    ///
    /// # Errors
    ///
    /// The file can't be read; S3 can't be reached or refuses it. Nothing of it is then left in the bucket.
    pub async fn s3_put(&self, bucket: &S3Bucket, key: &str, path: &Path) -> Result<String, Error> {
        if key.is_empty() {
            return Err(Error::invalid(Service::S3, "the object has no name"));
        }
        let len = file_len(Service::S3, path).await?;
        let part = (self.limits().part_bytes as u64).max(MIN_PART).max(len.div_ceil(MAX_PARTS));
        let open = self.s3_open(bucket, len.min(part)).await?;
        let slot = self.slot(Service::S3, &open.target).await?;
        if len <= part {
            open.put(key, path, len).await
        } else {
            open.put_parts(key, path, len, part).await
        }?;
        drop(slot);
        Ok(self.s3_url(bucket, key))
    }

    /// Deletes all objects whose keys begin with `prefix`. Gives how many there were.
    ///
    /// # Errors
    ///
    /// S3 can't be reached or refuses it.
    pub async fn s3_clear(&self, bucket: &S3Bucket, prefix: &str) -> Result<u64, Error> {
        let open = self.s3_open(bucket, 0).await?;
        let slot = self.slot(Service::S3, &open.target).await?;
        let deleted = open.clear(prefix).await;
        drop(slot);
        deleted
    }

    /// Who signs: the keys given, else whoever AWS's default chain finds.
    pub(crate) async fn aws_credentials(
        &self,
        service: Service,
        keys: Option<&AwsKeys>,
    ) -> Result<Credentials, Error> {
        if let Some(AwsKeys { id, secret, session }) = keys {
            let session = session.as_ref().map(|session| session.expose().to_owned());
            return Ok(Credentials::new(id.expose(), secret.expose(), session, None, "script"));
        }
        let mut held = self.inner.aws_chain.lock().await;
        let lasts =
            |keys: &Credentials| keys.expiry().is_none_or(|end| end > SystemTime::now() + KEY_RESERVE);
        if let Some(keys) = held.as_ref().filter(|keys| lasts(keys)) {
            return Ok(keys.clone());
        }
        let none = || {
            let what = "there are no keys: give them, or a role that AWS's default chain can find (environment, \
                        profile, service account, machine)";
            Error::invalid(service, what)
        };
        let chain =
            aws_config::defaults(BehaviorVersion::latest()).http_client(self.inner.aws.clone()).load().await;
        let provider = chain.credentials_provider().ok_or_else(none)?;
        let found = provider.provide_credentials().await.map_err(|error| {
            tracing::debug!(error = root(&error), "AWS's default chain found no keys");
            none()
        })?;
        *held = Some(found.clone());
        Ok(found)
    }

    /// A client for a bucket, whose attempts move at most so many bytes.
    async fn s3_open<'a>(&'a self, bucket: &'a S3Bucket, bytes: u64) -> Result<Open<'a>, Error> {
        check_region(Service::S3, &bucket.region)?;
        if bucket.bucket.is_empty() {
            return Err(Error::invalid(Service::S3, "the bucket has no name"));
        }
        let credentials = self.aws_credentials(Service::S3, bucket.keys.as_ref()).await?;
        let secrets = [
            Some(credentials.secret_access_key()),
            credentials.session_token(),
            Some(credentials.access_key_id()),
        ];
        let secrets = secrets.into_iter().flatten().map(Secret::from).collect();
        let limit = self.transfer(bytes);
        let times =
            TimeoutConfig::builder().connect_timeout(self.limits().connect).operation_attempt_timeout(limit);
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(bucket.region.clone()))
            .credentials_provider(credentials)
            .http_client(self.inner.aws.clone())
            .timeout_config(times.build())
            // We try again ourselves, in the same way for every service.
            .retry_config(RetryConfig::disabled())
            // Checksums in trailers are not for every server that speaks S3's language.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
        let mut target = format!("bucket {:?} in {}", bucket.bucket, bucket.region);
        if let Some(endpoint) = &self.endpoints().s3 {
            config = config.endpoint_url(endpoint).force_path_style(true);
            let url = parse_url(Service::S3, endpoint, "its endpoint")?;
            target = format!("bucket {:?} at {}", bucket.bucket, url.origin().ascii_serialization());
        }
        let client = Client::from_conf(config.build());
        Ok(Open { outlets: self, client, bucket: &bucket.bucket, target, secrets, limit })
    }

    /// The URL of an object, there or not.
    pub fn s3_url(&self, bucket: &S3Bucket, key: &str) -> String {
        let key = encode(key, "/");
        match &self.endpoints().s3 {
            Some(endpoint) => format!("{}/{}/{key}", endpoint.trim_end_matches('/'), bucket.bucket),
            None => {
                format!("https://{}.s3.{}.{}/{key}", bucket.bucket, bucket.region, domain(&bucket.region))
            }
        }
    }
}

impl Open<'_> {
    /// One file, one request.
    async fn put(&self, key: &str, path: &Path, len: u64) -> Result<(), Error> {
        tried!(self, {
            let call = self.client.put_object().bucket(self.bucket).key(key).content_type(content_type(path));
            call.body(piece(path, 0, len).await?).send().await.map_err(|error| Failed::of(&error))
        });
        Ok(())
    }

    /// One file in parts. What came before a failure is taken back.
    async fn put_parts(&self, key: &str, path: &Path, len: u64, part: u64) -> Result<(), Error> {
        let begun = tried!(self, {
            let call = self.client.create_multipart_upload().bucket(self.bucket).key(key);
            call.content_type(content_type(path)).send().await.map_err(|error| Failed::of(&error))
        });
        let Some(id) = begun.upload_id() else {
            let said = "it gave no id for an upload in parts";
            return Err(Error::refused(Service::S3, &self.target, 200, said, 1));
        };
        let result = self.send_parts(key, path, len, part, id).await;
        if result.is_err() {
            let call = self.client.abort_multipart_upload().bucket(self.bucket).key(key).upload_id(id);
            if call.send().await.is_err() {
                tracing::warn!(target = %self.target, key, "Parts of a failed upload are left in the bucket");
            }
        }
        result
    }

    async fn send_parts(&self, key: &str, path: &Path, len: u64, part: u64, id: &str) -> Result<(), Error> {
        let mut parts = Vec::new();
        let mut offset = 0;
        while offset < len {
            let size = part.min(len - offset);
            let number = parts.len() as i32 + 1;
            let sent = tried!(self, {
                let call = self.client.upload_part().bucket(self.bucket).key(key).upload_id(id);
                let body = piece(path, offset, size).await?;
                call.part_number(number).body(body).send().await.map_err(|error| Failed::of(&error))
            });
            parts.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
            offset += size;
        }
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        tried!(self, {
            let call = self.client.complete_multipart_upload().bucket(self.bucket).key(key).upload_id(id);
            call.multipart_upload(whole.clone()).send().await.map_err(|error| Failed::of(&error))
        });
        Ok(())
    }

    async fn clear(&self, prefix: &str) -> Result<u64, Error> {
        let mut deleted = 0;
        // What is deleted is not listed again, so the first page is always the next.
        loop {
            let page = tried!(self, {
                let call = self.client.list_objects_v2().bucket(self.bucket).prefix(prefix);
                call.send().await.map_err(|error| Failed::of(&error))
            });
            let keys = page.contents().iter().filter_map(|object| object.key());
            let keys: Vec<_> =
                keys.filter_map(|key| ObjectIdentifier::builder().key(key).build().ok()).collect();
            let number = keys.len() as u64;
            let Ok(batch) = Delete::builder().set_objects(Some(keys)).quiet(true).build() else {
                return Ok(deleted);
            };
            if number == 0 {
                return Ok(deleted);
            }
            let answer = tried!(self, {
                let call = self.client.delete_objects().bucket(self.bucket).delete(batch.clone());
                call.send().await.map_err(|error| Failed::of(&error))
            });
            if let Some(error) = answer.errors().first() {
                let said =
                    format!("{}: {}", error.key().unwrap_or_default(), error.code().unwrap_or_default());
                return Err(Error::refused(Service::S3, &self.target, 403, &scrub(&said, &self.secrets), 1));
            }
            deleted += number;
        }
    }

    /// Waits for the next attempt, if there is one to come.
    async fn pause(&self, failed: Failed, attempts: &mut u32) -> Result<(), Error> {
        let limits = self.outlets.limits();
        if !failed.again() || *attempts >= limits.attempts {
            return Err(self.named(failed, *attempts));
        }
        *attempts += 1;
        tracing::debug!(target = %self.target, attempts, "Trying again");
        tokio::time::sleep(limits.pause(*attempts)).await;
        Ok(())
    }

    fn named(&self, failed: Failed, attempts: u32) -> Error {
        let (service, target) = (Service::S3, self.target.clone());
        match failed {
            Failed::TimedOut => Error::TimedOut { service, target, after: self.limit, attempts },
            Failed::Network(cause) => {
                Error::Unreachable { service, target, cause: scrub(&cause, &self.secrets), attempts }
            }
            Failed::Invalid(what) => Error::invalid(service, scrub(&what, &self.secrets)),
            Failed::File(path, source) => Error::File { service, path, source },
            Failed::Refused(status, said) => {
                Error::refused(service, &target, status, &scrub(&said, &self.secrets), attempts)
            }
        }
    }
}

/// Why an attempt failed.
enum Failed {
    TimedOut,
    Network(String),
    Invalid(String),
    File(std::path::PathBuf, std::io::Error),
    Refused(u16, String),
}

impl Failed {
    fn of<E: ProvideErrorMetadata + StdError + 'static>(error: &SdkError<E>) -> Self {
        match error {
            SdkError::TimeoutError(_) => Self::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::TimedOut,
            SdkError::DispatchFailure(_) => Self::Network(root(error)),
            SdkError::ServiceError(answer) => {
                let words = [error.code(), error.message()].into_iter().flatten().collect::<Vec<_>>();
                Self::Refused(answer.raw().status().as_u16(), words.join(": "))
            }
            SdkError::ResponseError(answer) => {
                Self::Refused(answer.raw().status().as_u16(), "its answer is not S3's".to_owned())
            }
            _ => Self::Invalid(root(error)),
        }
    }

    fn again(&self) -> bool {
        match self {
            Self::TimedOut | Self::Network(_) => true,
            // The connection was too slow for the server.
            Self::Refused(400, said) => said.starts_with("RequestTimeout"),
            Self::Refused(status, _) => matches!(status, 429 | 500 | 502..=504),
            Self::Invalid(_) | Self::File(..) => false,
        }
    }
}

/// The innermost cause.
fn root(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// A part of a file, as it was when its size was taken: what is appended meanwhile is not sent.
async fn piece(path: &Path, offset: u64, len: u64) -> Result<ByteStream, Failed> {
    let body = ByteStream::read_from().path(path).offset(offset).length(Length::Exact(len)).build().await;
    body.map_err(|error| Failed::File(path.to_owned(), std::io::Error::other(root(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Endpoints;

    #[test]
    fn regions_that_are_none() {
        for region in ["", "US", "a.evil.test/", "us_east", "x@y", "#"] {
            assert!(check_region(Service::S3, region).is_err(), "{region}");
        }
        assert!(check_region(Service::S3, "ap-southeast-2").is_ok());
    }

    #[test]
    fn urls() {
        let bucket = |region: &str| S3Bucket { region: region.into(), bucket: "b".into(), keys: None };
        let aws = Outlets::new(Config::default()).unwrap();
        assert_eq!(
            aws.s3_url(&bucket("us-east-2"), "n_1.2.3.4/a b.pcap"),
            "https://b.s3.us-east-2.amazonaws.com/n_1.2.3.4/a%20b.pcap"
        );
        assert_eq!(aws.s3_url(&bucket("cn-north-1"), "k"), "https://b.s3.cn-north-1.amazonaws.com.cn/k");
        let endpoints = Endpoints { s3: Some("http://127.0.0.1:9000/".into()), ..Endpoints::default() };
        let own = Outlets::new(Config { endpoints, ..Config::default() }).unwrap();
        assert_eq!(own.s3_url(&bucket("x"), "k"), "http://127.0.0.1:9000/b/k");
    }
}
