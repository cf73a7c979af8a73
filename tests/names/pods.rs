//! Pods on one node: network namespaces with an address each, and a web server.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use support::namespace::Namespace;

/// A pod that answers every request, until it is dropped: then its network is gone too.
pub(crate) struct Pod {
    device: String,
    over: Arc<AtomicBool>,
    /// Requests to `/hook` that it has answered.
    hooks: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Pod {
    /// A pod at `10.66.NET.2`, port 80, on the namespace of this thread, which is its node.
    pub(crate) fn start(device: &str, net: u8) -> Self {
        let (over, hooks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (entered, inside) = mpsc::sync_channel(1);
        let (plugged, plug) = mpsc::sync_channel(1);
        let (listening, ready) = mpsc::sync_channel(1);
        let (theirs, counted) = (Arc::clone(&over), Arc::clone(&hooks));
        let thread = thread::spawn(move || {
            let namespace = Namespace::enter().expect("a namespace");
            entered.send(namespace.id()).expect("a node");
            plug.recv().expect("a node");
            namespace.shell(&format!(
                "ip link set lo up; ip addr add 10.66.{net}.2/24 dev eth0; ip link set eth0 up; \
                 ip route add default via 10.66.{net}.1"
            ));
            let listener = TcpListener::bind((format!("10.66.{net}.2"), 80)).expect("a port");
            listener.set_nonblocking(true).expect("a socket");
            listening.send(()).expect("a node");
            while !theirs.load(Ordering::Relaxed) {
                if let Ok((stream, _)) = listener.accept() {
                    let (over, counted) = (Arc::clone(&theirs), Arc::clone(&counted));
                    thread::spawn(move || answer(stream, &over, &counted));
                } else {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let id = inside.recv().expect("a pod");
        run(&format!(
            "ip link add {device} type veth peer name eth0 netns {id}; ip addr add 10.66.{net}.1/24 dev {device}; \
             ip link set {device} up"
        ));
        plugged.send(()).expect("a pod");
        ready.recv().expect("a pod");
        Self { device: device.to_owned(), over, hooks, thread: Some(thread) }
    }

    /// Requests to `/hook` that it has answered.
    pub(crate) fn hooks(&self) -> u64 {
        self.hooks.load(Ordering::Relaxed)
    }
}

/// Answers requests until the other end closes, or the pod ends.
fn answer(mut stream: TcpStream, over: &AtomicBool, hooks: &AtomicU64) {
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
    let (mut request, mut filled) = (vec![0; 65_536], 0);
    while !over.load(Ordering::Relaxed) {
        match stream.read(&mut request[filled..]) {
            Ok(0) => return,
            Ok(read) => filled += read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => return,
        }
        let text = String::from_utf8_lossy(&request[..filled]).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase().split_once("content-length: ").map_or(0, |(_, rest)| {
            rest.lines().next().and_then(|length| length.parse().ok()).unwrap_or_default()
        });
        if body.len() < length {
            continue;
        }
        let closes = head.contains("Connection: close");
        let close = if closes { "Connection: close\r\n" } else { "" };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{close}\r\nok");
        let is_hook = head.starts_with("POST /hook");
        // Whoever goes away meanwhile needs no answer.
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        hooks.fetch_add(u64::from(is_hook), Ordering::Relaxed);
        if closes {
            return;
        }
        filled = 0;
    }
}

/// Runs a line of shell in the namespace of this thread.
pub(crate) fn run(line: &str) {
    let status = Command::new("sh").args(["-euc", line]).status().expect("a shell");
    assert!(status.success(), "{line}");
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Both ends go at once; a namespace is cleared only some time after its last process.
        drop(Command::new("ip").args(["link", "del", &self.device]).status());
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
