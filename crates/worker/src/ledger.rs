//! Where every packet, byte, flow and message ended.

use crate::{CaptureStats, PacketCounters};

/// All that was counted on the way from the source to the entries. Each row is counted where the thing happens.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By the source.
    pub capture: CaptureStats,
    /// By the decoder: every frame ends in exactly one row.
    pub decode: flow::DecodeCounters,
    /// By the flow tables.
    pub flow: flow::FlowCounters,
    /// By the dissectors.
    pub dissect: dissect::Counters,
    /// By the packet store.
    pub packets: PacketCounters,
    /// Flows that are open now.
    pub open_flows: u64,
}

impl Ledger {
    /// Adds the ledger of another source.
    pub fn add(&mut self, other: &Self) {
        self.capture.add(&other.capture);
        self.decode.add(&other.decode);
        self.flow.add(&other.flow);
        self.dissect.add(&other.dissect);
        self.packets.add(&other.packets);
        self.open_flows += other.open_flows;
    }

    /// Visits every row that only grows, stage by stage.
    pub fn each(&self, visit: &mut dyn FnMut(&'static str, &'static str, u64)) {
        self.capture.each(&mut |row, count| visit("capture", row, count));
        self.decode.each(&mut |row, count| visit("decode", row, count));
        self.flow.each(&mut |row, count| visit("flow", row, count));
        self.dissect.each(&mut |row, count| visit("dissect", row, count));
        self.packets.each(&mut |row, count| visit("packets", row, count));
    }

    /// The same as JSON, with the flows that are open: an object per stage.
    pub fn json(&self) -> serde_json::Value {
        let mut stages = serde_json::Map::new();
        self.each(&mut |stage, row, count| {
            let stage =
                stages.entry(stage).or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
            stage[row] = count.into();
        });
        stages["flow"]["open"] = self.open_flows.into();
        serde_json::Value::Object(stages)
    }
}
