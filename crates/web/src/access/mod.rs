//! Who may see what: one middleware makes [`Access`], and every handler that shows traffic takes it.
//!
//! Traffic is secret. A server that listens on a user's machine is reached by every web page that the user opens:
//! browsers let pages connect to `ws://127.0.0.1`, and a page may point its own name at 127.0.0.1 (DNS rebinding). So
//! `Origin` and `Host` must name this machine, and no CORS header is ever sent. Ordinary clients send no `Origin` and
//! notice nothing. Whoever comes from elsewhere is let in as the [`Door`] says: by default not at all.

mod hosts;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{StatusCode, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::Response,
};

pub use self::hosts::Hosts;
use crate::error::{Failure, unknown_method, unknown_path};

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

/// How those are let in that do not come from this machine.
#[derive(Clone, Debug, Default)]
pub enum Door {
    /// Not at all.
    #[default]
    Loopback,
    /// Everybody is.
    Open,
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
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let peer = peer.ip().to_canonical();
    hosts::check_host(&guard.hosts, &request, peer)?;
    hosts::check_origin(&guard.hosts, request.headers())?;
    let access = guard.door.admit(peer)?;
    request.extensions_mut().insert(access);
    Ok(next.run(request).await)
}

impl Door {
    fn admit(&self, peer: IpAddr) -> Result<Access, Failure> {
        if peer.is_loopback() {
            return Ok(Access::of("this machine"));
        }
        match self {
            Self::Open => Ok(Access::of("anybody")),
            Self::Loopback => Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                format!(
                    "Traffic is shown only to clients on this machine, and you come from {peer}. \
                     Forward a port, for example with `kubectl port-forward` or `ssh -L 8899:127.0.0.1:8899`."
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_let_in_unless_the_door_is_open() {
        for (peer, is_here) in
            [("127.0.0.1", true), ("127.1.2.3", true), ("::1", true), ("10.0.0.7", false), ("fe80::1", false)]
        {
            let admitted = |door: Door| door.admit(peer.parse().unwrap());
            assert_eq!(admitted(Door::default()).is_ok(), is_here, "{peer}");
            assert!(admitted(Door::Open).is_ok(), "{peer}");
        }
        let refused = Door::Loopback.admit([10, 0, 0, 7].into()).unwrap_err();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    }
}
