//! `/ws` and `/wsFull` of a worker: one subscription, read straight from the store at the watcher's own pace.
//! `onItemQueried` of the scripts sees each entry that matches, and may change how it is shown.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use api::{Entry, View, messages::Shape};
use axum::extract::ws::Utf8Bytes;
use kfl::{Filter, Sieve};
use serde_json::Value;
use tokio::sync::watch::Receiver;
use web::{Access, Feed, Item, Query, Source};

use super::{EVICTED, EVICTED_BEFORE, Served};
use crate::{scripts::Scripts, store::Store};

impl Source for Served {
    type Feed = StoreFeed;

    fn open(&self, filter: Arc<Filter>, _query: &Query, shape: Shape, _access: &Access) -> StoreFeed {
        let head = self.store.head();
        let history_end = *head.borrow() + 1;
        let (next, gone) = self.store.beginning();
        let lost = (gone > 0).then_some(Item::Lost { n: gone, why: Cow::Borrowed(EVICTED_BEFORE) });
        StoreFeed {
            store: Arc::clone(&self.store),
            scripts: Arc::clone(&self.scripts),
            head,
            sieve: Sieve::new(filter),
            shape,
            next,
            history_end: Some(history_end),
            ready: lost.into_iter().collect(),
        }
    }
}

/// A place in the store that moves on as its watcher reads.
pub(crate) struct StoreFeed {
    store: Arc<Store>,
    scripts: Arc<Scripts>,
    head: Receiver<u64>,
    sieve: Sieve<Entry>,
    shape: Shape,
    /// The next entry to look at.
    next: u64,
    /// Where what the store held at first ends, until that was said.
    history_end: Option<u64>,
    ready: VecDeque<Item>,
}

impl Feed for StoreFeed {
    async fn next(&mut self) -> Item {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return item;
            }
            // Seen before the store is read, so that what comes meanwhile wakes us.
            self.head.mark_unchanged();
            if !self.read().await && self.head.changed().await.is_err() {
                return Item::End;
            }
        }
    }
}

impl StoreFeed {
    /// Looks at the next few entries; false at the head.
    async fn read(&mut self) -> bool {
        let read = self.store.read(self.next);
        let matching: Vec<_> =
            read.entries.iter().map(|(_, entry)| entry).filter(|entry| self.sieve.matches(entry)).collect();
        // Nothing is taken before scripts were asked: a future that is dropped meanwhile has lost nothing.
        let changed = self.scripts.queried(&matching).await;
        if read.missed > 0 {
            self.ready.push_back(Item::Lost { n: read.missed, why: Cow::Borrowed(EVICTED) });
        }
        for (entry, changed) in matching.into_iter().zip(&changed) {
            self.ready.push_back(Item::Entry(text(entry, changed.as_ref(), self.sieve.filter(), self.shape)));
        }
        let moved = read.next > self.next || read.missed > 0;
        self.next = read.next;
        if self.history_end.is_some_and(|end| self.next >= end) {
            self.history_end = None;
            self.ready.push_back(Item::HistoryEnd);
        }
        moved || !self.ready.is_empty()
    }
}

/// The JSON of an entry, or of what a script made of it, as a filter lets it be seen.
fn text(entry: &Entry, changed: Option<&Value>, filter: &Filter, shape: Shape) -> Utf8Bytes {
    let mut text = Vec::new();
    write_shape(&mut text, entry, changed, filter, shape);
    // JSON is UTF-8; were it not, the watcher would get an empty text rather than none.
    String::from_utf8(text).unwrap_or_default().into()
}

/// Appends the JSON of an entry, or of what a script made of it, as a filter lets it be seen.
pub(super) fn write_shape(
    out: &mut Vec<u8>,
    entry: &Entry,
    changed: Option<&Value>,
    filter: &Filter,
    shape: Shape,
) {
    let view = match changed {
        Some(changed) => View::changed(filter, entry, changed),
        None => View::through(filter, entry),
    };
    match shape {
        Shape::Full => api::write_full(out, &view),
        Shape::Base => api::write_base(out, &view),
    }
}
