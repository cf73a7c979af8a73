//! Where closed flows ended, so that what a host sends again after that opens no new flow.

use std::collections::VecDeque;
use std::time::Duration;

use crate::hash::MixedMap;
use crate::packet::{FlowKey, Packet, TcpFields, Timestamp};

/// The flows that ended of late.
pub(super) struct Ended {
    /// When each ended, and the sequence numbers after the last byte of the low and of the high end.
    flows: MixedMap<FlowKey, (Timestamp, [Option<u32>; 2])>,
    oldest: VecDeque<(Timestamp, FlowKey)>,
    limit: usize,
    keep: Duration,
}

impl Ended {
    pub(super) fn new(limit: usize, keep: Duration) -> Self {
        Self { flows: MixedMap::default(), oldest: VecDeque::new(), limit, keep }
    }

    /// Remembers a flow. Gives how many others were forgotten to make room.
    pub(super) fn note(&mut self, key: FlowKey, now: Timestamp, ends: [Option<u32>; 2]) -> u64 {
        self.flows.insert(key, (now, ends));
        self.oldest.push_back((now, key));
        let mut forgotten = 0;
        while self.oldest.len() > self.limit {
            self.forget_oldest();
            forgotten += 1;
        }
        forgotten
    }

    pub(super) fn tick(&mut self, now: Timestamp) {
        while self.oldest.front().is_some_and(|&(since, _)| now.passed(self.keep, since)) {
            self.forget_oldest();
        }
    }

    /// Whether a segment brings nothing that its flow did not have when it ended.
    pub(super) fn repeats(&self, packet: &Packet<'_>, fields: &TcpFields) -> bool {
        let Some((_, [low, high])) = self.flows.get(&packet.key) else { return false };
        let Some(end) = (if packet.from_low { *low } else { *high }) else { return false };
        let len = packet.payload.len() as u32 + packet.cut;
        fields.sequence.wrapping_add(len).wrapping_sub(end) as i32 <= 0
    }

    fn forget_oldest(&mut self) {
        let Some((since, key)) = self.oldest.pop_front() else { return };
        // The ports may have been used again, and that flow have ended since.
        if self.flows.get(&key).is_some_and(|it| it.0 == since) {
            self.flows.remove(&key);
        }
    }
}
