//! How the hub is, in numbers: nothing here tells what traffic there was.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use web::{Metrics, Readiness, Report};

use crate::routes::Hub;

/// The hub's own report.
#[derive(Clone)]
pub(crate) struct Health(pub(crate) Arc<Hub>);

impl Report for Health {
    /// A hub is ready as soon as it listens, in a cluster as soon as it knows its settings and its workers: without
    /// workers, watchers wait, and `/status` says for what.
    fn readiness(&self) -> Readiness {
        if let Some(why) = self.0.kubernetes.as_ref().and_then(|kubernetes| kubernetes.not_ready()) {
            return Readiness::NotReady(why);
        }
        let mut workers = self.0.fanout.workers();
        workers.retain(|worker| worker.is_wanted());
        let connected = workers.iter().filter(|worker| worker.is_connected()).count();
        Readiness::Ready(match workers.len() {
            0 if self.0.kubernetes.is_some() => "ready, but no worker has a pod with an address".into(),
            0 => "ready, but no worker is known: start the hub with --workers host:port".into(),
            all => format!("ready, {connected} of {all} workers connected"),
        })
    }

    fn metrics(&self, out: &mut Metrics) {
        let fanout = &self.0.fanout;
        let counts = fanout.counts();
        let waiting = fanout.watchers(|watchers| {
            watchers.values().map(|each| each.change(|queue| queue.report().bytes)).sum::<usize>()
        });
        out.gauge("kubeshark_hub_watchers", "Queries at work.").is(fanout.watchers(BTreeMap::len));
        out.gauge("kubeshark_hub_queued_bytes", "Bytes that wait for watchers.").is(waiting);
        out.counter("kubeshark_hub_delivered_total", "Entries that were sent to watchers.").is(counts.taken);
        out.counter("kubeshark_hub_lost_total", "Entries that watchers will never get.").is(counts.lost);
        let (lines, lost) = self.0.scripts.console.counts();
        out.gauge("kubeshark_hub_scripts", "Scripts that are kept.").is(self.0.scripts.list().len());
        out.counter("kubeshark_hub_console_lines_total", "Lines that scripts wrote.").is(lines);
        out.counter("kubeshark_hub_console_lost_total", "Lines of scripts that workers had to drop.")
            .is(lost);
        if let Some(actions) = &self.0.scripts.actions {
            let stats = actions.stats();
            out.counter(
                "kubeshark_hub_script_restarts_total",
                "How often the hub's script host was started again.",
            )
            .is(stats.restarts);
            out.counter("kubeshark_hub_actions_unheard_total", "Calls of hub.action that no script heard.")
                .is(actions.unheard());
            out.append(&stats.metrics);
        }
        let mut connected = out.gauge("kubeshark_hub_worker_connected", "Whether the worker is connected.");
        for worker in fanout.workers() {
            connected = connected.with(&[("worker", &worker.address)], u8::from(worker.is_connected()));
        }
        let mut received = out.counter("kubeshark_hub_received_total", "Entries that came from the worker.");
        for worker in fanout.workers() {
            received = received.with(&[("worker", &worker.address)], worker.received.load(Relaxed));
        }
        let mut repeated =
            out.counter("kubeshark_hub_repeated_total", "Entries that came from the worker twice.");
        for worker in fanout.workers() {
            repeated = repeated.with(&[("worker", &worker.address)], worker.repeated.load(Relaxed));
        }
    }
}
