//! What became of every flow, byte and message.

use crate::DISSECTORS;

const PROTOCOLS: usize = DISSECTORS.len();

macro_rules! counters {
    ($($(#[$doc:meta])* $row:ident: $label:literal,)+) => {
        /// Rows that only grow. Each is incremented where the thing happens.
        ///
        /// - Flows: the flows of each protocol + `flows_unknown` + `flows_silent` = flows closed.
        /// - Bytes: `bytes_dissected` + `bytes_skipped` + `bytes_unknown` + `bytes_unfinished` = bytes delivered.
        /// - Requests: `paired` + the rows `unanswered_…` = requests read.
        /// - Responses: `paired` + `requests_missing` + `interim` = responses read.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            /// Flows closed of each protocol, in the order of [`DISSECTORS`](crate::DISSECTORS).
            pub flows: [u64; PROTOCOLS],
            $($(#[$doc])* pub $row: u64,)+
        }

        impl Counters {
            /// Visits every row by name.
            pub fn each(&self, visit: &mut dyn FnMut(&'static str, u64)) {
                for (spec, count) in DISSECTORS.iter().zip(self.flows) {
                    visit(spec.row, count);
                }
                $(visit($label, self.$row);)+
            }

            /// Adds the rows of `other`.
            pub fn add(&mut self, other: &Self) {
                for (sum, count) in self.flows.iter_mut().zip(other.flows) {
                    *sum += count;
                }
                $(self.$row += other.$row;)+
            }
        }
    };
}

counters! {
    /// Flows closed whose bytes were no protocol that we know.
    flows_unknown: "flowsUnknown",
    /// Flows closed that carried no byte.
    flows_silent: "flowsSilent",
    /// Bytes of messages.
    bytes_dissected: "bytesDissected",
    /// Bytes of flows of a known protocol that belong to no message: between messages, or before one could be found.
    bytes_skipped: "bytesSkipped",
    /// Bytes of no known protocol.
    bytes_unknown: "bytesUnknown",
    /// Bytes of messages whose head was not complete when the flow ended or a gap came.
    bytes_unfinished: "bytesUnfinished",
    /// Requests that met their response.
    paired: "paired",
    /// Responses of which the request was not seen.
    requests_missing: "requestsMissing",
    /// Interim responses (HTTP's 1xx).
    interim: "interim",
    /// Requests whose connection ended first, in good order.
    unanswered_closed: "unansweredClosed",
    /// Requests whose connection was reset.
    unanswered_reset: "unansweredReset",
    /// Requests that were not answered in time.
    unanswered_timeout: "unansweredTimeout",
    /// Requests that were open when the capture ended.
    unanswered_capture_end: "unansweredCaptureEnd",
    /// Requests whose flow was given up by the flow table (idle, evicted, ports used again).
    unanswered_dropped: "unansweredDropped",
    /// Requests whose response was lost in a gap of the capture.
    unanswered_gap: "unansweredGap",
    /// Requests whose response broke the protocol.
    unanswered_malformed: "unansweredMalformed",
    /// Requests given up because too many waited in their flow.
    unanswered_limit: "unansweredLimit",
    /// Heads that were not complete when a gap, the end of the flow or the capture's cut came: messages that are not
    /// shown.
    heads_unfinished: "headsUnfinished",
    /// Messages that broke their protocol and are not shown.
    malformed: "malformed",
    /// Messages that a limit refused (a head too long) and that are not shown.
    refused: "refused",
    /// Contradictions (a later copy of delivered bytes differs) that met no message which was not an entry yet: one that
    /// was shown before may be made of the wrong copy.
    contradicted_late: "contradictedLate",
    /// Messages shown without a part of them: a body or a header cut by a gap, a limit, or the end of the capture.
    truncated: "truncated",
}
