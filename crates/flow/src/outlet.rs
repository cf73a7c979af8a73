//! The way from a flow's state to its handler; what passes is counted here.

use crate::counters::FlowCounters;
use crate::handler::{Data, Direction, FlowHandler, Gap};
use crate::limits::Limits;
use crate::packet::{Ordinal, Timestamp};

/// One flow's handler, for the time of one packet or tick.
pub(crate) struct Outlet<'a, H: FlowHandler> {
    pub(crate) handler: &'a mut H,
    pub(crate) flow: &'a mut H::Flow,
    pub(crate) counters: &'a mut FlowCounters,
    pub(crate) limits: &'a Limits,
    pub(crate) ordinal: Ordinal,
    pub(crate) at: Timestamp,
    /// The flow was reset, yet goes on.
    pub(crate) ambiguous: bool,
}

impl<H: FlowHandler> Outlet<'_, H> {
    /// Bytes of TCP, in order, of a packet captured `at`.
    pub(crate) fn data(&mut self, direction: Direction, at: Timestamp, suspect: Suspect, bytes: &[u8]) {
        self.counters.delivered += bytes.len() as u64;
        let data = Data {
            direction,
            ordinal: self.ordinal,
            at,
            overlap: suspect != Suspect::No,
            ambiguous: self.ambiguous || suspect == Suspect::Contradicted,
            cut: 0,
            bytes,
        };
        self.handler.data(self.flow, &data);
    }

    /// A datagram, of which the capture cut off `cut` bytes.
    pub(crate) fn datagram(&mut self, direction: Direction, bytes: &[u8], cut: u32) {
        self.counters.datagrams_delivered += 1;
        self.counters.datagrams_cut += u64::from(cut > 0);
        self.counters.datagram_bytes += bytes.len() as u64;
        let data = Data {
            direction,
            ordinal: self.ordinal,
            at: self.at,
            overlap: false,
            ambiguous: false,
            cut,
            bytes,
        };
        self.handler.data(self.flow, &data);
    }

    pub(crate) fn gap(&mut self, direction: Direction, len: u64) {
        self.counters.gaps += 1;
        self.counters.gap_bytes += len;
        self.handler.gap(self.flow, &Gap { direction, ordinal: self.ordinal, at: self.at, len });
    }

    pub(crate) fn contradicted(&mut self, direction: Direction) {
        self.handler.contradicted(self.flow, direction, self.ordinal, self.at);
    }

    pub(crate) fn half_close(&mut self, direction: Direction) {
        self.handler.half_close(self.flow, direction, self.ordinal, self.at);
    }
}

/// Whether two copies of bytes differed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspect {
    /// They did not.
    No,
    /// Of these bytes.
    Overlap,
    /// Of the bytes delivered before these.
    Contradicted,
}
