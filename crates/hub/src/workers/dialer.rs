//! Which workers there are: named at the start, posted, or found by their pods. Each has a task that keeps its link.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tracing::info;

use super::{Near, Place, State, Wanted, Worker, run};
use crate::lock;

/// Starts and ends the links to workers.
pub(crate) struct Dialer {
    near: Arc<Near>,
    tasks: Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}

impl Dialer {
    /// One that knows no worker yet.
    pub(crate) fn new(near: Near) -> Self {
        Self { near: Arc::new(near), tasks: Mutex::default() }
    }

    /// A worker that is always there.
    pub(crate) fn name(&self, address: &str) {
        self.sponsor(address, |state| state.sponsors.named = true);
    }

    /// A worker that somebody says is there.
    pub(crate) fn post(&self, address: &str) {
        self.sponsor(address, |state| state.sponsors.posted = true);
    }

    /// It is not there any more; whether it was.
    pub(crate) fn withdraw(&self, address: &str) -> bool {
        let workers = self.near.fanout.workers();
        let Some(worker) = workers.iter().find(|worker| worker.address == address) else { return false };
        let was = std::mem::take(&mut lock(&worker.state).sponsors.posted);
        self.settle(worker);
        was
    }

    /// The workers that have pods, all of them.
    pub(crate) fn found(&self, mut found: BTreeMap<String, Place>) {
        for worker in self.near.fanout.workers() {
            let place = found.remove(&worker.address);
            let before = std::mem::replace(&mut lock(&worker.state).sponsors.pod, place.clone());
            if before.is_some() || place.is_some() {
                self.settle(&worker);
            }
            // A pod that changes may be ready now.
            if before != place {
                worker.nudge.notify_waiters();
            }
        }
        for (address, place) in found {
            self.sponsor(&address, |state| state.sponsors.pod = Some(place));
        }
        self.sweep();
    }

    /// Forgets from time to time who was gone for long; never returns.
    pub(crate) async fn sweeping(self: Arc<Self>) {
        let mut period = interval(self.near.limits.gone_kept / 4);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            period.tick().await;
            self.sweep();
        }
    }

    fn sponsor(&self, address: &str, note: impl FnOnce(&mut State)) {
        let (worker, is_new) = self.near.fanout.enter_worker(address);
        note(&mut lock(&worker.state));
        if is_new {
            let mut tasks = lock(&self.tasks);
            // Those that have ended meanwhile.
            while tasks.try_join_next().is_some() {}
            tasks.spawn_on(run(worker, Arc::clone(&self.near)), &Handle::current());
        } else {
            self.settle(&worker);
        }
    }

    /// Wants a worker, or not, as its sponsors do.
    fn settle(&self, worker: &Worker) {
        let is_there = {
            let sponsors = &lock(&worker.state).sponsors;
            sponsors.named || sponsors.posted || sponsors.pod.is_some()
        };
        worker.wanted.send_if_modified(|wanted| match (is_there, *wanted) {
            (true, Wanted::Gone(_)) => {
                *wanted = Wanted::Yes;
                true
            }
            (false, Wanted::Yes) => {
                *wanted = Wanted::Gone(Instant::now());
                true
            }
            _ => false,
        });
    }

    fn sweep(&self) {
        let limits = &self.near.limits;
        let workers = self.near.fanout.workers();
        let since = |worker: &Arc<Worker>| match *worker.wanted.borrow() {
            Wanted::Gone(since) => Some((since, worker.index)),
            Wanted::Yes | Wanted::Forgotten => None,
        };
        let mut gone: Vec<_> = workers.iter().filter_map(since).collect();
        gone.sort();
        let surplus = gone.len().saturating_sub(limits.gone_workers);
        for (place, (since, index)) in gone.into_iter().enumerate() {
            if place >= surplus && since.elapsed() < limits.gone_kept {
                continue;
            }
            let Some(worker) = self.near.fanout.worker(index) else { continue };
            info!(worker = worker.address, "A worker that was gone is forgotten");
            worker.wanted.send_replace(Wanted::Forgotten);
            self.near.fanout.leave_worker(index);
        }
    }

    /// Ends all links.
    pub(crate) async fn shutdown(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
    }
}
