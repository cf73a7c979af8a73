//! When a live capture sheds new flows: before the kernel drops packets out of the middle of all.
//!
//! The kernel keeps what was not read yet in a ring, and drops what does not fit. [`Gauge`] looks now and then how full
//! the ring must be, and whether packets were dropped; [`Overload`] makes of that which share of new flows is shed. What
//! is shed is counted and never dissected, which costs most of the work; what is not shed is read whole.

use std::time::{Duration, Instant};

use flow::{Share, Timestamp};
use tracing::{info, warn};

/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(50);

/// What a frame takes in the ring besides its bytes (`tpacket3_hdr`, `sockaddr_ll`, alignment).
const FRAME_BYTES: u64 = 128;

/// What was seen of a source in one period.
#[derive(Clone, Copy, Debug, Default)]
struct Sign {
    /// Frames that the kernel dropped.
    dropped: u64,
    /// The part of the ring that is filled: 0 if the ring was read empty once in this time.
    filled: f64,
}

/// Which share of new flows is shed.
///
/// ```text
///            drops, or the ring half full: RISE more, at once
///   share ◀───────────────────────────────────────────────────┐
///     └── quiet for QUIET periods: an eighth of it less ──────┘
/// ```
///
/// In between it stays as it is. It rises fast because the ring is small, and falls slowly because the flows that are
/// open go on costing, so that it settles instead of swinging.
#[derive(Debug, Default)]
struct Overload {
    share: u8,
    quiet: u32,
}

impl Overload {
    const RISE: u8 = 8;
    const QUIET: u32 = 10;
    const HIGH: f64 = 0.5;
    const LOW: f64 = 0.125;

    fn observe(&mut self, sign: Sign) {
        if sign.dropped > 0 || sign.filled >= Self::HIGH {
            self.share = Share::new(self.share + Self::RISE).parts();
            self.quiet = 0;
        } else if sign.filled > Self::LOW {
            self.quiet = 0;
        } else {
            self.quiet += 1;
            if self.quiet >= Self::QUIET {
                self.share -= self.share.div_ceil(8);
                self.quiet = 0;
            }
        }
    }
}

/// Watches one live source.
pub(crate) struct Gauge {
    name: String,
    ring_bytes: u64,
    overload: Overload,
    /// Frames that the kernel dropped until the last look.
    dropped: u64,
    looked: Instant,
    seen: Seen,
}

/// What was read since the last look.
#[derive(Default)]
struct Seen {
    /// There was nothing to read at some time.
    emptied: bool,
    /// Bytes of the ring that were read.
    bytes: u64,
    /// When the first and the last frame were captured.
    span: Option<(Timestamp, Timestamp)>,
}

impl Gauge {
    pub(crate) fn new(name: &str, ring_bytes: u32) -> Self {
        Self {
            name: name.to_owned(),
            ring_bytes: u64::from(ring_bytes),
            overload: Overload::default(),
            dropped: 0,
            looked: Instant::now(),
            seen: Seen::default(),
        }
    }

    /// A frame was read.
    pub(crate) fn frame(&mut self, at: Timestamp, len: usize) {
        self.seen.bytes += len as u64 + FRAME_BYTES;
        let first = self.seen.span.map_or(at, |(first, _)| first);
        self.seen.span = Some((first, at));
    }

    /// There is nothing to read at present.
    pub(crate) fn emptied(&mut self) {
        self.seen.emptied = true;
    }

    /// Whether it is time to look.
    pub(crate) fn is_due(&self) -> bool {
        self.looked.elapsed() >= PERIOD
    }

    /// Looks: the kernel has dropped so many frames in all, and the time is `now`.
    pub(crate) fn observe(&mut self, dropped: u64, now: Timestamp) {
        self.looked = Instant::now();
        let filled = std::mem::take(&mut self.seen).filled(now, self.ring_bytes);
        let sign = Sign { dropped: dropped.saturating_sub(self.dropped), filled };
        self.dropped = dropped;
        let before = self.share();
        self.overload.observe(sign);
        match (before, self.share()) {
            (Share::NONE, after) if after > Share::NONE => warn!(
                source = self.name,
                dropped = sign.dropped,
                filled = %format_args!("{:.0} %", filled.min(1.0) * 100.0),
                "Too much traffic: a part of the new connections is counted and not read. A larger --buffer-mib, more --threads or a --bpf filter help"
            ),
            (before, Share::NONE) if before > Share::NONE => {
                info!(source = self.name, "All new connections are read again");
            }
            _ => {}
        }
    }

