//! Whose token is it? The two places where a request may carry one.
//!
//! Programs write it into `Authorization` (RFC 6750 §2.1). A browser cannot do that for a WebSocket, but it can offer
//! subprotocols, so Kubernetes lets one of them be the token:
//! `Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.BASE64URL, v1.example`. That one is never chosen and
//! goes no further than here; another must be offered beside it, which is chosen, because a browser wants one to be.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;

use crate::error::Failure;

/// The subprotocol that is a token, as Kubernetes has it.
const SUBPROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Longest token, in bytes. Those of Kubernetes have some 1500.
const LONGEST: usize = 32 * 1024;

/// Who knows whose a token is, and whether they may see traffic.
pub trait Judge: Send + Sync + 'static {
    /// The name of its owner, who may; 401 for a token that is nobody's, 403 for an owner who may not, 503 where it
    /// cannot be found out.
    fn judge<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Arc<str>, Failure>>;
}

/// A token that a request carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    /// The subprotocol that is chosen, where the token was one.
    pub(super) chosen: Option<HeaderValue>,
}

/// Takes the token out of the headers, so that nobody further on meets it. `Ok(None)` where there is none.
pub(super) fn take(headers: &mut HeaderMap) -> Result<Option<Token>, &'static str> {
    let protocols = from_protocols(headers)?;
    let Some(value) = headers.remove(header::AUTHORIZATION) else { return Ok(protocols) };
    let (scheme, text) = value.to_str().unwrap_or_default().split_once(' ').unwrap_or_default();
    let text = text.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || text.is_empty() || text.len() > LONGEST {
        return Err("The Authorization header is not `Bearer TOKEN`.");
    }
    Ok(Some(Token { text: text.to_owned(), chosen: protocols.and_then(|token| token.chosen) }))
}

fn from_protocols(headers: &mut HeaderMap) -> Result<Option<Token>, &'static str> {
    let mut others = Vec::new();
    let mut token = None;
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for offered in value.to_str().unwrap_or_default().split(',').map(str::trim) {
            match offered.strip_prefix(SUBPROTOCOL) {
                Some(_) if token.is_some() => return Err("Two subprotocols are tokens."),
                Some(text) => token = Some(decoded(text)?),
                None if offered.is_empty() => {}
                None => others.push(offered.to_owned()),
            }
        }
    }
    let Some(text) = token else { return Ok(None) };
    let Some(chosen) = others.first().and_then(|first| HeaderValue::from_str(first).ok()) else {
        return Err(
            "Offer another subprotocol beside the token, such as v1.kubeshark: a token is never chosen.",
        );
    };
    headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    if let Ok(others) = HeaderValue::from_str(&others.join(", ")) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, others);
    }
    Ok(Some(Token { text, chosen: Some(chosen) }))
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let bytes = if text.len() > LONGEST { None } else { URL_SAFE_NO_PAD.decode(text).ok() };
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.is_empty())
        .ok_or("The subprotocol that should be a token is not base64url without padding.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token, what is chosen, and what is offered further on.
    fn taken(headers: &[(&'static str, &str)]) -> Result<Option<(String, String, String)>, &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let token = take(&mut map)?;
        assert!(!format!("{map:?}").contains("c2VjcmV0") && !format!("{map:?}").contains("secret"));
        let text = |value: Option<&HeaderValue>| value.map_or("", |value| value.to_str().unwrap()).to_owned();
        let offered = text(map.get(header::SEC_WEBSOCKET_PROTOCOL));
        Ok(token.map(|token| (token.text, text(token.chosen.as_ref()), offered)))
    }

    #[test]
    fn a_token_is_taken_from_where_it_may_be() {
        let found =
            |text: &str, chosen: &str, offered: &str| Ok(Some((text.into(), chosen.into(), offered.into())));
        let protocol = "base64url.bearer.authorization.k8s.io.c2VjcmV0";
        for (headers, expected) in [
            (&[][..], Ok(None)),
            (&[("authorization", "Bearer secret")], found("secret", "", "")),
            (&[("authorization", "bearer  secret ")], found("secret", "", "")),
            (&[("authorization", "Basic secret")], Err("The Authorization header is not `Bearer TOKEN`.")),
            (&[("authorization", "Bearer ")], Err("The Authorization header is not `Bearer TOKEN`.")),
            (&[("sec-websocket-protocol", "a, b")], Ok(None)),
            (&[("sec-websocket-protocol", &format!("{protocol}, a, b"))], found("secret", "a", "a, b")),
            (
                &[("sec-websocket-protocol", "a"), ("sec-websocket-protocol", protocol)],
                found("secret", "a", "a"),
            ),
            (
                &[("sec-websocket-protocol", protocol)],
                Err(
                    "Offer another subprotocol beside the token, such as v1.kubeshark: a token is never chosen.",
                ),
            ),
            (
                &[("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.%%%, a")],
                Err("The subprotocol that should be a token is not base64url without padding."),
            ),
            (
                &[("sec-websocket-protocol", &format!("{protocol}, {protocol}, a"))],
                Err("Two subprotocols are tokens."),
            ),
        ] {
            assert_eq!(taken(headers), expected, "{headers:?}");
        }
    }
}
