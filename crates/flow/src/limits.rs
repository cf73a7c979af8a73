//! Every bound of this crate, in one place.

use std::time::Duration;

/// What decoding and reassembly may hold, and for how long. Nothing here can be unlimited.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Flows of one shard at a time. One more evicts another: see [`crate::FlowTable`] for which.
    pub flows: usize,
    /// Bytes of one half of a flow that wait behind a hole. More gives up the lowest hole.
    pub half_bytes: u64,
    /// Segments of one half of a flow that wait behind a hole. More gives up the lowest hole.
    pub half_segments: usize,
    /// Bytes of all flows of a shard that wait behind holes. More gives up holes of a flow that holds much.
    pub shard_bytes: u64,
    /// Segments of all flows of a shard that wait behind holes, as above.
    pub shard_segments: u64,
    /// How long a hole stays open once the receiver acknowledged bytes beyond it: the receiver has them, so no
    /// retransmission will come; only reordering by the capture can still bring them.
    pub hole_acknowledged: Duration,
    /// How many packets of the flow may follow such an acknowledgment before the hole is given up without a wait.
    pub hole_packets: u32,
    /// How long a hole stays open that nobody acknowledged. Linux sends again after 0.2 s at the earliest and doubles
    /// that each time, so 3 s cover four attempts.
    pub hole_open: Duration,
    /// Bytes already delivered that each half remembers, to tell a retransmission from a contradiction.
    pub history: usize,
    /// How long after a packet its copy from another capture point may come.
    pub copy_elsewhere: Duration,
    /// How long after a packet its copy from the same capture point may come (the `any` device names only one).
    pub copy_here: Duration,
    /// Idle time of a TCP flow that delivered data.
    pub tcp_idle: Duration,
    /// Idle time of a TCP flow that delivered none: half-open, refused, scanned.
    pub tcp_unproven: Duration,
    /// How long a finished or reset TCP flow lingers after its last packet, to catch stragglers.
    pub tcp_linger: Duration,
    /// How long it is remembered where such a flow ended, so that what is sent again opens no new one (Linux keeps
    /// `TIME_WAIT` for 60 s).
    pub tcp_remember: Duration,
    /// How many ended flows of a shard are remembered. One more forgets the oldest.
    pub ended: usize,
    /// Flows of a shard that are shed at a time. One more forgets another; what that still sends is then a flow whose
    /// start was not seen.
    pub shed_flows: usize,
    /// Idle time of a UDP flow that was answered.
    pub udp_idle: Duration,
    /// Idle time of a UDP flow that was not.
    pub udp_unproven: Duration,
    /// IP headers above each other in one frame.
    pub ip_headers: u8,
    /// Fragmented datagrams that wait for the rest of them. One more drops the oldest: of its own sender, if that has
    /// more than a quarter of them, else of all.
    pub datagrams: usize,
    /// Bytes of them. More drops the oldest, likewise.
    pub datagram_bytes: usize,
    /// Fragments of one datagram. More drops it.
    pub fragments: usize,
    /// How long a datagram waits for its fragments (Linux: 30 s).
    pub datagram_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 4096,
            half_bytes: 1 << 20,
            half_segments: 1024,
            shard_bytes: 8 << 20,
            shard_segments: 16_384,
            hole_acknowledged: Duration::from_secs(1),
            hole_packets: 64,
            hole_open: Duration::from_secs(3),
            history: 2048,
            copy_elsewhere: Duration::from_millis(100),
            copy_here: Duration::from_millis(1),
            tcp_idle: Duration::from_mins(5),
            tcp_unproven: Duration::from_secs(30),
            tcp_linger: Duration::from_secs(5),
            tcp_remember: Duration::from_mins(1),
            ended: 1024,
            shed_flows: 4096,
            udp_idle: Duration::from_mins(1),
            udp_unproven: Duration::from_secs(30),
            ip_headers: 8,
            datagrams: 1024,
            datagram_bytes: 4 << 20,
            fragments: 512,
            datagram_wait: Duration::from_secs(30),
        }
    }
}
