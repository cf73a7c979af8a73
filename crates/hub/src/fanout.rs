//! One entry, many watchers, no waiting.
//!
//! Links put entries into the watchers' queues and never wait for them; a watcher's session takes entries out of its
//! own queue only. What a worker must be told (a new query, credit, the end of a query) is not sent from here: the
//! watcher's number is marked as *due* at the worker, whose link then looks at the watcher. So nothing queues up
//! towards a worker either, and a new connection finds the whole truth here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use api::messages::{Shape, SubscriptionId};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use web::{Access, Failure, Feed, Item, Parted, Query, Source, tls::Keys};

use crate::{
    Limits, lock,
    queue::{Bounds, Queue, Taken},
    workers::Worker,
};

/// The hub's watchers and workers.
#[derive(Debug)]
pub(crate) struct Fanout {
    workers: RwLock<Workers>,
    watchers: RwLock<Watchers>,
    bounds: Bounds,
    /// Those that workers are dialled with.
    keys: Option<Keys>,
    /// What watchers that are gone have counted.
    past: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Watchers {
    by_id: BTreeMap<SubscriptionId, Arc<Watcher>>,
    last_id: SubscriptionId,
}

#[derive(Debug, Default)]
struct Workers {
    by_index: BTreeMap<usize, Arc<Worker>>,
    next: usize,
}

/// A query at work.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// Its number, with every worker.
    pub(crate) id: SubscriptionId,
    pub(crate) query: Query,
    pub(crate) shape: Shape,
    pub(crate) since: SystemTime,
    /// The node whose worker alone is watched.
    pub(crate) only: Option<Arc<str>>,
    /// Who watches.
    pub(crate) access: Access,
    queue: Mutex<Queue>,
    /// The queue may have something to take.
    news: Notify,
}

/// What watchers count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Entries that sessions took.
    pub(crate) taken: u64,
    /// Entries that they lost, here or at a worker.
    pub(crate) lost: u64,
}

impl Fanout {
    /// Without workers and watchers.
    pub(crate) fn new(limits: &Limits, keys: Option<Keys>) -> Self {
        let bounds = Bounds {
            bytes: limits.queue_bytes,
            entries: limits.queue_entries,
            credit: limits.credit_bytes,
            merge_wait: limits.merge_wait,
        };
        Self { workers: RwLock::default(), watchers: RwLock::default(), bounds, keys, past: Mutex::default() }
    }

    /// All workers in the order in which they came, also those that are away, or gone a short while ago.
    pub(crate) fn workers(&self) -> Vec<Arc<Worker>> {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        workers.by_index.values().cloned().collect()
    }

    /// The worker of this number.
    pub(crate) fn worker(&self, index: usize) -> Option<Arc<Worker>> {
        self.workers.read().unwrap_or_else(PoisonError::into_inner).by_index.get(&index).cloned()
    }

    /// The worker of this address; whether it is new.
    pub(crate) fn enter_worker(&self, address: &str) -> (Arc<Worker>, bool) {
        let mut workers = self.workers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = workers.by_index.values().find(|worker| worker.address == address) {
            return (Arc::clone(known), false);
        }
        let index = workers.next;
        workers.next += 1;
        let worker = Arc::new(Worker::new(index, address.to_owned(), self.keys.clone()));
        workers.by_index.insert(index, Arc::clone(&worker));
        (worker, true)
    }

    /// Forgets a worker: another of its address will be another.
    pub(crate) fn leave_worker(&self, index: usize) {
        self.workers.write().unwrap_or_else(PoisonError::into_inner).by_index.remove(&index);
        self.watchers(|watchers| {
            for watcher in watchers.values() {
                watcher.update(|queue| queue.forget(index));
            }
        });
    }

    /// Runs `with` on the watchers of these numbers that are still there.
    pub(crate) fn watchers<T>(&self, with: impl FnOnce(&BTreeMap<SubscriptionId, Arc<Watcher>>) -> T) -> T {
        with(&self.watchers.read().unwrap_or_else(PoisonError::into_inner).by_id)
    }

    pub(crate) fn watcher(&self, id: SubscriptionId) -> Option<Arc<Watcher>> {
        self.watchers(|watchers| watchers.get(&id).cloned())
    }

    /// The numbers of all watchers.
    pub(crate) fn ids(&self) -> BTreeSet<SubscriptionId> {
        self.watchers(|watchers| watchers.keys().copied().collect())
    }

