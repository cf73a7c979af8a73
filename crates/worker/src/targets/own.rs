//! Our own connections: those of this process and of the processes that it started, as the kernel lists them.
//!
//! What a worker sends to its hub, and what scripts upload, must not be captured: watching it would make more of it. A port
//! or an address does not tell it from the traffic of others; a socket does.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use api::Entry;

use super::{OwnEnds, Targeting};
use crate::lock;

/// How often sockets are looked for. A connection that is opened and closed in between is not known for ours; whoever
/// takes uploads keeps connections open for much longer.
const PERIOD: Duration = Duration::from_millis(100);

/// The same while a script host runs, which may upload.
const SCRIPTS_PERIOD: Duration = Duration::from_millis(20);

/// How long an end stays ours after its socket was closed: its last packets may still be on their way, and its entries
/// wait for names.
const LINGER: Duration = Duration::from_secs(5);

/// How often a socket is looked for that has no connection yet: it may be of another kind.
const TRIES: u8 = 50;

/// One end of a connection.
type End = (IpAddr, u16);

/// The ends of our connections on this machine.
#[derive(Default)]
pub(crate) struct Own(Mutex<Arc<OwnEnds>>);

impl Own {
    /// Whether an entry was said over a connection of our own.
    pub(crate) fn involves(&self, entry: &Entry) -> bool {
        let ends = lock(&self.0);
        ends.has(entry.src.ip, entry.src.port) || ends.has(entry.dst.ip, entry.dst.port)
    }

    /// Looks for them until it is over, and tells the sources.
    pub(crate) fn watch(&self, targeting: &Targeting, over: &AtomicBool) {
        let (mut sockets, mut ends) = (Sockets::default(), Ends::default());
        while !over.load(Ordering::Relaxed) {
            let processes = processes();
            let has_scripts = processes.len() > 1;
            if ends.see(sockets.look(&processes), Instant::now()) {
                let known = Arc::new(OwnEnds::new(ends.0.keys().copied().collect()));
                *lock(&self.0) = Arc::clone(&known);
                targeting.own(&known);
            }
            thread::sleep(if has_scripts { SCRIPTS_PERIOD } else { PERIOD });
        }
    }
}

/// When each end was last seen.
#[derive(Default)]
struct Ends(HashMap<End, Instant>);

impl Ends {
    /// Takes those that are there now; whether the set is another now.
    fn see(&mut self, present: impl Iterator<Item = End>, now: Instant) -> bool {
        let mut changed = false;
        for end in present {
            changed |= self.0.insert(end, now).is_none();
        }
        let before = self.0.len();
        self.0.retain(|_, seen| now.saturating_duration_since(*seen) < LINGER);
        changed || self.0.len() != before
    }
}

/// The sockets of our processes.
#[derive(Default)]
struct Sockets {
    /// By inode.
    known: HashMap<u64, Socket>,
}

enum Socket {
    Of(End),
    /// Not found so many times.
    Sought(u8),
}

impl Sockets {
    /// The ends of all connections. What cannot be read is taken to have none: processes end while they are looked at.
    fn look(&mut self, processes: &[String]) -> impl Iterator<Item = End> {
        let present: HashSet<u64> = processes.iter().flat_map(|process| inodes(process)).collect();
        self.known.retain(|inode, _| present.contains(inode));
        let sought: HashSet<u64> = present
            .into_iter()
            .filter(|inode| match self.known.get(inode) {
                Some(Socket::Of(_)) => false,
                Some(Socket::Sought(tries)) => *tries < TRIES,
                None => true,
            })
            .collect();
        if !sought.is_empty() {
            let mut found = listed(&sought);
            for inode in sought {
                let socket = match (found.remove(&inode), self.known.get(&inode)) {
                    (Some(end), _) => Socket::Of(end),
                    (None, Some(Socket::Sought(tries))) => Socket::Sought(tries + 1),
                    (None, _) => Socket::Sought(1),
                };
                self.known.insert(inode, socket);
            }
        }
        self.known.values().filter_map(|socket| match socket {
            Socket::Of(end) => Some(*end),
            Socket::Sought(_) => None,
        })
    }
}

