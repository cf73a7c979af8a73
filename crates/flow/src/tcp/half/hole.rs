//! Holes: how long they are kept open, and how they are given up.

use super::Half;
use crate::handler::FlowHandler;
use crate::outlet::Outlet;
use crate::packet::Timestamp;

/// Bytes that are missing in front of others, or of what was acknowledged.
pub(super) struct Hole {
    /// Since when nothing moved.
    since: Timestamp,
    /// The receiver has what is missing, up to here.
    acknowledged: Option<i64>,
    /// Packets of the flow since that was known.
    packets: u32,
}

impl Half {
    /// Gives up the lowest hole to make room.
    pub(in crate::tcp) fn force<H: FlowHandler>(&mut self, out: &mut Outlet<'_, H>) {
        if self.hole.is_none() && self.queue.is_empty() {
            return;
        }
        let to = self.queue.first().unwrap_or_else(|| self.received());
        out.counters.gaps_forced += u64::from(to > self.next);
        self.skip(to, out);
        self.drain(out);
        self.end(out);
        self.renew_hole(out);
    }

    /// After a hole was given up, the next one begins to age.
    fn renew_hole<H: FlowHandler>(&mut self, out: &Outlet<'_, H>) {
        self.hole =
            (!self.queue.is_empty()).then_some(Hole { since: out.at, acknowledged: None, packets: 0 });
    }

    /// Up to where the receiver has all bytes. The last one acknowledged may be a FIN that was not captured.
    fn received(&self) -> i64 {
        match (self.fin, self.queue.first()) {
            (Some(fin), _) => self.acknowledged.min(fin),
            (None, Some(first)) if first >= self.acknowledged => self.acknowledged,
            (None, _) => (self.acknowledged - 1).max(self.queue.first().unwrap_or(0).min(self.acknowledged)),
        }
    }

    /// A packet of the flow, of either half, was seen: looks whether there is a hole, and whether it is one for good.
    pub(in crate::tcp) fn watch<H: FlowHandler>(&mut self, out: &mut Outlet<'_, H>) {
        let received = self.received();
        if self.queue.is_empty() && (received <= self.next || !self.heard) {
            self.hole = None;
            return;
        }
        let hole = self.hole.get_or_insert(Hole { since: out.at, acknowledged: None, packets: 0 });
        if hole.acknowledged.is_some() {
            hole.packets += 1;
        } else if received > self.next {
            *hole = Hole { since: out.at, acknowledged: Some(received), packets: 0 };
        }
        self.age(out);
    }

    /// Gives up the hole if it has been open for long enough.
    pub(in crate::tcp) fn age<H: FlowHandler>(&mut self, out: &mut Outlet<'_, H>) {
        let Some(hole) = &self.hole else { return };
        let limits = out.limits;
        if let Some(acknowledged) = hole.acknowledged {
            if hole.packets < limits.hole_packets && !out.at.passed(limits.hole_acknowledged, hole.since) {
                return;
            }
            // By now it may be known better: what waits, if it was acknowledged too, shows where the hole ends.
            let shown = self.queue.first().filter(|&first| first <= self.acknowledged).unwrap_or(0);
            let acknowledged = acknowledged.max(shown).min(self.last());
            while self.next < acknowledged {
                self.skip(self.queue.first().map_or(acknowledged, |first| first.min(acknowledged)), out);
                self.drain(out);
            }
        } else {
            if !out.at.passed(limits.hole_open, hole.since) {
                return;
            }
            let Some(first) = self.queue.first() else { return };
            self.skip(first, out);
            self.drain(out);
        }
        self.end(out);
        self.renew_hole(out);
    }

    /// The flow ends: delivers all that waits.
    pub(in crate::tcp) fn finish<H: FlowHandler>(&mut self, out: &mut Outlet<'_, H>) {
        while let Some(first) = self.queue.first() {
            self.skip(first, out);
            self.drain(out);
            self.end(out);
        }
        if self.heard {
            self.skip(self.received(), out);
        }
        self.end(out);
    }
}
