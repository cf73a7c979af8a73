//! Where entries go: in a cluster they wait for their names, then they come to the scripts and into the store.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use api::Entry;

use crate::{
    batch::Batch,
    names::{Names, waiting::Waiting},
    rounds::{Account, Consume, Finish},
    scripts::Scripts,
    status::Status,
    store::{Store, packets::Sink},
    targets::{Targeting, own::Own},
};

/// Entries are kept as they are.
pub(crate) struct Keep;

impl Finish for Keep {
    type Item = Arc<Entry>;

    fn finish(&self, entry: Entry, _buffer: &mut Vec<u8>) -> Option<Arc<Entry>> {
        Some(Arc::new(entry))
    }
}

/// Hands entries to the store, a round at a time.
pub(crate) struct Keeper {
    pub(crate) index: usize,
    pub(crate) live: bool,
    pub(crate) store: Arc<Store>,
    pub(crate) status: Arc<Status>,
    pub(crate) scripts: Arc<Scripts>,
    /// Where frames go, if they are kept.
    pub(crate) sink: Option<Sink>,
    pub(crate) names: Arc<Names>,
    pub(crate) targeting: Arc<Targeting>,
    /// Our own connections.
    pub(crate) sockets: Arc<Own>,
    /// Entries that wait for the names of their time.
    pub(crate) waiting: Waiting,
    pub(crate) round: Round,
}

impl Keeper {
    /// Entries that may be shown now: those that came, and in a cluster those that have waited.
    fn ready(&mut self) -> Vec<Arc<Entry>> {
        let mut came = std::mem::take(&mut self.round.entries);
        if !self.live {
            return came;
        }
        if self.names.are_told() || !self.waiting.is_empty() {
            let now = Instant::now();
            came.drain(..).for_each(|entry| self.waiting.push(entry, now));
            let mut early = 0;
            if let Some(namer) = self.names.namer() {
                came = self.waiting.release(now, &mut early, |entry| namer.name(entry));
                for entry in &came {
                    namer.count(entry);
                }
            }
            self.names.named_early(early);
        }
        self.shown(came)
    }

    /// Leaves out what was said over our own connections, and says which way the others went.
    fn shown(&self, mut entries: Vec<Arc<Entry>>) -> Vec<Arc<Entry>> {
        let before = entries.len();
        entries.retain(|entry| !self.sockets.involves(entry));
        let own = (before - entries.len()) as u64;
        if own > 0 {
            self.status.source(self.index, |source| source.own_entries += own);
        }
        for entry in &mut entries {
            // Nobody else has it yet.
            if let Some(entry) = Arc::get_mut(entry) {
                entry.outgoing = self.targeting.is_outgoing(entry);
            }
        }
        entries
    }

    fn show(&self, entries: Vec<Arc<Entry>>) {
        if entries.is_empty() {
            return;
        }
        for entry in &entries {
            self.status.count(entry.protocol.abbr, 1);
        }
        self.scripts.entries(&entries, !self.live);
        self.store.extend(entries, self.live);
    }
}

#[derive(Default)]
pub(crate) struct Round {
    entries: Vec<Arc<Entry>>,
    packets: u64,
    told: Option<Instant>,
}

/// How often the ledger is copied to where handlers see it.
const LEDGER_PERIOD: Duration = Duration::from_millis(200);

impl Consume<Arc<Entry>> for Keeper {
    fn consume(&mut self, entry: Arc<Entry>, _buffer: &[u8]) -> io::Result<()> {
        self.round.entries.push(entry);
        Ok(())
    }

    fn frames(&mut self, batch: &mut Batch) {
        self.scripts.packets(batch, !self.live);
        if let Some(sink) = &self.sink {
            sink.take(batch);
        }
    }

    fn round(&mut self, account: &dyn Account) -> io::Result<()> {
        let entries = self.ready();
        self.show(entries);
        if self.round.told.is_none_or(|told| told.elapsed() >= LEDGER_PERIOD) {
            self.round.told = Some(Instant::now());
            let (ledger, shedding) = (account.ledger(), account.shedding());
            let packets = std::mem::replace(&mut self.round.packets, ledger.capture.packets);
            let fresh = packets != ledger.capture.packets;
            self.status.source(self.index, |source| {
                (source.ledger, source.shedding) = (ledger, shedding);
                if fresh {
                    source.last_packet = Some(Instant::now());
                }
            });
        }
        Ok(())
    }

    fn end(&mut self) {
        let came = std::mem::take(&mut self.round.entries);
        let namer = self.names.patient_namer();
        let mut entries = self.waiting.drain(|entry| namer.name(entry));
        for entry in &entries {
            namer.count(entry);
        }
        drop(namer);
        entries.extend(came);
        self.show(if self.live { self.shown(entries) } else { entries });
    }
}
