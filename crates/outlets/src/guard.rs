//! Addresses that give out a cloud's credentials to whoever can reach them. A script says where a worker connects to,
//! and a worker's node has rights that a script's author does not have.

use std::{
    error::Error as StdError,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// An address is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forbidden;

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address gives out the cloud's credentials")
    }
}

impl StdError for Forbidden {}

/// Whether a cloud's credentials are given out there:
/// link-local addresses (AWS, Azure, Google Cloud, Oracle; also 169.254.170.2 and .23 of ECS and EKS),
/// the addresses of AWS and Google Cloud for IPv6, Alibaba's 100.100.100.200, Oracle Classic's 192.0.0.192, and
/// 168.63.129.16, from which Azure's machines take their configuration.
pub(crate) fn gives_credentials(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || v4 == Ipv4Addr::new(100, 100, 100, 200)
                || v4 == Ipv4Addr::new(192, 0, 0, 192)
                || v4 == Ipv4Addr::new(168, 63, 129, 16)
        }
        IpAddr::V6(v6) => {
            let bytes = v6.octets();
            let inner = |at: usize| {
                let four = bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
                four.is_some_and(|four| gives_credentials(IpAddr::from(four)))
            };
            v6.is_unicast_link_local()
                || bytes.starts_with(&[0xfd, 0x00, 0x0e, 0xc2])
                || v6 == Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)
                // An IPv4 address inside: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible (RFC 4291).
                || (bytes.starts_with(&[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]) && inner(12))
                || (bytes.starts_with(&[0x20, 0x02]) && inner(2))
                || (bytes.starts_with(&[0; 12]) && inner(12))
        }
    }
}

/// Names that lead there, for where a proxy resolves them.
fn is_metadata_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    ["metadata", "metadata.goog", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"]
        .contains(&name.as_str())
}

/// Checks what a URL says by itself; what its name resolves to is checked by the resolver.
pub(crate) fn permit_url(url: &Url) -> Result<(), Forbidden> {
    let Some(host) = url.host_str() else { return Ok(()) };
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if literal.is_ok_and(gives_credentials) || is_metadata_name(host) { Err(Forbidden) } else { Ok(()) }
}

/// The system's resolver. One forbidden address among its answers, and none of them is used.
#[derive(Debug)]
pub(crate) struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(permit_all(found)?.into_iter()) as Addrs)
        })
    }
}

fn permit_all(found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
    if found.iter().any(|address| gives_credentials(address.ip())) { Err(Forbidden) } else { Ok(found) }
}

/// Whether this is what an error came from.
pub(crate) fn caused(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<Forbidden>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_it() {
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0251.0376.0251.0376/",
            "http://169.254.170.2/v2/credentials",
            "http://[fd00:ec2::254]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[fe80::a9fe:a9fe]/",
            "http://[fd20:ce::254]/",
            "http://100.100.100.200/",
            "http://user@169.254.169.254:80/",
            "http://Metadata.Google.Internal./",
            "http://metadata/",
        ] {
            assert!(permit_url(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
    }

    #[test]
    fn others_may_be_reached() {
        for url in [
            "https://hooks.slack.com/services/x",
            "http://127.0.0.1:8086",
            "http://10.0.0.1",
            "http://[::1]:80",
            "http://[fd00:10:96::a]/",
            "http://[64:ff9b::a00:1]/",
            "http://metadata.example.com/",
            "http://169.253.169.254/",
        ] {
            assert!(permit_url(&Url::parse(url).unwrap()).is_ok(), "{url}");
        }
    }

    #[test]
    fn one_bad_answer_spoils_all() {
        let at = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        assert!(permit_all(vec![at("10.0.0.1"), at("fd00:ec2::254")]).is_err());
        assert_eq!(permit_all(vec![at("10.0.0.1"), at("::1")]).unwrap().len(), 2);
    }
}
