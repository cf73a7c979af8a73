//! Every bound of dissection.

use std::time::Duration;

/// What one flow, one message and one body may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes looked at, in each direction, before a flow that may be some protocol is none. A request line must fit.
    pub probe_bytes: usize,
    /// Datagrams, or deliveries of TCP bytes in one direction, that may be no known protocol before the flow is given
    /// up: a proxy's or a tunnel's greeting may go before a protocol that we know. A TCP flow whose start was not seen
    /// is not given up.
    pub probe_pieces: u8,
    /// Bytes kept of a direction while a message is not complete. A backstop: each protocol has tighter bounds.
    pub buffer_bytes: usize,
    /// Bytes of a message's head (start line and fields), and of its trailers.
    pub head_bytes: usize,
    /// Header fields kept of a message; further ones still frame the body, and the message is `truncated`.
    pub header_count: usize,
    /// Bytes of a chunk's size line with its extensions.
    pub chunk_line_bytes: usize,
    /// Bytes kept of a body as it was sent; the rest is counted, and the message is `truncated`.
    pub body_bytes: usize,
    /// Bytes that decoding a body may yield.
    pub decoded_bytes: usize,
    /// Bytes that decoding may yield for each byte of input, above the first [`Limits::DECODED_FREELY`].
    pub decoded_ratio: usize,
    /// Content encodings applied one upon the other.
    pub encodings: usize,
    /// Parameters of a form.
    pub form_params: usize,
    /// Requests of a flow that wait for their answer; beyond it the oldest is given up.
    pub waiting: usize,
    /// Bytes that those requests hold.
    pub waiting_bytes: usize,
    /// Responses of a flow that wait for their request; beyond it the oldest becomes an entry of its own.
    pub held: usize,
    /// How long a response waits for a request that is delivered after it: reordered by capture queues (milliseconds),
    /// or held back behind a hole until reassembly gives the hole up (seconds).
    pub hold: Duration,
    /// How long a request over TCP waits for the first byte of its response. Common proxies (nginx, `HAProxy`, cloud
    /// load balancers) cut after 30 to 60 seconds, so that what takes longer has mostly been answered for by somebody.
    pub answer_tcp: Duration,
    /// How long a request over UDP waits: resolvers ask again after 5 seconds, and mostly give up after 10.
    pub answer_udp: Duration,
}

impl Limits {
    /// Bytes that decoding may always yield, whatever the ratio.
    pub const DECODED_FREELY: usize = 64 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            probe_bytes: 16 * 1024,
            probe_pieces: 8,
            buffer_bytes: 512 * 1024,
            head_bytes: 256 * 1024,
            header_count: 1024,
            chunk_line_bytes: 4 * 1024,
            body_bytes: 1024 * 1024,
            decoded_bytes: 4 * 1024 * 1024,
            decoded_ratio: 128,
            encodings: 3,
            form_params: 1024,
            waiting: 1024,
            waiting_bytes: 8 * 1024 * 1024,
            held: 64,
            hold: Duration::from_secs(5),
            answer_tcp: Duration::from_mins(1),
            answer_udp: Duration::from_secs(10),
        }
    }
}