    /// What all watchers have counted since the start.
    pub(crate) fn counts(&self) -> Counts {
        // Held, so that nobody leaves meanwhile and is counted not at all.
        let past = lock(&self.past);
        self.watchers(|watchers| watchers.values().map(|watcher| watcher.counts()).fold(*past, Counts::and))
    }

    fn enter(&self, query: &Query, shape: Shape, access: &Access, only: Option<Arc<str>>) -> Arc<Watcher> {
        let wanted = |worker: &Arc<Worker>| only.as_ref().is_none_or(|node| worker.is_on(node));
        let expected = self.workers().into_iter().filter(|worker| worker.is_wanted() && wanted(worker));
        let expected: Vec<_> = expected.map(|worker| worker.index).collect();
        let mut watchers = self.watchers.write().unwrap_or_else(PoisonError::into_inner);
        let mut id = watchers.last_id.wrapping_add(1);
        while watchers.by_id.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        watchers.last_id = id;
        let watcher = Arc::new(Watcher {
            id,
            query: query.clone(),
            shape,
            since: SystemTime::now(),
            only,
            access: access.clone(),
            queue: Mutex::new(Queue::new(expected, self.bounds.clone(), Instant::now())),
            news: Notify::new(),
        });
        watchers.by_id.insert(id, Arc::clone(&watcher));
        watcher
    }

    fn leave(&self, watcher: &Watcher) {
        let mut past = lock(&self.past);
        self.watchers.write().unwrap_or_else(PoisonError::into_inner).by_id.remove(&watcher.id);
        *past = past.and(watcher.counts());
    }
}

impl Watcher {
    /// Changes the queue, and wakes the session.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let result = self.change(change);
        self.wake();
        result
    }

    /// Changes the queue only: many changes want one [`Watcher::wake`].
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        change(&mut lock(&self.queue))
    }

    /// Lets the session look at the queue.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    /// Whether it watches this worker.
    pub(crate) fn wants(&self, worker: &Worker) -> bool {
        self.only.as_ref().is_none_or(|node| worker.is_on(node))
    }

    fn counts(&self) -> Counts {
        self.change(|queue| {
            let report = queue.report();
            Counts { taken: report.taken, lost: report.lost.iter().map(|(_, n)| n).sum() }
        })
    }
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self { taken: self.taken + other.taken, lost: self.lost + other.lost }
    }
}

/// A session's end of a watcher. Dropped, the watcher is gone.
pub(crate) struct Subscription {
    fanout: Arc<Fanout>,
    watcher: Arc<Watcher>,
}

impl Subscription {
    fn due(&self) {
        for worker in self.fanout.workers() {
            worker.due(self.watcher.id);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.fanout.leave(&self.watcher);
        self.due();
    }
}

impl Feed for Subscription {
    async fn next(&mut self) -> Item {
        loop {
            match self.watcher.change(|queue| queue.take(Instant::now())) {
                Taken::Item(item, credit_due) => {
                    if let Some(worker) = credit_due.and_then(|worker| self.fanout.worker(worker)) {
                        worker.due(self.watcher.id);
                    }
                    return item;
                }
                Taken::Nothing => self.watcher.news.notified().await,
                Taken::NothingUntil(deadline) => tokio::select! {
                    () = self.watcher.news.notified() => {}
                    () = sleep_until(deadline) => {}
                },
            }
        }
    }
}

/// What sessions open feeds at.
#[derive(Clone)]
pub(crate) struct Entries {
    fanout: Arc<Fanout>,
    /// The node whose worker's alone they are.
    only: Option<Arc<str>>,
}

impl Entries {
    /// Those of all workers.
    pub(crate) fn of_all(fanout: Arc<Fanout>) -> Self {
        Self { fanout, only: None }
    }
}

impl Source for Entries {
    type Feed = Subscription;

    fn open(&self, _: Arc<kfl::Filter>, query: &Query, shape: Shape, access: &Access) -> Subscription {
        let fanout = Arc::clone(&self.fanout);
        let watcher = fanout.enter(query, shape, access, self.only.clone());
        let subscription = Subscription { fanout, watcher };
        subscription.due();
        subscription
    }
}

/// Each node's worker.
impl Parted for Entries {
    fn part(&self, node: &str) -> Result<Self, Failure> {
        let workers = self.fanout.workers();
        if !workers.iter().any(|worker| worker.is_on(node)) {
            let known: BTreeSet<_> = workers.iter().filter_map(|worker| worker.node()).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Failure::not_found(format!(
                "There is no worker on node {node:?}; known are [{known}]."
            )));
        }
        Ok(Self { fanout: Arc::clone(&self.fanout), only: Some(node.into()) })
    }
}
