//! A web page from elsewhere must not read the traffic of this machine.

use support::{program::get, watch::Watcher};

use crate::{Cluster, capture};

#[test]
fn foreign_origins_and_unknown_hosts_are_refused() {
    let cluster = Cluster::of(&[capture("demo")]);
    let port = cluster.hub.address.port();
    let local = format!("http://localhost:{port}");
    let own = cluster.addresses[0].to_string();
    for (address, paths) in [
        (cluster.hub(), &["/api/status", "/api/wsFull", "/status"][..]),
        (own, &["/status", "/wsFull", "/hub"]),
    ] {
        for path in paths {
            for (name, value) in [
                ("origin", "https://evil.example"),
                ("origin", "null"),
                ("origin", "http://127.0.0.1.evil.example"),
                ("host", "evil.example"),
                ("host", &format!("127.0.0.1.evil.example:{port}")),
            ] {
                let (status, body) = get(&address, path, &[(name, value)]);
                assert!(matches!(status, 403 | 421), "{path} with {name}: {value}: {status} {body}");
                if path.contains("ws") {
                    let refused = Watcher::connect_with(&address, path, &[(name, value)]).err();
                    assert_eq!(refused, Some(status), "{path} with {name}: {value}");
                }
            }
        }
    }
    for (name, value) in [("origin", local.as_str()), ("host", "localhost"), ("host", "[::1]")] {
        assert_eq!(get(&cluster.hub(), "/api/status", &[(name, value)]).0, 200, "{name}: {value}");
        assert!(
            Watcher::connect_with(&cluster.hub(), "/api/wsFull", &[(name, value)]).is_ok(),
            "{name}: {value}"
        );
    }
}

#[test]
fn health_answers_under_any_name() {
    let cluster = Cluster::of(&[capture("demo")]);
    for address in [cluster.hub(), cluster.addresses[0].to_string()] {
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(get(&address, path, &[("host", "10.42.0.7:8899")]).0, 200, "{path}");
        }
    }
}