/// This process and those that it started, as numbers.
fn processes() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().filter_map(Result::ok);
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<String> = children
        .flat_map(|children| children.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    children.into_iter().chain(["self".to_owned()]).collect()
}

/// The inodes of the sockets of a process.
fn inodes(process: &str) -> Vec<u64> {
    let descriptors = fs::read_dir(Path::new("/proc").join(process).join("fd")).into_iter().flatten();
    descriptors
        .filter_map(|descriptor| {
            let link = fs::read_link(descriptor.ok()?.path()).ok()?;
            link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

/// The local ends of these sockets, of those that are connected.
fn listed(inodes: &HashSet<u64>) -> HashMap<u64, End> {
    let mut ends = HashMap::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        // A machine without IPv6 has no such tables.
        let list = fs::File::open(format!("/proc/self/net/{table}")).and_then(io::read_to_string);
        ends.extend(list.unwrap_or_default().lines().filter_map(|line| {
            let (inode, end) = connection(line)?;
            inodes.contains(&inode).then_some((inode, end))
        }));
    }
    ends
}

/// A line of `/proc/net/tcp` and its like (`proc_net_tcp(5)`): the inode and the local end, unless it only listens.
fn connection(line: &str) -> Option<(u64, End)> {
    const LISTEN: &str = "0A";
    let mut words = line.split_whitespace().skip(1);
    let local = words.next()?;
    let state = words.nth(1)?;
    let inode = words.nth(5)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    let ip = address(ip)?;
    let is_connected = state != LISTEN && !ip.is_unspecified();
    is_connected.then_some(())?;
    Some((inode, (ip.to_canonical(), u16::from_str_radix(port, 16).ok()?)))
}

/// An address as those tables have it: words of four bytes, each a number of this machine.
fn address(text: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = (0..text.len() / 8)
        .map(|word| {
            let digits = text.get(word * 8..word * 8 + 8)?;
            Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
        })
        .collect();
    match words?.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        words @ [_, _, _, _] => Some(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_are_read() {
        for (line, expected) in [
            (
                "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0",
                Some((4711, "127.0.0.1:8080")),
            ),
            (
                "   2: 0000000000000000FFFF00000100007F:0050 00000000000000000000000001000000:0001 01 00000000:00000000 00:00000000 00000000 0 0 12 1 0",
                Some((12, "127.0.0.1:80")),
            ),
            (
                "   2: B80D0120000000000000000001000000:0050 00000000000000000000000001000000:0001 01 00000000:00000000 00:00000000 00000000 0 0 12 1 0",
                Some((12, "[2001:db8::1]:80")),
            ),
            (
                "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1 0",
                None,
            ),
            (
                "   0: 00000000:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4711 1 0",
                None,
            ),
            (
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
                None,
            ),
            ("   0: 0100007F:1F90", None),
            ("", None),
        ] {
            let read =
                connection(line).map(|(inode, (ip, port))| (inode, std::net::SocketAddr::new(ip, port)));
            let expected = expected.map(|(inode, end)| (inode, end.parse().unwrap()));
            assert_eq!(read, expected, "{line}");
        }
    }

    #[test]
    fn own_sockets_are_found_and_others_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let end = |socket: &TcpStream| socket.local_addr().map(|end| (end.ip(), end.port())).unwrap();
        let mut sockets = Sockets::default();
        let found: HashSet<End> = sockets.look(&processes()).collect();
        assert!(found.contains(&end(&ours)) && found.contains(&end(&accepted)), "{found:?}");
        let gone = end(&ours);
        drop(ours);
        assert!(!sockets.look(&processes()).any(|end| end == gone));
    }

    #[test]
    fn an_end_stays_ours_for_a_while() {
        let mut ends = Ends::default();
        let end = ("10.0.0.1".parse().unwrap(), 7);
        let now = Instant::now();
        assert!(ends.see([end].into_iter(), now));
        assert!(!ends.see([end].into_iter(), now + PERIOD));
        assert!(!ends.see([].into_iter(), now + LINGER));
        assert!(ends.see([].into_iter(), now + PERIOD + LINGER));
        assert!(ends.0.is_empty());
    }
}
