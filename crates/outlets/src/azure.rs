//! Azure Blob Storage: one file, one Put Blob, signed with the account's key.

use std::{path::Path, time::SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, Url, header::HeaderName};
use ring::hmac;

use crate::{
    Outlets,
    error::{Error, Service},
    http::{Body, Request, content_type, encode, file_len, parse_url},
    secret::Secret,
};

/// The version of the API that is spoken.
const VERSION: &str = "2021-08-06";
/// The largest Put Blob of that version, in bytes.
const MAX_BLOB: u64 = 5000 << 20;

/// Who writes: a name and a key, or a connection string, which has both.
#[derive(Clone, Debug, Default)]
pub struct AzureAccount {
    /// The storage account's name.
    pub name: String,
    /// Its key, in base64 as Azure shows it.
    pub key: Secret,
    /// A connection string, used in place of name and key if it is not empty. A shared access signature in it will do.
    pub connection: Secret,
}

/// What an account comes down to.
struct Access {
    endpoint: String,
    name: String,
    login: Login,
}

enum Login {
    Key(Secret),
    /// A query.
    SharedAccess(Secret),
}

impl Outlets {
    /// Uploads a file and gives its URL: `https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME`.
    ///
    /// # Errors
    ///
    /// The account is incomplete; the file can't be read or is above 5,000 MiB; Azure can't be reached or refuses it.
    pub async fn azure_put(
        &self,
        container: &str,
        name: &str,
        path: &Path,
        account: &AzureAccount,
    ) -> Result<String, Error> {
        if container.is_empty() || name.is_empty() {
            return Err(Error::invalid(Service::Azure, "the container or the blob has no name"));
        }
        let access = Access::of(account, self.endpoints().azure.as_deref())?;
        let blob = access.blob(container, name);
        let len = file_len(Service::Azure, path).await?;
        if len > MAX_BLOB {
            return Err(Error::invalid(
                Service::Azure,
                format!("{len} bytes are too many: the limit is {MAX_BLOB}"),
            ));
        }
        let mut url = parse_url(Service::Azure, &blob, "the account's endpoint")?;
        if let Login::SharedAccess(query) = &access.login {
            url.set_query(Some(query.expose().trim_start_matches('?')));
        }
        let mut request = Request::new(Service::Azure, Method::PUT, url)
            .header("content-type", content_type(path))?
            .header("x-ms-blob-type", "BlockBlob")?
            .header("x-ms-date", &httpdate::fmt_http_date(SystemTime::now()))?
            .header("x-ms-version", VERSION)?;
        request.target = format!("container {container:?} of {:?}", access.name);
        request.secrets.push(account.connection.clone());
        request.body = Body::File { path: path.to_owned(), len };
        let request = match &access.login {
            Login::Key(key) => sign(request, &access.name, key, len)?,
            Login::SharedAccess(query) => {
                request.secrets.push(query.clone());
                request
            }
        };
        request.accept(self.send(&request).await?)?;
        Ok(blob)
    }

    /// The URL of a blob, there or not.
    ///
    /// # Errors
    ///
    /// The account is incomplete.
    pub fn azure_url(&self, container: &str, name: &str, account: &AzureAccount) -> Result<String, Error> {
        Ok(Access::of(account, self.endpoints().azure.as_deref())?.blob(container, name))
    }
}

