//! Pods on one node: network namespaces with an address each, and a web server.

use std::{
    io::{Read, Write},
    net::TcpListener,
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
        let (entered, inside) = mpsc::channel();
        let (plugged, plug) = mpsc::channel();
        let (listening, ready) = mpsc::channel();
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
                match listener.accept() {
                    Ok((stream, _)) => answer(stream, &counted),
                    Err(_) => thread::sleep(Duration::from_millis(1)),
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

/// Answers one request, and closes.
fn answer(mut stream: std::net::TcpStream, hooks: &AtomicU64) {
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    let mut request = [0; 65_536];
    // Who goes away again has asked for nothing.
    let read = stream.read(&mut request).unwrap_or(0);
    let is_hook = request[..read].starts_with(b"POST /hook");
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    if stream.write_all(answer).is_ok() && is_hook {
        hooks.fetch_add(1, Ordering::Relaxed);
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
