//! Any HTTP server.

use reqwest::Method;

use crate::{
    Outlets,
    error::{Error, Service},
    http::{Request, parse_url},
    secret::Secret,
};

/// A request to be made.
#[derive(Clone, Debug, Default)]
pub struct Webhook {
    /// `GET`, `POST`, … in any case.
    pub method: String,
    /// Where to.
    pub url: String,
    /// What is sent; nothing if empty. What is a JSON object or array is said to be JSON, unless a header says otherwise.
    pub body: String,
    /// Headers to add; their values count as secrets.
    pub headers: Vec<(String, String)>,
}

/// A form to be sent as `multipart/form-data` (RFC 7578).
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// `POST` or `PUT`, in any case.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 to 299.
    pub status: u16,
    /// At most `Limits::response_bytes` of its body.
    pub body: String,
}

impl Outlets {
    /// Makes a request.
    ///
    /// # Errors
    ///
    /// It can't be made, or the answer's status is not in 200 to 299.
    pub async fn webhook(&self, hook: Webhook) -> Result<Response, Error> {
        let mut request = begin(&hook.method, &hook.url)?;
        if !hook.body.is_empty() {
            request = request.header("content-type", content_type(&hook.body))?;
        }
        for (name, value) in &hook.headers {
            request = request.credentials(name, value, &Secret::from(value.as_str()))?;
        }
        self.exchange(request.body(hook.body)).await
    }

    /// Sends a form.
    ///
    /// # Errors
    ///
    /// As for [`webhook`](Self::webhook).
    pub async fn webhook_form(&self, form: Form) -> Result<Response, Error> {
        let boundary = format!("kubeshark-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let request = begin(&form.method, &form.url)?
            .header("content-type", &format!("multipart/form-data; boundary={boundary}"))?
            .body(multipart(&form.fields, &boundary));
        self.exchange(request).await
    }

    async fn exchange(&self, request: Request) -> Result<Response, Error> {
        let answer = request.accept(self.send(&request).await?)?;
        Ok(Response { status: answer.status, body: answer.text() })
    }
}

fn begin(method: &str, url: &str) -> Result<Request, Error> {
    let url = parse_url(Service::Webhook, url, "the URL")?;
    let method = Method::from_bytes(method.trim().to_ascii_uppercase().as_bytes()).map_err(|_| {
        Error::invalid(Service::Webhook, format!("{method:?} is not an HTTP method: try \"POST\""))
    })?;
    Ok(Request::new(Service::Webhook, method, url))
}

fn content_type(body: &str) -> &'static str {
    let is_json = body.trim_start().starts_with(['{', '['])
        && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
    if is_json { "application/json" } else { "text/plain; charset=utf-8" }
}

fn multipart(fields: &[(String, String)], boundary: &str) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        // RFC 7578 section 2, as browsers escape it.
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        body.extend([
            "--",
            boundary,
            "\r\nContent-Disposition: form-data; name=\"",
            &name,
            "\"\r\n\r\n",
            value,
            "\r\n",
        ]);
    }
    body.extend(["--", boundary, "--\r\n"]);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_looks() {
        for (body, expected) in [
            ("{\"a\":1}", "application/json"),
            (" [1]", "application/json"),
            ("{a}", "text/plain; charset=utf-8"),
            ("12", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(content_type(body), expected, "{body}");
        }
    }

    #[test]
    fn fields_can_not_break_out() {
        let fields = [("a\"\r\nb".to_owned(), "1".to_owned())];
        assert_eq!(
            multipart(&fields, "X"),
            "--X\r\nContent-Disposition: form-data; name=\"a%22%0D%0Ab\"\r\n\r\n1\r\n--X--\r\n"
        );
    }

    #[test]
    fn a_method_that_is_none() {
        let error = begin("PO ST", "http://host").unwrap_err();
        assert_eq!(error.to_string(), "webhook: \"PO ST\" is not an HTTP method: try \"POST\"");
    }
}
