//! Real servers to write to: object stores and `InfluxDB`, each with a port and a directory of its own. They end with
//! their values.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Scratch, program, receiver::exchange};

/// Where `hack/servers.sh` put a server; `None`, and a note, where it did not.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("KUBESHARK_SERVERS").map(|place| Path::new(&place).join(name));
    let found = path.filter(|path| path.is_file());
    if found.is_none() {
        let what = if name == "influxd" { "InfluxDB" } else { "object stores" };
        program::missing(&format!("{what}: not run ({name} is missing: KUBESHARK_SERVERS, hack/servers.sh)"));
    }
    found
}

/// A process that is ended with its value.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Waits until it accepts connections.
    fn wait_for(&mut self, address: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = self.0.try_wait() {
                panic!("the server at {address} ended: {status}");
            }
            assert!(Instant::now() < deadline, "no server at {address}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A port that was free a moment ago, for servers that do not choose one themselves.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").to_string()
}

/// versitygw: S3 over a directory.
#[derive(Debug)]
pub struct S3 {
    /// `127.0.0.1:40123`.
    pub address: String,
    directory: Scratch,
    _running: Running,
}

impl S3 {
    /// The id of the only key.
    pub const KEY_ID: &str = "AKIDKUBESHARKTEST";
    /// The only key.
    pub const KEY: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

    /// The only region.
    pub const REGION: &str = "us-east-2";

    /// Starts it with empty buckets; `None`, and a note, where it is missing.
    pub fn start(buckets: &[&str]) -> Option<Self> {
        let program = find("versitygw")?;
        let directory = Scratch::new();
        for name in ["data", "iam"]
            .into_iter()
            .map(str::to_owned)
            .chain(buckets.iter().map(|name| format!("data/{name}")))
        {
            fs::create_dir_all(directory.path().join(name)).expect("a directory");
        }
        let address = free_address();
        let mut running = Running::start(
            Command::new(program)
                .args([
                    "--access",
                    Self::KEY_ID,
                    "--secret",
                    Self::KEY,
                    "--region",
                    Self::REGION,
                    "--quiet",
                    "--port",
                    &address,
                ])
                // With accounts, a wrong key is refused as S3 refuses it.
                .arg("--iam-dir")
                .arg(directory.path().join("iam"))
                .arg("posix")
                .arg(directory.path().join("data"))
                .stdout(Stdio::null()),
        );
        running.wait_for(&address);
        Some(Self { address, directory, _running: running })
    }

    /// What an object holds.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        fs::read(self.directory.path().join("data").join(bucket).join(key)).ok()
    }

    /// The keys of a bucket, in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let root = self.directory.path().join("data").join(bucket);
        let mut keys = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).expect("a directory").flatten() {
                let path = entry.path();
                let key = path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
                if path.is_file() {
                    keys.push(key);
                } else if !key.starts_with(".sgwtmp") {
                    open.push(path);
                }
            }
        }
        keys.sort();
        keys
    }

    /// How many uploads in parts were begun and neither completed nor aborted.
    pub fn unfinished(&self, bucket: &str) -> usize {
        let place = self.directory.path().join("data").join(bucket).join(".sgwtmp/multipart");
        let objects = fs::read_dir(place).into_iter().flatten().flatten();
        objects.map(|object| fs::read_dir(object.path()).into_iter().flatten().count()).sum()
    }
}

/// fake-gcs-server: Google Cloud Storage in memory. It takes any token.
#[derive(Debug)]
pub struct Gcs {
    /// `127.0.0.1:40123`.
    pub address: String,
    _running: Running,
}

impl Gcs {
    /// Starts it with empty buckets; `None`, and a note, where it is missing.
    pub fn start(buckets: &[&str]) -> Option<Self> {
        Self::start_behind(buckets, None)
    }

