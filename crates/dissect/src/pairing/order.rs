//! Whether responses can be told apart by their order.

use flow::Timestamp;

use super::Stamped;

/// Whether the order of a flow tells which response is whose.
///
/// Where one side's bytes were lost, an exchange that overlaps no other cannot be mixed up. Where both sides' were, it
/// can: a request whose response was lost and a response whose request was lost look like an exchange.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Requests were lost, and no exchange was seen since then that overlaps no other.
    requests_lost: bool,
    /// So were responses.
    responses_lost: bool,
    /// When the last byte of the last response was captured.
    pub(super) answered: Timestamp,
}

impl Order {
    pub(super) fn lost(&mut self, requests: bool) {
        *(if requests { &mut self.requests_lost } else { &mut self.responses_lost }) = true;
    }

    /// This response is taken to answer this request, and another was sent `next`: says whether that is in doubt.
    pub(super) fn pair(&mut self, request: &Stamped, response: &Stamped, next: Option<Timestamp>) -> bool {
        let apart = self.answered <= request.first
            && request.last <= response.first
            && next.is_none_or(|next| response.last <= next);
        self.answered = response.last;
        let (one, both) =
            (self.requests_lost || self.responses_lost, self.requests_lost && self.responses_lost);
        if apart {
            (self.requests_lost, self.responses_lost) = (false, false);
        }
        both || (one && !apart)
    }
}
