//! The object that a script gives.

use boa_engine::JsResult;
use outlets::{AwsKeys, S3Bucket, Secret};
use serde_json::Value;

use crate::helpers::Call;

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::helpers::wrapper) enum Target {
    /// AWS S3, or what speaks like it.
    S3,
    /// Google Cloud Storage.
    Gcs,
}

impl Target {
    /// Where its recordings lie.
    pub(super) fn directory(self) -> &'static str {
        match self {
            Self::S3 => "kfl_pcap_s3",
            Self::Gcs => "kfl_pcap_gcs",
        }
    }

    /// The name that its log begins with.
    pub(super) fn log(self) -> &'static str {
        match self {
            Self::S3 => "kflPcapS3_log_",
            Self::Gcs => "kflPcapGcs_log_",
        }
    }

    /// As people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::Gcs => "GCS",
        }
    }
}

/// A bucket and its keys.
#[derive(Clone, Debug)]
pub(super) enum Bucket {
    S3(S3Bucket),
    Gcs { bucket: String, account: Value },
}

/// What a script asks for.
#[derive(Clone)]
pub(super) struct Parameters {
    pub(super) target: Target,
    pub(super) queries: Vec<String>,
    pub(super) bucket: Bucket,
    pub(super) slack_webhook: Option<Secret>,
    /// Token and channel.
    pub(super) slack_bot: Option<(Secret, String)>,
    pub(super) active: bool,
    pub(super) verbose: bool,
    pub(super) max_minutes: f64,
    pub(super) max_streams: u64,
}

impl Parameters {
    /// Reads the second argument of the call.
    pub(super) fn read(call: &mut Call<'_>, target: Target) -> JsResult<Self> {
        let given = call.json(1)?;
        if !given.is_object() {
            return Err(call.misses(1, "an object"));
        }
        let active = given.get("active").is_none_or(truth);
        let queries = given["kflArr"].as_array().map(|queries| {
            queries.iter().map(|query| query.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        let Some(Some(queries)) = queries else {
            return Err(call.error("kflArr must be an array of KFL queries"));
        };
        let mut reader = Reader { call, given: &given };
        let bucket = match target {
            // One that is not active may lack its keys.
            _ if !active => Bucket::Gcs { bucket: String::new(), account: Value::Null },
            Target::S3 => {
                let id = reader.optional("awsAccessKeyId", Some("AWS_ACCESS_KEY_ID"))?;
                let secret = reader.optional("awsSecretAccessKey", Some("AWS_SECRET_ACCESS_KEY"))?;
                let keys = id.zip(secret).map(|(id, secret)| AwsKeys {
                    id: Secret::new(id),
                    secret: Secret::new(secret),
                    session: None,
                });
                let region = reader.required("awsRegion", "AWS_REGION")?;
                Bucket::S3(S3Bucket { region, bucket: reader.required("s3Bucket", "S3_BUCKET")?, keys })
            }
            Target::Gcs => {
                let bucket = reader.required("gcsBucket", "GCS_BUCKET")?;
                let account = match reader.given.get("gcsSaKeyJson") {
                    Some(account @ Value::Object(_)) => Ok(account.clone()),
                    _ => serde_json::from_str(&reader.required("gcsSaKeyJson", "GCS_SA_KEY_JSON")?),
                };
                // What is wrong with it would tell of the key.
                let account = account.map_err(|_| {
                    reader.call.error(
                        "gcsSaKeyJson, or env.GCS_SA_KEY_JSON, is not the JSON of a service account's key",
                    )
                })?;
                Bucket::Gcs { bucket, account }
            }
        };
        let slack_webhook = reader.optional("slackWebhook", None)?.map(Secret::new);
        let token = reader.optional("slackAuthToken", None)?.map(Secret::new);
        let slack_bot = token.zip(reader.optional("slackChannelId", None)?);
        let number = |name: &str, default: f64| given[name].as_f64().filter(|n| *n > 0.0).unwrap_or(default);
        Ok(Self {
            target,
            queries,
            bucket,
            slack_webhook,
            slack_bot,
            active,
            verbose: given.get("verbose").is_some_and(truth),
            max_minutes: number("maxMinutes", 60.0),
            max_streams: number("maxL4Streams", 100_000.0) as u64,
        })
    }

    /// Digits for what these parameters record, and where to.
    pub(super) fn digits(&self) -> String {
        let bucket = match &self.bucket {
            Bucket::S3(bucket) => &bucket.bucket,
            Bucket::Gcs { bucket, .. } => bucket,
        };
        super::digits(&(&self.queries, bucket))
    }
}

/// What JavaScript takes for true.
fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

struct Reader<'c, 'a, 'g> {
    call: &'c mut Call<'a>,
    given: &'g Value,
}

impl Reader<'_, '_, '_> {
    fn optional(&mut self, name: &str, env: Option<&str>) -> JsResult<Option<String>> {
        let given = match &self.given[name] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let value = match (given, env) {
            (Some(given), _) => Some(given),
            (None, Some(env)) => self.call.env(env)?,
            (None, None) => None,
        };
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn required(&mut self, name: &str, env: &str) -> JsResult<String> {
        let value = self.optional(name, Some(env))?;
        value.ok_or_else(|| self.call.error(format_args!("{name} is missing, and so is env.{env}")))
    }
}
