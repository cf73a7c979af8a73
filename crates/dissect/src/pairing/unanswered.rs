//! Why a request has no response, and how that is told.

use api::{Fault, FaultKind};
use flow::Close;

use super::Loss;
use crate::Counters;

/// Why a request has no response.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unanswered {
    Ended(Close),
    Timeout,
    Lost(Loss),
    Limit,
}

impl Unanswered {
    /// Counts it, and says it in words.
    pub(super) fn tell(self, counters: &mut Counters) -> Fault {
        let (row, kind, message) = match self {
            Self::Ended(Close::Finished) => (
                &mut counters.unanswered_closed,
                FaultKind::Connection,
                "the connection was closed before a response came",
            ),
            Self::Ended(Close::Reset) => (
                &mut counters.unanswered_reset,
                FaultKind::Connection,
                "the connection was reset before a response came",
            ),
            Self::Ended(Close::EndOfCapture) => (
                &mut counters.unanswered_capture_end,
                FaultKind::Timeout,
                "the capture ended before a response came",
            ),
            Self::Ended(Close::Idle | Close::Evicted | Close::Reused) => (
                &mut counters.unanswered_dropped,
                FaultKind::Timeout,
                "no response came while the flow was followed",
            ),
            Self::Timeout => {
                (&mut counters.unanswered_timeout, FaultKind::Timeout, "no response came in time")
            }
            Self::Lost(Loss::Gap(_)) => (
                &mut counters.unanswered_gap,
                FaultKind::Connection,
                "the response was lost in a gap of the capture",
            ),
            Self::Lost(Loss::Malformed) => (
                &mut counters.unanswered_malformed,
                FaultKind::Dissection,
                "the response could not be understood",
            ),
            Self::Lost(Loss::Shown) => (
                &mut counters.unanswered_timeout,
                FaultKind::Timeout,
                "the response was shown alone, because the request came too late",
            ),
            Self::Limit => (
                &mut counters.unanswered_limit,
                FaultKind::Timeout,
                "too many requests of this flow waited for a response",
            ),
        };
        *row += 1;
        Fault { kind, message }
    }

    /// Bytes of the response that the capture lost.
    pub(super) fn gap(self) -> u64 {
        if let Self::Lost(Loss::Gap(len)) = self { len } else { 0 }
    }
}
