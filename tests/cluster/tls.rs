//! Hub and workers that speak TLS, with keys made as helm/README.md says.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use support::{
    Scratch, program,
    program::get,
    watch::{Got, Watcher},
};

use crate::{Cluster, capture, eventually};

/// An authority, and directories `hub` and `worker` with what each needs of it.
const MAKE: &str = r#"
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=kubeshark -keyout ca.key -out ca.crt
for name in hub worker; do
    mkdir $name
    openssl req -newkey rsa:2048 -nodes -subj "/CN=kubeshark-$name" -addext "subjectAltName=DNS:kubeshark-$name" \
        -keyout $name/tls.key -out $name.csr
    openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -copy_extensions copy \
        -out $name/tls.crt
    cp ca.crt $name
done
"#;

fn release(directory: &Path) {
    fs::create_dir_all(directory).expect("a directory");
    let mut shell = Command::new("sh");
    let ran = program::run(shell.args(["-euc", MAKE]).current_dir(directory), b"", Duration::from_mins(1));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// What curl gets: the status, or 0 where there is no connection.
fn curl(url: &str, options: &[&str], keys: Option<&Path>) -> u16 {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--max-time", "10", "--output", "/dev/null", "--write-out", "%{http_code}", url]);
    curl.args(options);
    if let Some(keys) = keys {
        curl.arg("--cert").arg(keys.join("tls.crt")).arg("--key").arg(keys.join("tls.key"));
    }
    let ran = program::run(&mut curl, b"", Duration::from_secs(20));
    String::from_utf8_lossy(&ran.stdout).parse().unwrap_or_else(|_| panic!("{}", ran.stderr))
}

fn secured(captures: &[&str], workers: &Path, hub: &Path) -> Cluster {
    let captures: Vec<_> = captures.iter().map(|name| capture(name)).collect();
    let config = hub::Config { tls_dir: Some(hub.into()), ..hub::Config::default() };
    Cluster::start(&captures, Some(workers), config)
}

#[test]
fn what_workers_see_comes_through_tls() {
    let scratch = Scratch::new();
    release(scratch.path());
    let cluster = secured(&["demo"], &scratch.path().join("worker"), &scratch.path().join("hub"));
    cluster.wait_for_workers(1);
    let mut watcher = Watcher::connect(&cluster.hub(), "/api/wsFull?q=response.status%20==%20200");
    let entry = match watcher.next(Duration::from_secs(10)) {
        Got::Text(text) => serde_json::from_str::<serde_json::Value>(&text).expect("JSON"),
        other => panic!("{other:?}"),
    };
    let (worker, id) = (cluster.addresses[0], entry["id"].as_str().expect("an id"));
    let id = id.rsplit_once('/').map_or(id, |(_, id)| id);
    let (status, item) = get(&cluster.hub(), &format!("/api/item/{worker}/{id}"), &[]);
    assert!(status == 200 && item.contains("representation"), "{status} {item}");
}

#[test]
fn a_worker_with_keys_shows_traffic_to_its_hub_alone() {
    let scratch = Scratch::new();
    let ours = scratch.path().join("ours");
    let theirs = scratch.path().join("theirs");
    release(&ours);
    release(&theirs);
    let (hub, worker, stranger) = (ours.join("hub"), ours.join("worker"), theirs.join("hub"));
    let cluster = secured(&["demo"], &worker, &hub);
    cluster.wait_for_workers(1);
    let address: SocketAddr = cluster.addresses[0];
    for (path, keys, expected) in [
        ("/healthz", None, 200),
        ("/readyz", None, 200),
        ("/metrics", None, 200),
        ("/status", None, 401),
        ("/wsFull", None, 401),
        ("/hub", None, 401),
        ("/nothing", None, 401),
        // Whoever has the keys of one node has not those of all.
        ("/status", Some(&worker), 401),
        ("/status", Some(&stranger), 0),
        ("/healthz", Some(&stranger), 0),
        ("/status", Some(&hub), 200),
    ] {
        let got = curl(&format!("https://{address}{path}"), &["--insecure"], keys.map(|keys| &**keys));
        assert_eq!(got, expected, "{path} with {keys:?}");
    }
    assert_eq!(curl(&format!("http://{address}/healthz"), &[], None), 0, "without TLS");
    // It is a worker of this release that answers.
    let (port, authority) = (address.port(), |release: &Path| release.join("ca.crt").display().to_string());
    let there = format!("kubeshark-worker:{port}:{address}");
    for (release, expected) in [(&ours, 200), (&theirs, 0)] {
        let options = ["--connect-to", &there, "--cacert", &authority(release)];
        assert_eq!(curl(&format!("https://kubeshark-worker:{port}/healthz"), &options, None), expected);
    }
}

#[test]
fn keys_of_another_release_are_refused_and_told_of() {
    let scratch = Scratch::new();
    let [ours, theirs] = ["ours", "theirs"].map(|name| scratch.path().join(name));
    release(&ours);
    release(&theirs);
    let cluster = secured(&["demo"], &ours.join("worker"), &theirs.join("hub"));
    let told = || cluster.status()["workers"][0]["lastError"].to_string();
    eventually("an error about keys", || told().contains("must be of one release"));
    assert_eq!(cluster.status()["workers"][0]["connected"], false);
    // Nor is one a worker who only has the keys of a hub.
    let cluster = secured(&["demo"], &ours.join("hub"), &ours.join("hub"));
    let told = || cluster.status()["workers"][0]["lastError"].to_string();
    eventually("an error about a name", || told().contains("must be of one release"));
}

#[test]
fn keys_that_are_none_are_named() {
    let scratch = Scratch::new();
    release(scratch.path());
    let keys = scratch.path().join("worker");
    let refused = || web::tls::Keys::load(&keys).err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(refused(), "");
    fs::copy(scratch.path().join("hub/tls.key"), keys.join("tls.key")).expect("a copy");
    assert_eq!(refused(), "tls.crt and tls.key, or ca.crt, cannot be used");
    fs::write(keys.join("tls.key"), "nothing").expect("a file");
    assert_eq!(refused(), "tls.key holds no private key in PEM");
    fs::remove_file(keys.join("ca.crt")).expect("removed");
    assert!(refused().starts_with("cannot read ") && refused().contains("ca.crt"), "{}", refused());
}
