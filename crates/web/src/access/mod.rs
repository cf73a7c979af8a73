//! Who may see what: one middleware makes [`Access`], and every handler that shows traffic takes it.
//!
//! Traffic is secret. A server that listens on a user's machine is reached by every web page that the user opens:
//! browsers let pages connect to `ws://127.0.0.1`, and a page may point its own name at 127.0.0.1 (DNS rebinding). So
//! `Origin` and `Host` must name this machine, and no CORS header is ever sent. Ordinary clients send no `Origin` and
//! notice nothing. Whoever comes from elsewhere is let in as the [`Door`] says: by default not at all.

mod hosts;
mod token;

use std::{fmt, net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};

use self::token::Token;
pub use self::{hosts::Hosts, token::Judge};
use crate::{
    error::{Failure, unknown_method, unknown_path},
    tls::Caller,
};

/// What its holder may see. Today that is everything: who is not let in has none.
#[derive(Clone, Debug)]
pub struct Access {
    who: Arc<str>,
}

impl Access {
    fn of(who: &str) -> Self {
        Self { who: who.into() }
    }

    /// Who it is, in words for a person.
    pub fn who(&self) -> &str {
        &self.who
    }
}

/// Taken from the request, where the middleware left it.
impl<S: Sync> FromRequestParts<S> for Access {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "This route stands outside the access check.")
        })
    }
}

/// Who is let in.
#[derive(Clone, Default)]
pub enum Door {
    /// Only this machine.
    #[default]
    Loopback,
    /// Everybody.
    Open,
    /// This machine, and whoever has a token that passes.
    Token(Arc<dyn Judge>),
    /// Whoever has shown the certificate of a hub, and nobody else.
    Hub,
}

/// What stands before the routes.
#[derive(Clone, Debug, Default)]
struct Guard {
    door: Door,
    hosts: Hosts,
}

/// Stands before all routes: `traffic` may be asked only from this machine, or by whom the door lets in, and never by a
/// foreign web page. `open` (health, metrics) shows no traffic and may be asked by anybody, under any name: the kubelet
/// and Prometheus call a process by the address of its pod, which it does not know. Paths that neither has are answered
/// with 404.
pub fn protect(traffic: Router, open: Router, hosts: Hosts, door: Door) -> Router {
    traffic
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(Guard { door, hosts }, let_in))
        .merge(open)
}

async fn let_in(
    State(guard): State<Guard>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let peer = caller.address.ip().to_canonical();
    hosts::check_host(&guard.hosts, &request, peer)?;
    hosts::check_origin(&guard.hosts, request.headers())?;
    // Whoever needs none may carry one that we do not understand.
    let token = token::take(request.headers_mut());
    let (access, chosen) = guard.door.admit(peer, caller.is_hub, token).await?;
    request.extensions_mut().insert(access);
    let mut response = next.run(request).await;
    if let Some(chosen) = chosen.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    Ok(response)
}

/// What those get who are not let in.
struct Refused {
    failure: Failure,
    /// A token would help.
    wants_token: bool,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, wants_token: false }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let is_challenge = self.wants_token && self.failure.status() == StatusCode::UNAUTHORIZED;
        let mut response = self.failure.into_response();
        if is_challenge {
            // RFC 6750 §3
            let challenge = HeaderValue::from_static("Bearer realm=\"kubeshark\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Door {
    /// Who it is, and the subprotocol to be chosen where a token was one.
    async fn admit(
        &self,
        peer: IpAddr,
        is_hub: bool,
        token: Result<Option<Token>, &'static str>,
    ) -> Result<(Access, Option<HeaderValue>), Refused> {
        let unknown = |message: String| Failure::new(StatusCode::UNAUTHORIZED, message);
        let chosen = |token: &Result<Option<Token>, _>| token.as_ref().ok()?.as_ref()?.chosen.clone();
        match self {
            Self::Hub if is_hub => Ok((Access::of("hub"), chosen(&token))),
            Self::Hub => Err(unknown(
                "Only health and metrics are shown without the certificate of a hub. Ask the hub, \
                 or forward this worker's port with `kubeshark proxy --worker NODE`."
                    .into(),
            )
            .into()),
            _ if peer.is_loopback() => Ok((Access::of("this machine"), chosen(&token))),
            Self::Open => Ok((Access::of("anybody"), chosen(&token))),
            Self::Loopback => Err(unknown(format!(
                "Traffic is shown only to clients on this machine, and you come from {peer}. \
                 Forward a port, for example with `kubectl port-forward` or `ssh -L 8899:127.0.0.1:8899`."
            ))
            .into()),
            Self::Token(judge) => {
                let refused = |failure| Refused { failure, wants_token: true };
                let token = token.map_err(|why| refused(unknown(why.into())))?.ok_or_else(|| {
                    refused(unknown(
                        "Send a token of Kubernetes (`Authorization: Bearer …`; `kubectl create token` makes one), \
                         or forward a port with `kubectl port-forward` or `kubeshark proxy`."
                            .into(),
                    ))
                })?;
                let who = judge.judge(&token.text).await.map_err(refused)?;
                Ok((Access { who }, token.chosen))
            }
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "Loopback",
            Self::Open => "Open",
            Self::Token(_) => "Token",
            Self::Hub => "Hub",
        })
    }
}

#[cfg(test)]
mod tests;
