//! The tables of several hubs, and which of them is asked.

use std::time::Instant;

use super::{NameLimits, News, table::Table};

/// What hubs told.
#[derive(Default)]
pub(super) struct Hubs {
    pub(super) hubs: Vec<Hub>,
    /// Which of them is asked.
    pub(super) asked: usize,
}

/// What one start of a hub told.
pub(super) struct Hub {
    pub(super) epoch: u64,
    /// The number of its next change; `None` after a gap, until it tells all of them again.
    pub(super) next: Option<u64>,
    /// Connections to it.
    pub(super) links: usize,
    pub(super) table: Table,
    /// When it last spoke.
    pub(super) heard: Instant,
    /// The same by the clock of this node, in nanoseconds since the Unix epoch.
    pub(super) heard_at: i64,
    /// When what is long over was last forgotten.
    pub(super) forgot: Instant,
}

impl Hubs {
    /// The place of the hub that speaks; nothing where it must begin anew, or there is no room.
    pub(super) fn place(&mut self, news: &News, is_new: bool, limits: NameLimits) -> Option<usize> {
        if let Some(index) = self.hubs.iter().position(|hub| hub.epoch == news.epoch) {
            let hub = self.hubs.get_mut(index)?;
            if is_new && !news.complete {
                return None;
            }
            hub.links += usize::from(is_new);
            return Some(index);
        }
        if !news.complete {
            return None;
        }
        // What a hub told that is gone stays true of the past: whoever comes after it goes on with that.
        if let Some(index) = self.hubs.iter().position(|hub| hub.links == 0) {
            let hub = self.hubs.get_mut(index)?;
            (hub.epoch, hub.links) = (news.epoch, 1);
            return Some(index);
        }
        if self.hubs.len() >= limits.hubs {
            return None;
        }
        let heard_at = i64::MIN;
        let (table, heard) = (Table::new(limits), Instant::now());
        let epoch = news.epoch;
        self.hubs.push(Hub { epoch, next: None, links: 1, table, heard, heard_at, forgot: heard });
        Some(self.hubs.len() - 1)
    }

    /// Whether another is asked now.
    pub(super) fn leave(&mut self, link: Option<u64>) -> bool {
        let Some(index) = self.hubs.iter().position(|hub| Some(hub.epoch) == link) else { return false };
        if let Some(hub) = self.hubs.get_mut(index) {
            hub.links = hub.links.saturating_sub(1);
            if hub.links > 0 {
                return false;
            }
        }
        // The last one that is left stays as it is.
        let Some(other) = self.hubs.iter().position(|hub| hub.links > 0) else { return false };
        let was_asked = self.asked == index;
        let asked = self.hubs.get(if was_asked { other } else { self.asked }).map(|hub| hub.epoch);
        self.hubs.remove(index);
        self.asked = self.hubs.iter().position(|hub| Some(hub.epoch) == asked).unwrap_or_default();
        was_asked
    }
}
