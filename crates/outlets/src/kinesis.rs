//! Amazon Kinesis: one record at a time (`PutRecord`), signed with AWS's signature version 4.

use std::time::SystemTime;

use aws_sdk_s3::config::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Outlets,
    error::{Error, Service},
    http::{Request, parse_url},
    s3::{AwsKeys, check_region},
    secret::Secret,
};

/// A record and where it goes.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The stream's name.
    pub stream: String,
    /// What is stored.
    pub payload: Vec<u8>,
    /// The stream's region.
    pub region: String,
    /// Who writes; without keys, whoever AWS's default chain finds.
    pub keys: Option<AwsKeys>,
}

impl Outlets {
    /// Puts a record into whichever shard chance says. Gives what Kinesis answers: `{"ShardId":…,"SequenceNumber":…}`.
    ///
    /// # Errors
    ///
    /// There are no keys; Kinesis can't be reached or refuses it.
    pub async fn kinesis_put(&self, record: &Record) -> Result<Value, Error> {
        check_region(Service::Kinesis, &record.region)?;
        let endpoint = match &self.endpoints().kinesis {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://kinesis.{}.{}/", record.region, crate::s3::domain(&record.region)),
        };
        let url = parse_url(Service::Kinesis, &endpoint, "its endpoint")?;
        let body = json!({
            "StreamName": record.stream,
            "Data": STANDARD.encode(&record.payload),
            "PartitionKey": format!("{:016x}", fastrand::u64(..)),
        });
        let credentials = self.aws_credentials(Service::Kinesis, record.keys.as_ref()).await?;
        let mut request = Request::new(Service::Kinesis, Method::POST, url)
            .header("content-type", "application/x-amz-json-1.1")?
            .header("x-amz-target", "Kinesis_20131202.PutRecord")?;
        request.target = format!("stream {:?} in {}", record.stream, record.region);
        let request = signed(request, &record.region, &credentials, body.to_string())?;
        let answer = request.accept(self.send(&request).await?)?;
        Ok(answer.json())
    }
}

/// Adds the body and the headers that prove who sends it.
fn signed(
    mut request: Request,
    region: &str,
    credentials: &Credentials,
    body: String,
) -> Result<Request, Error> {
    let failed =
        || Error::invalid(Service::Kinesis, "the request can't be signed: check the key and the region");
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kinesis")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| failed())?
        .into();
    let headers =
        request.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable =
        SignableRequest::new("POST", request.url.as_str(), headers, SignableBody::Bytes(body.as_bytes()))
            .map_err(|_| failed())?;
    let (instructions, _) = sign(signable, &params).map_err(|_| failed())?.into_parts();
    let secret = Secret::from(credentials.secret_access_key());
    for (name, value) in instructions.headers() {
        request = request.credentials(name, value, &secret)?;
    }
    request.secrets.extend(credentials.session_token().map(Secret::from));
    Ok(request.body(body))
}
