//! Under which names a server may be called, and by whose pages.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, header, uri::Authority},
};

use crate::error::Failure;

/// The names under which a server may be called: `localhost`, loopback addresses, and what else was configured.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<[Box<str>]>);

impl Hosts {
    /// Loopback, and these names or addresses (without ports: any port will do).
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(names.into_iter().map(|name| name.as_ref().to_ascii_lowercase().into()).collect())
    }

    /// Whether `authority`, a host with or without a port, is one of them.
    fn allow(&self, authority: &str) -> bool {
        let Some(host) = without_port(authority) else { return false };
        let host = host.to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let loopback = match bare {
            Some(ip) => ip.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()),
            None => host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
        };
        loopback || self.0.iter().any(|name| **name == *host || Some(&**name) == bare)
    }

    /// Whether `origin`, as RFC 6454 §7 writes it, is a page that one of them served.
    fn allow_origin(&self, origin: &str) -> bool {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| self.allow(authority))
    }
}

/// `host` of `host`, `host:port`, `[v6]` or `[v6]:port`; `None` if it is none of these.
fn without_port(authority: &str) -> Option<&str> {
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let port = port.strip_prefix(':').unwrap_or(if port.is_empty() { "0" } else { port });
    (!host.is_empty() && port.parse::<u16>().is_ok()).then_some(host)
}

/// Whether the request calls us by a name of ours. From elsewhere an address will do as well: only a name can be pointed
/// at what its owner may not reach, and no process knows all the addresses that lead to it.
pub(super) fn check_host(hosts: &Hosts, request: &Request, peer: IpAddr) -> Result<(), Failure> {
    let allowed = |host: &str| hosts.allow(host) || !peer.is_loopback() && is_address(host);
    let mut named =
        texts(request.headers(), header::HOST).chain(request.uri().authority().map(Authority::as_str));
    let Some(first) = named.next() else {
        return Err(Failure::forbidden(
            "The request has no Host header. Use HTTP/1.1 and name this server in it.",
        ));
    };
    match [first].into_iter().chain(named).find(|host| !allowed(host)) {
        None => Ok(()),
        Some(unknown) => Err(Failure::forbidden(format!(
            "The Host header names {}, which is not a name of this server. \
             Call it localhost or 127.0.0.1, or start it with `--allowed-hosts` and that name.",
            quoted(unknown)
        ))),
    }
}

/// Whether the request comes from no page, or from one that we served.
pub(super) fn check_origin(hosts: &Hosts, headers: &HeaderMap) -> Result<(), Failure> {
    match texts(headers, header::ORIGIN).find(|origin| !hosts.allow_origin(origin)) {
        None => Ok(()),
        Some(foreign) => Err(Failure::forbidden(format!(
            "The Origin header names {}, and web pages from elsewhere may not read the traffic of this machine. \
             Send no Origin, open the page from localhost, or start the server with `--allowed-hosts` and that host.",
            quoted(foreign)
        ))),
    }
}

/// Whether `authority` names its host by an address.
fn is_address(authority: &str) -> bool {
    let Some(host) = without_port(authority) else { return false };
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    }
}

/// All values of a header; one that is not text reads as empty, which no check lets pass.
fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or_default())
}

/// A stranger's text, short enough to be repeated.
fn quoted(text: &str) -> String {
    format!("{:?}", &text[..text.floor_char_boundary(100)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_hosts_are_allowed() {
        let hosts = Hosts::new(["kubeshark.example", "10.1.2.3", "fd00::1"]);
        for (authority, allowed) in [
            ("localhost", true),
            ("LOCALHOST:8899", true),
            ("127.0.0.1:1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("[::1]:8899", true),
            ("kubeshark.example:443", true),
            ("Kubeshark.Example", true),
            ("10.1.2.3:8899", true),
            ("[fd00::1]:8899", true),
            ("", false),
            (":8899", false),
            ("::1", false),
            ("[::2]:8899", false),
            ("[::1", false),
            ("[::1]x", false),
            ("localhost:", false),
            ("localhost:port", false),
            ("localhost:1:2", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evil.example", false),
            ("user@localhost", false),
            ("128.0.0.1", false),
            ("2130706433", false),
        ] {
            assert_eq!(hosts.allow(authority), allowed, "{authority}");
        }
    }

    #[test]
    fn only_pages_of_known_hosts_are_allowed() {
        for (origin, allowed) in [
            ("http://localhost:8899", true),
            ("https://127.0.0.1", true),
            ("http://[::1]:3000", true),
            ("null", false),
            ("", false),
            ("http://", false),
            ("file://localhost", false),
            ("http://evil.example", false),
            ("http://localhost.evil.example:8899", false),
            ("http://evil.example/localhost", false),
        ] {
            assert_eq!(Hosts::default().allow_origin(origin), allowed, "{origin}");
        }
    }

    #[test]
    fn from_elsewhere_an_address_will_do_but_no_other_name() {
        let asked = |peer: &str, host: &str| {
            let request =
                Request::get("/").header(header::HOST, host).body(axum::body::Body::empty()).unwrap();
            check_host(&Hosts::new(["hub.example"]), &request, peer.parse().unwrap()).is_ok()
        };
        for (host, here, elsewhere) in [
            ("10.1.2.3:8899", false, true),
            ("[fd00::1]:8899", false, true),
            ("hub.example", true, true),
            ("evil.example", false, false),
            ("10.1.2.3.evil.example", false, false),
            ("", false, false),
        ] {
            assert_eq!(asked("127.0.0.1", host), here, "{host}");
            assert_eq!(asked("10.9.9.9", host), elsewhere, "{host}");
        }
    }
}
