//! Who a worker is: its name in the ids of its entries, and the number of its start.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    net::{Ipv4Addr, SocketAddr},
    time::{SystemTime, UNIX_EPOCH},
};

use api::Node;
use tracing::warn;

use crate::{Config, Error, Input, SourceConfig};

/// The worker that listens on `address`, as its entries have it.
pub(crate) fn node(config: &Config, address: SocketAddr) -> Result<Node, Error> {
    let worker = match &config.advertise {
        Some(name) => advertised(name, address.port()).ok_or_else(|| Error::Advertise(name.clone()))?,
        None if address.ip().is_unspecified() => {
            let worker = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())).to_string();
            warn!(
                %address,
                worker,
                "The worker listens on all addresses and so has no name of its own; name one with --advertise"
            );
            worker
        }
        None => address.to_string(),
    };
    let ip = worker.rsplit_once(':').map_or(&*worker, |(host, _)| host);
    let ip = ip.trim_start_matches('[').trim_end_matches(']').into();
    Ok(Node { ip, name: config.node.as_str().into(), worker: worker.into() })
}

/// `host:port` of `host:port` or `host`, where an IPv6 address may stand without brackets if no port follows.
fn advertised(name: &str, port: u16) -> Option<String> {
    // An id is `WORKER/STREAM-INDEX` and a part of a path.
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || "/?#@%".contains(c))
    {
        return None;
    }
    if let Ok(ip) = name.trim_start_matches('[').trim_end_matches(']').parse() {
        return (!std::net::IpAddr::is_unspecified(&ip)).then(|| SocketAddr::new(ip, port).to_string());
    }
    if name.parse().is_ok_and(|address: SocketAddr| address.ip().is_unspecified()) {
        return None;
    }
    match name.rsplit_once(':') {
        None => Some(format!("{name}:{port}")),
        Some((host, port)) => {
            let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
            let sound = !host.is_empty() && !bare_v6 && port.parse().is_ok_and(|port: u16| port > 0);
            sound.then(|| name.to_owned())
        }
    }
}

/// The number that tells this start of the worker from any other, so that nobody resumes in a store that was numbered
/// anew.
///
/// One file gives the same entries in the same order each time, whatever the number of threads: its number is made of
/// what they depend on, and a hub resumes behind what it got before the worker was restarted. What is live never comes
/// again, and the entries of several files are stored as they happen to be read: such a start has a number of its own.
pub(crate) fn boot(config: &Config) -> u64 {
    repeatable(config)
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64)
}

fn repeatable(config: &Config) -> Option<u64> {
    let [SourceConfig { input: Input::File(path), filter, .. }] = &*config.sources else { return None };
    let file = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut hasher = DefaultHasher::new();
    (path, file.len(), file.modified().ok()?, filter).hash(&mut hasher);
    // Another release, or other limits, may find other entries in it.
    (env!("CARGO_PKG_VERSION"), format!("{:?}", config.limits)).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(advertise: Option<&str>, listen: &str) -> Result<String, String> {
        let config = Config { advertise: advertise.map(Into::into), ..Config::new(Vec::new()) };
        node(&config, listen.parse().unwrap())
            .map(|node| format!("{} {}", node.ip, node.worker))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_worker_is_called_by_an_address() {
        for (advertise, listen, ip_and_worker) in [
            (None, "127.0.0.1:30001", "127.0.0.1 127.0.0.1:30001"),
            (None, "[::1]:1", "::1 [::1]:1"),
            (None, "0.0.0.0:30001", "127.0.0.1 127.0.0.1:30001"),
            (None, "[::]:30001", "127.0.0.1 127.0.0.1:30001"),
            (Some("10.1.2.3"), "0.0.0.0:30001", "10.1.2.3 10.1.2.3:30001"),
            (Some("10.1.2.3:4"), "0.0.0.0:30001", "10.1.2.3 10.1.2.3:4"),
            (Some("fd00::1"), "[::]:30001", "fd00::1 [fd00::1]:30001"),
            (Some("[fd00::1]:4"), "[::]:30001", "fd00::1 [fd00::1]:4"),
            (Some("node-1"), "0.0.0.0:30001", "node-1 node-1:30001"),
        ] {
            assert_eq!(with(advertise, listen).as_deref(), Ok(ip_and_worker), "{advertise:?} on {listen}");
        }
        for wrong in
            ["", ":1", "a:", "a:0", "a:b", "a/b", "a b", "0.0.0.0", "0.0.0.0:1", "::", "[::]:1", "a:b:1"]
        {
            assert!(with(Some(wrong), "0.0.0.0:30001").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_has_the_same_number_each_time() {
        let file = |name| Input::File(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
        let number = |inputs: &[Input]| {
            let config = Config::new(inputs.iter().cloned().map(SourceConfig::new).collect());
            (boot(&config), boot(&Config { threads: 4, ..config }))
        };
        let (first, again) = number(&[file("Cargo.toml")]);
        assert_eq!(first, again);
        assert_ne!(first, number(&[file("src/lib.rs")]).0);
        for inputs in [&[][..], &[Input::Stdin], &[file("Cargo.toml"), file("src/lib.rs")]] {
            let (first, again) = number(inputs);
            assert_ne!(first, again, "{inputs:?}");
        }
        let mut config = Config::new(vec![SourceConfig::new(file("Cargo.toml"))]);
        config.sources[0].filter = Some("tcp".into());
        assert_ne!(boot(&config), first, "other entries");
    }
}
