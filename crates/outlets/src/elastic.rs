//! Elasticsearch: documents, one or many, by its bulk endpoint.

use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Client, Method};
use ring::digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use serde_json::Value;

use crate::{
    Outlets,
    error::{Error, Service},
    http::{Request, builder, encode, parse_url},
    influxdb::basic,
    secret::{Secret, scrub},
};

/// Clients of so many pinned certificates are kept.
const MAX_PINNED: usize = 8;

/// Documents and where they go.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// The server; may be empty if the login has a cloud's id.
    pub url: String,
    /// The index or data stream; made when it is missing, if the server allows that.
    pub index: String,
    /// The documents: JSON objects.
    pub documents: Vec<Value>,
    /// Who writes.
    pub login: ElasticLogin,
}

/// Who writes. The first of `service_token`, `api_key` and `username` that is not empty is used.
#[derive(Clone, Debug, Default)]
pub struct ElasticLogin {
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// Elastic Cloud's id of the deployment, `name:base64`.
    pub cloud_id: String,
    /// An API key in base64, as Kibana shows it.
    pub api_key: Secret,
    /// A service account's token.
    pub service_token: Secret,
    /// SHA-256 of the server's certificate, or of its authority's, in hexadecimal.
    pub fingerprint: String,
}

/// One client per pinned certificate.
#[derive(Debug, Default)]
pub(crate) struct Pinned(Mutex<Vec<([u8; 32], Client)>>);

impl Outlets {
    /// Indexes documents in one request, under ids of the server's choice. Without documents nothing is sent.
    ///
    /// # Errors
    ///
    /// One is not an object; the server can't be reached, is not the one with that certificate, or refuses some of them:
    /// the others are indexed then.
    pub async fn elastic(&self, documents: &Documents) -> Result<(), Error> {
        let invalid = |what: &str| Err(Error::invalid(Service::Elastic, what));
        if !documents.documents.iter().all(Value::is_object) {
            return invalid("a document is not an object");
        }
        if documents.index.is_empty() {
            return invalid("the index has no name");
        }
        if documents.documents.is_empty() {
            return Ok(());
        }
        let login = &documents.login;
        let server = if documents.url.trim().is_empty() && !login.cloud_id.is_empty() {
            cloud(&login.cloud_id)?
        } else {
            documents.url.clone()
        };
        let mut url = parse_url(Service::Elastic, &server, "the URL")?;
        let base = url.path().trim_end_matches('/').to_owned();
        let origin = url.origin().ascii_serialization();
        url.set_path(&format!("{base}/{}/_bulk", encode(&documents.index, "")));
        // What is left of an answer is short, however many documents there were.
        url.set_query(Some("filter_path=errors,items.*.status,items.*.error"));
        let mut request = Request::new(Service::Elastic, Method::POST, url);
        request.target = format!("{origin} index {:?}", documents.index);
        request = authorized(request, login)?;
        if !login.fingerprint.is_empty() {
            request.client = Some(self.pinned(&login.fingerprint)?);
        }
        let request =
            request.header("content-type", "application/x-ndjson")?.body(lines(&documents.documents));
        let answer = request.accept(self.send(&request).await?)?;
        let (status, attempts) = (answer.status, answer.attempts);
        let Some((status, reason)) = refusal(&answer.json(), documents.documents.len(), status) else {
            return Ok(());
        };
        let said = scrub(&reason, &request.secrets);
        Err(Error::refused(Service::Elastic, &request.target, status, &said, attempts))
    }

    /// A client that trusts this certificate alone.
    fn pinned(&self, fingerprint: &str) -> Result<Client, Error> {
        let pin = parse_fingerprint(fingerprint)?;
        let mut held = self.inner.elastic.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = held.iter().find(|(other, _)| *other == pin) {
            return Ok(client.clone());
        }
        let failed = || Error::invalid(Service::Elastic, "no client could be made for this certificate");
        let provider = Arc::new(default_provider());
        let tls = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|_| failed())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pin { pin, provider }))
            .with_no_client_auth();
        let guarded = !self.inner.config.allow_metadata_address;
        let client = builder(self.limits(), guarded).tls_backend_preconfigured(tls).build();
        let client = client.map_err(|_| failed())?;
        if held.len() >= MAX_PINNED {
            held.remove(0);
        }
        held.push((pin, client.clone()));
        Ok(client)
    }
}

/// The body of a bulk request. `create` is what data streams take, too.
fn lines(documents: &[Value]) -> String {
    documents.iter().fold(String::new(), |mut lines, document| {
        lines.extend(["{\"create\":{}}\n", &document.to_string(), "\n"]);
        lines
    })
}