    /// Starts it behind a wire: `public` is the wire's address.
    pub fn start_behind(buckets: &[&str], public: Option<&str>) -> Option<Self> {
        let mut command = Command::new(find("fake-gcs")?);
        let mut running =
            Running::start(command.args(["-public", public.unwrap_or_default()]).stdout(Stdio::piped()));
        let mut address = String::new();
        let said = running.0.stdout.take().expect("piped");
        BufReader::new(said).read_line(&mut address).expect("the address");
        let address = address.trim().to_owned();
        running.wait_for(&address);
        for bucket in buckets {
            let body = format!("{{\"name\":\"{bucket}\"}}");
            let (status, answer) = exchange(
                "POST",
                &address,
                "/storage/v1/b",
                &[("Content-Type", "application/json")],
                body.as_bytes(),
            );
            assert_eq!(status, 200, "{bucket}: {}", String::from_utf8_lossy(&answer));
        }
        Some(Self { address, _running: running })
    }

    /// What an object holds. `name` as it is written in a URL's path, with `%2F` for a slash.
    pub fn object(&self, bucket: &str, name: &str) -> Option<Vec<u8>> {
        let (status, body) =
            exchange("GET", &self.address, &format!("/storage/v1/b/{bucket}/o/{name}?alt=media"), &[], &[]);
        (status == 200).then_some(body)
    }

    /// The names in a bucket, in order.
    pub fn names(&self, bucket: &str) -> Vec<String> {
        let (status, body) = exchange("GET", &self.address, &format!("/storage/v1/b/{bucket}/o"), &[], &[]);
        assert_eq!(status, 200, "{bucket}");
        let list: Value = serde_json::from_slice(&body).expect("JSON");
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
    }
}

/// A service account's key, freshly made by openssl, in the form that Google hands out.
pub fn service_account() -> Value {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output();
    let made = made.unwrap_or_else(|error| panic!("openssl: {error}"));
    assert!(made.status.success(), "openssl made no key");
    serde_json::json!({
        "type": "service_account",
        "project_id": "kubeshark-test",
        "private_key_id": "14a7e4f4816892b82c28132acf5fbb1c",
        "private_key": String::from_utf8(made.stdout).expect("PEM"),
        "client_email": "recorder@kubeshark-test.iam.gserviceaccount.com",
        "client_id": "104953139650716443372",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    })
}

/// `InfluxDB` 1, with one user and one database, both of them named `kubeshark`.
#[derive(Debug)]
pub struct Influx {
    /// `127.0.0.1:40123`.
    pub address: String,
    _directory: Scratch,
    _running: Running,
}

impl Influx {
    /// `user:password`.
    pub const TOKEN: &str = "kubeshark:correct-horse";

    /// Starts it; `None`, and a note, where it is missing.
    pub fn start() -> Option<Self> {
        let program = find("influxd")?;
        let directory = Scratch::new();
        let address = free_address();
        let place = directory.path().display();
        let config = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:0\"\n[meta]\ndir = \"{place}/meta\"\n\
             [data]\ndir = \"{place}/data\"\nwal-dir = \"{place}/wal\"\n\
             [http]\nbind-address = \"{address}\"\nauth-enabled = true\n"
        );
        let config = directory.file("influxdb.conf", config.as_bytes());
        let mut running =
            Running::start(Command::new(program).arg("run").arg("-config").arg(config).stdout(Stdio::null()));
        running.wait_for(&address);
        let server = Self { address, _directory: directory, _running: running };
        let (user, password) = Self::TOKEN.split_once(':').expect("user:password");
        server.query(&format!("CREATE USER {user} WITH PASSWORD '{password}' WITH ALL PRIVILEGES"));
        server.query("CREATE DATABASE kubeshark");
        Some(server)
    }

    /// The answer to a query.
    pub fn query(&self, text: &str) -> Value {
        let encode = |text: &str| text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"));
        let (user, password) = Self::TOKEN.split_once(':').expect("user:password");
        let path = format!("/query?db=kubeshark&u={user}&p={password}&q={}", encode(text));
        let (status, body) = exchange("POST", &self.address, &path, &[], &[]);
        let answer = String::from_utf8_lossy(&body);
        assert_eq!(status, 200, "{text}: {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }
}