    /// Which share of new flows is to be shed now.
    pub(crate) fn share(&self) -> Share {
        Share::new(self.overload.share)
    }
}

impl Seen {
    /// How full a ring of this size is: what came in since the last frame that was read, if it came as fast as what was
    /// read.
    fn filled(&self, now: Timestamp, ring_bytes: u64) -> f64 {
        let Some((first, last)) = self.span.filter(|_| !self.emptied) else { return 0.0 };
        // The kernel's clock has steps, and a burst tells little of what follows.
        let span = (last.0 - first.0).max(1_000_000) as f64;
        let behind = (now.0 - last.0).max(0) as f64;
        behind * self.bytes as f64 / span / ring_bytes.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DROPS: Sign = Sign { dropped: 1, filled: 0.0 };
    const FULL: Sign = Sign { dropped: 0, filled: 0.5 };
    const SOME: Sign = Sign { dropped: 0, filled: 0.3 };
    const EMPTY: Sign = Sign { dropped: 0, filled: 0.0 };

    #[test]
    fn it_rises_fast_and_falls_slowly() {
        for (signs, share) in [
            (vec![(EMPTY, 100)], 0),
            (vec![(SOME, 100)], 0),
            (vec![(DROPS, 1)], 8),
            (vec![(FULL, 1)], 8),
            (vec![(FULL, 100)], Share::MOST.parts()),
            // It stays while the ring is neither full nor empty, and while it is empty for a short time only.
            (vec![(FULL, 2), (SOME, 1000)], 16),
            (vec![(FULL, 2), (EMPTY, 9), (SOME, 1), (EMPTY, 9), (SOME, 1)], 16),
            (vec![(FULL, 2), (EMPTY, 10)], 14),
            (vec![(FULL, 2), (EMPTY, 10), (DROPS, 1)], 22),
            (vec![(FULL, 100), (EMPTY, 10)], 55),
            // Fifteen seconds of peace end it.
            (vec![(FULL, 100), (EMPTY, 299)], 0),
        ] {
            let mut overload = Overload::default();
            for (sign, times) in &signs {
                (0..*times).for_each(|_| overload.observe(*sign));
            }
            assert_eq!(overload.share, share, "{signs:?}");
        }
    }

    #[test]
    fn a_ring_fills_by_what_came_since() {
        let at = |millis: i64| Timestamp(millis * 1_000_000);
        // 100 bytes a millisecond were read; so many milliseconds ago; of a ring of 10,000.
        let seen = |emptied| Seen { emptied, bytes: 10_000, span: Some((at(0), at(100))) };
        for (seen, now, filled) in [
            (seen(false), 100, 0.0),
            (seen(false), 150, 0.5),
            (seen(false), 400, 3.0),
            (seen(true), 400, 0.0),
            // The clock was set back.
            (seen(false), 50, 0.0),
            (Seen::default(), 400, 0.0),
            // One frame tells no rate: a millisecond is assumed.
            (Seen { emptied: false, bytes: 100, span: Some((at(0), at(0))) }, 10, 0.1),
        ] {
            let found = seen.filled(at(now), 10_000);
            assert!((found - filled).abs() < 1e-9, "{found} instead of {filled}");
        }
    }

    #[test]
    fn only_what_is_new_of_the_drops_counts() {
        let mut gauge = Gauge::new("lo", 1 << 20);
        gauge.observe(5, Timestamp(0));
        assert_eq!(gauge.share().parts(), 8);
        gauge.observe(5, Timestamp(0));
        assert_eq!(gauge.share().parts(), 8);
        gauge.observe(6, Timestamp(0));
        assert_eq!(gauge.share().parts(), 16);
    }
}