/// What a bulk answer says of documents that were not indexed: the status of the first, and how many and why.
fn refusal(answer: &Value, sent: usize, status: u16) -> Option<(u16, String)> {
    if !answer.is_object() {
        return Some((
            status,
            "an answer that is no JSON: whether the documents are indexed is not known".to_owned(),
        ));
    }
    if answer["errors"] != true {
        return None;
    }
    let results = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let refused = results.iter().filter(|item| !item["create"]["error"].is_null());
    let (mut count, mut first) = (0, None);
    for item in refused {
        count += 1;
        first.get_or_insert(&item["create"]);
    }
    let first = first.unwrap_or(&Value::Null);
    let status = first["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(status);
    Some((status, format!("{count} of {sent} documents, the first for {}", first["error"])))
}

fn authorized(mut request: Request, login: &ElasticLogin) -> Result<Request, Error> {
    let ElasticLogin { username, password, api_key, service_token, .. } = login;
    let (value, secret) = if !service_token.is_empty() {
        (format!("Bearer {}", service_token.expose()), service_token)
    } else if !api_key.is_empty() {
        (format!("ApiKey {}", api_key.expose()), api_key)
    } else if !username.is_empty() {
        let both = format!("{username}:{}", password.expose());
        request.secrets.push(Secret::from(both.as_str()));
        (basic(&both), password)
    } else {
        return Ok(request);
    };
    request.credentials("authorization", &value, secret)
}

/// The server that a cloud's id names: `name:base64(host[:port]$elasticsearch$kibana)`.
fn cloud(id: &str) -> Result<String, Error> {
    let wrong =
        || Error::invalid(Service::Elastic, "cloudID is not one: copy it from Elastic Cloud's console");
    let encoded = id.rsplit(':').next().unwrap_or_default();
    let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(wrong)?;
    let mut parts = decoded.split('$');
    let (host, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if host.is_empty() || name.is_empty() {
        return Err(wrong());
    }
    let (host, port) = host.split_once(':').unwrap_or((host, "443"));
    Ok(format!("https://{name}.{host}:{port}"))
}

fn parse_fingerprint(text: &str) -> Result<[u8; 32], Error> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !matches!(c, ':' | ' ')).map_while(|c| Some(c.to_digit(16)? as u8)).collect();
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    let right = digits.len() == text.chars().filter(|c| !matches!(c, ':' | ' ')).count();
    bytes.try_into().ok().filter(|_| right).ok_or_else(|| {
        let what = "certificateFingerprint is not one: give SHA-256 in hexadecimal, 64 digits";
        Error::invalid(Service::Elastic, what)
    })
}

/// Trusts the server that has this certificate, and the servers whose certificates it signed. Names are not checked:
/// the fingerprint says who it is.
#[derive(Debug)]
struct Pin {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl Pin {
    fn is(&self, certificate: &CertificateDer<'_>) -> bool {
        digest::digest(&digest::SHA256, certificate).as_ref() == self.pin
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.is(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let Some(authority) = intermediates.iter().find(|certificate| self.is(certificate)) else {
            return Err(rustls::Error::General(
                "no certificate of the server has the fingerprint given".into(),
            ));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        match verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bulk_answer_refuses() {
        let one =
            |status: u16, error: Value| serde_json::json!({"create": {"status": status, "error": error}});
        let good = || serde_json::json!({"create": {"status": 201}});
        let bad = || one(400, serde_json::json!({"type": "mapper_parsing_exception"}));
        for (answer, expected) in [
            (serde_json::json!({"errors": false, "items": [good()]}), None),
            (serde_json::json!({}), None),
            (
                Value::Null,
                Some((
                    200,
                    "an answer that is no JSON: whether the documents are indexed is not known".to_owned(),
                )),
            ),
            (
                serde_json::json!({"errors": true, "items": [good(), bad(), one(429, "full".into())]}),
                Some((
                    400,
                    r#"2 of 3 documents, the first for {"type":"mapper_parsing_exception"}"#.to_owned(),
                )),
            ),
        ] {
            assert_eq!(refusal(&answer, 3, 200), expected);
        }
    }

    #[test]
    fn cloud_ids() {
        let id = |text: &str| format!("my deployment:{}", STANDARD.encode(text));
        let found = |text: &str| cloud(&id(text)).map_err(|error| error.to_string());
        assert_eq!(found("eu.elastic.test$abc$def").as_deref(), Ok("https://abc.eu.elastic.test:443"));
        assert_eq!(found("eu.elastic.test:9243$abc$").as_deref(), Ok("https://abc.eu.elastic.test:9243"));
        assert!(found("nothing").is_err());
        assert!(cloud("no base64!").is_err());
    }

    #[test]
    fn fingerprints() {
        let plain = "00ff".repeat(16);
        let colons = vec!["00:FF"; 16].join(":");
        assert_eq!(parse_fingerprint(&plain).unwrap(), parse_fingerprint(&colons).unwrap());
        for wrong in ["", "00ff", &"zz".repeat(32), &format!("{plain}0"), &format!("{}g", "0".repeat(63))] {
            assert!(parse_fingerprint(wrong).is_err(), "{wrong}");
        }
    }
}
