//! Whether capture works: a worker sends itself datagrams and looks for them among what it captures.

use std::{
    fs, io,
    io::Read,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use api::messages::TestedSource;
use pcap::Device;

use super::{Gate, Targeting, Test};
use crate::lock;

/// How long a datagram may take through the kernel and the reader.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often one is sent.
const PERIOD: Duration = Duration::from_millis(50);

/// All hosts of the network, a group in which every host is (RFC 1112 §4): a datagram to it leaves by the interface, goes
/// no further, and asks nobody for anything (port 9 throws it away, RFC 863).
const ALL_HOSTS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)), 9);

impl Targeting {
    /// Tests every interface that is captured. Takes seconds where one sees nothing.
    pub(crate) fn test(&self) -> Vec<TestedSource> {
        let _one_at_a_time = lock(&self.testing);
        let test = |(source, gate): &(String, std::sync::Arc<Gate>)| {
            let why = match seen(source, gate) {
                Ok(true) => None,
                Ok(false) => Some(not_seen(source, gate)),
                Err(error) => Some(format!("no test could be made: {error}")),
            };
            TestedSource { source: source.clone(), seen: why.is_none(), why }
        };
        self.gates.iter().map(test).collect()
    }
}

fn not_seen(source: &str, gate: &Gate) -> String {
    let reason = gate.kernel().error.unwrap_or_else(|| {
        "the interface may be down, or another network namespace's than this process's".to_owned()
    });
    format!("datagrams sent on {source} were not captured within {} s: {reason}", PATIENCE.as_secs())
}

/// Sends until one is captured, or for as long as that may take.
fn seen(source: &str, gate: &Gate) -> io::Result<bool> {
    let (socket, to) = sender(source)?;
    let mut token = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut token)?;
    let port = socket.local_addr()?.port();
    gate.seen.store(false, Ordering::Release);
    let version = gate.change(|rules| rules.test = Some(Test { port, token }));
    let until = Instant::now() + PATIENCE;
    let mut result = Ok(false);
    while matches!(result, Ok(false)) && Instant::now() < until {
        // Before the reader follows the rules it would not know them.
        if gate.kernel().version >= version {
            result = socket.send_to(&token, to).map(|_| false);
        }
        thread::sleep(PERIOD);
        if gate.seen.load(Ordering::Acquire) {
            result = Ok(true);
        }
    }
    gate.change(|rules| rules.test = None);
    result
}

/// A socket whose datagrams pass that interface, and to whom they go.
fn sender(source: &str) -> io::Result<(UdpSocket, SocketAddr)> {
    if source == "any" || source == "lo" {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let to = socket.local_addr()?;
        return Ok((socket, to));
    }
    let devices = Device::list().map_err(io::Error::other)?;
    let addresses =
        devices.into_iter().filter(|device| device.name == source).flat_map(|device| device.addresses);
    let ip = addresses.map(|address| address.addr).find(IpAddr::is_ipv4);
    let ip = ip.ok_or_else(|| io::Error::other(format!("{source} has no IPv4 address to send from")))?;
    let socket = UdpSocket::bind((ip, 0))?;
    socket.set_multicast_ttl_v4(1)?;
    socket.set_multicast_loop_v4(false)?;
    Ok((socket, ALL_HOSTS))
}