impl Access {
    fn of(account: &AzureAccount, endpoint: Option<&str>) -> Result<Self, Error> {
        let invalid = |what: &str| Err(Error::invalid(Service::Azure, what));
        let text = account.connection.expose();
        let find = |key: &str| {
            let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
            pairs
                .filter(|(held, _)| held.trim().eq_ignore_ascii_case(key))
                .map(|(_, value)| value.trim())
                .next()
        };
        let (name, login) = if text.is_empty() {
            (account.name.clone(), Login::Key(account.key.clone()))
        } else if let (Some(name), Some(key)) = (find("AccountName"), find("AccountKey")) {
            (name.to_owned(), Login::Key(key.into()))
        } else if let (Some(query), Some(url)) = (find("SharedAccessSignature"), find("BlobEndpoint")) {
            let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
            (host.unwrap_or_default(), Login::SharedAccess(query.into()))
        } else {
            return invalid(
                "the connection string has no AccountName and AccountKey, and no BlobEndpoint and SharedAccessSignature",
            );
        };
        if name.is_empty() || matches!(&login, Login::Key(key) if key.is_empty()) {
            return invalid("there is no account: give accountName and accountKey, or connectionString");
        }
        let is_name =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        if !is_name(&name) {
            return Err(Error::invalid(Service::Azure, format!("{name:?} is not an account's name")));
        }
        let suffix = find("EndpointSuffix").unwrap_or("core.windows.net");
        let scheme = find("DefaultEndpointsProtocol").unwrap_or("https");
        let endpoint = match (endpoint, find("BlobEndpoint")) {
            (Some(own), _) => format!("{}/{name}", own.trim_end_matches('/')),
            (None, Some(given)) => given.trim_end_matches('/').to_owned(),
            (None, None) => format!("{scheme}://{name}.blob.{suffix}"),
        };
        Ok(Self { endpoint, name, login })
    }

    fn blob(&self, container: &str, name: &str) -> String {
        format!("{}/{}/{}", self.endpoint, encode(container, "$"), encode(name, "/"))
    }
}

/// Authorizes with the account's key ("Authorize with Shared Key", of Azure's REST reference).
fn sign(request: Request, account: &str, key: &Secret, len: u64) -> Result<Request, Error> {
    let wrong =
        |_| Error::invalid(Service::Azure, "the account's key is not base64: give it as Azure shows it");
    let bytes = STANDARD.decode(key.expose().trim()).map_err(wrong)?;
    let text = text_to_sign(&request, account, len);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), text.as_bytes());
    request.credentials("authorization", &format!("SharedKey {account}:{}", STANDARD.encode(signature)), key)
}

fn text_to_sign(request: &Request, account: &str, len: u64) -> String {
    let header =
        |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let len = if len == 0 { String::new() } else { len.to_string() };
    let mut own: Vec<_> =
        request.headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-ms-")).collect();
    own.sort_unstable();
    let own = own.iter().fold(String::new(), |all, name| all + name + ":" + header(name) + "\n");
    // Content-Encoding, -Language, -Length, -MD5, -Type, Date, four conditions, Range.
    format!(
        "{}\n\n\n{len}\n\n{}\n\n\n\n\n\n\n{own}/{account}{}",
        request.method,
        header("content-type"),
        request.url.path()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(connection: &str, own: Option<&str>) -> Result<String, String> {
        let account = AzureAccount { connection: connection.into(), ..AzureAccount::default() };
        Access::of(&account, own).map(|access| access.endpoint).map_err(|error| error.to_string())
    }

    #[test]
    fn connection_strings() {
        let full = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5PT0=;EndpointSuffix=core.chinacloudapi.cn";
        assert_eq!(endpoint(full, None).as_deref(), Ok("https://acc.blob.core.chinacloudapi.cn"));
        assert_eq!(
            endpoint(full, Some("http://127.0.0.1:10000/")).as_deref(),
            Ok("http://127.0.0.1:10000/acc")
        );
        let shared = "BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x%3D";
        assert_eq!(endpoint(shared, None).as_deref(), Ok("https://acc.blob.core.windows.net"));
        assert!(endpoint("AccountName=acc", None).unwrap_err().contains("has no AccountName and AccountKey"));
        assert!(endpoint("", None).unwrap_err().contains("there is no account"));
        assert!(
            endpoint("AccountName=a/b;AccountKey=x", None).unwrap_err().contains("not an account's name")
        );
    }

    #[test]
    fn what_is_signed() {
        let url = Url::parse("https://acc.blob.core.windows.net/c/n_1/a%20b.pcap").unwrap();
        let request = Request::new(Service::Azure, Method::PUT, url)
            .header("content-type", "text/plain")
            .and_then(|request| request.header("x-ms-version", VERSION))
            .and_then(|request| request.header("x-ms-blob-type", "BlockBlob"))
            .unwrap();
        let expected = "PUT\n\n\n11\n\ntext/plain\n\n\n\n\n\n\nx-ms-blob-type:BlockBlob\nx-ms-version:2021-08-06\n/acc/c/n_1/a%20b.pcap";
        assert_eq!(text_to_sign(&request, "acc", 11), expected);
    }
}
