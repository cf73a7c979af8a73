//! `/hub`: the one socket between a hub and this worker. It carries every subscription of that hub.
//!
//! A subscription first catches up at its own place in the store, as far as its credit goes; once it has reached the
//! place of the live ones it joins them. The live ones move on together: an entry is looked at once per distinct query,
//! printed once per form, and sent once with the numbers of all whom it is for. How far they have come is told now and
//! then, so that after a break nobody begins again where it last had a match.

use std::{io, sync::Arc, time::Duration};

use api::{
    Entry,
    messages::{Cursor, Frame, FromWorker, MAX_DELIVERIES, Shape, SubscriptionId, ToWorker, VERSION},
};
use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
};
use futures_util::{Sink, SinkExt, StreamExt};
use kfl::{Filter, Language, Options};
use tokio::{sync::watch::Receiver, time};
use tracing::{debug, info};
use web::Access;

use super::{EVICTED, EVICTED_BEFORE, Served, watch::write_shape};
use crate::{scripts::Place, store::Store};

/// How often the hub is told how the worker is.
const STATUS_PERIOD: Duration = Duration::from_secs(2);

/// How often the hub is told how far the live subscriptions have come, while they move.
const SEEN_PERIOD: Duration = Duration::from_millis(500);

/// How long the hub may take to receive one message: one that has stopped must not hold its subscriptions for ever.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest message of a hub, in bytes: all its scripts, escaped as JSON.
const MAX_MESSAGE: usize = 64 << 20;

/// A frame is sent when it has grown so long, in bytes.
const FRAME_BYTES: usize = 64 << 10;

/// Most entries that scripts are asked about at once for one that catches up: its credit may not reach further.
const MAX_ASKED: usize = 32;

/// Most subscriptions of one hub.
const MAX_SUBSCRIPTIONS: usize = 10_000;

pub(super) async fn upgrade(
    _access: Access,
    State(served): State<Served>,
    socket: WebSocketUpgrade,
) -> Response {
    socket.max_message_size(MAX_MESSAGE).on_upgrade(move |socket| async move {
        info!("A hub is connected");
        if let Err(error) = Link::new(served).serve(socket).await {
            debug!(%error, "The connection to a hub ended");
        }
        info!("A hub is gone");
    })
}

/// One subscription.
struct Subscription {
    id: SubscriptionId,
    query: Arc<LiveQuery>,
    phase: Phase,
}

/// What equal subscriptions share.
struct LiveQuery {
    kfl: String,
    language: Language,
    now: i64,
    shape: Shape,
    filter: Filter,
}

enum Phase {
    /// Its own next entry, and the bytes of text that it may still send; what an entry overdrew counts against the
    /// next credit.
    CatchingUp {
        next: u64,
        credit: i64,
    },
    Live,
}

struct Link {
    served: Served,
    head: Receiver<u64>,
    subscriptions: Vec<Subscription>,
    /// The next entry for those that are live.
    live: u64,
    /// The `live` that the hub was last told.
    told: u64,
    frame: Frame,
    /// How much of what scripts have to say the hub has.
    place: Place,
}

impl Link {
    fn new(served: Served) -> Self {
        let head = served.store.head();
        let place = served.scripts.outbox().place();
        Self { served, head, subscriptions: Vec::new(), live: 1, told: 1, frame: Frame::default(), place }
    }

    fn store(&self) -> &Store {
        &self.served.store
    }

    fn anyone_live(&self) -> bool {
        self.subscriptions.iter().any(|subscription| matches!(subscription.phase, Phase::Live))
    }

    async fn serve(mut self, socket: WebSocket) -> Result<(), axum::Error> {
        let (mut sink, mut stream) = socket.split();
        let mut shutdown = self.served.shutdown.clone();
        let node = Arc::clone(&self.served.status.node);
        let (node, worker) = (node.name.to_string(), node.worker.to_string());
        say(&mut sink, &FromWorker::Hello { version: VERSION, boot: self.served.status.boot, node, worker })
            .await?;
        let mut status = time::interval(STATUS_PERIOD);
        status.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut seen = time::interval(SEEN_PERIOD);
        seen.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut said = self.served.scripts.outbox().news();
        loop {
            // Seen before store and outbox are read, so that what comes meanwhile wakes us.
            self.head.mark_unchanged();
            said.mark_unchanged();
            let more = self.pass_on(&mut sink).await? | self.pump(&mut sink).await?;
            tokio::select! {
                biased;
                () = shutdown.requested() => return send(&mut sink, Message::Close(None)).await,
                message = stream.next() => match message {
                    Some(Ok(Message::Text(text))) => self.hear(&text, &mut sink).await?,
                    Some(Ok(Message::Close(_))) | None => return Ok(()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                },
                _ = status.tick() => say(&mut sink, &FromWorker::Status { status: self.served.status.json() }).await?,
                _ = seen.tick(), if self.told != self.live && self.anyone_live() => self.tell_seen(&mut sink).await?,
                // The sender lives as long as the scripts, which are served.
                _ = said.changed(), if !more => {}
                changed = self.head.changed(), if !more => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                () = std::future::ready(()), if more => {}
            }
        }
    }

    async fn hear(&mut self, text: &str, sink: &mut impl Outlet) -> Result<(), axum::Error> {
        match serde_json::from_str(text) {
            Ok(ToWorker::Subscribe { id, kfl, language, now, shape, after }) => {
                match self.query(kfl, language, now, shape) {
                    Ok(query) => {
                        let (next, gone) = self.place(after);
                        if gone > 0 {
                            say(sink, &lost(id, gone, EVICTED_BEFORE)).await?;
                        }
                        let phase = Phase::CatchingUp { next, credit: 0 };
                        self.subscriptions.push(Subscription { id, query, phase });
                    }
                    Err(why) => say(sink, &FromWorker::Refused { id, why }).await?,
                }
            }
            Ok(ToWorker::Credit { id, bytes }) => {
                for subscription in self.subscriptions.iter_mut().filter(|subscription| subscription.id == id)
                {
                    if let Phase::CatchingUp { credit, .. } = &mut subscription.phase {
                        *credit = credit.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
                    }
                }
            }
            Ok(ToWorker::Unsubscribe { id }) => {
                self.subscriptions.retain(|subscription| subscription.id != id);
            }
            Ok(ToWorker::Scripts { scripts, env }) => self.served.scripts.set(scripts, env),
            Ok(ToWorker::Jobs { command, tag }) => self.served.scripts.jobs(command, tag),
            Ok(ToWorker::Names { .. } | ToWorker::Targets { .. } | ToWorker::SelfTest { .. }) => {
                debug!("A hub speaks of a cluster, of which this worker knows nothing");
            }
            Err(error) => debug!(%error, "A hub said something that is not understood"),
        }
        Ok(())
    }

    /// The compiled query: shared with an equal one.
    fn query(
        &self,
        kfl: String,
        language: Language,
        now: i64,
        shape: Shape,
    ) -> Result<Arc<LiveQuery>, String> {
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(format!("this worker already serves {MAX_SUBSCRIPTIONS} queries of its hub"));
        }
        let equal = |query: &&Arc<LiveQuery>| {
            (&query.kfl, query.language, query.now, query.shape) == (&kfl, language, now, shape)
        };
        if let Some(query) = self.subscriptions.iter().map(|subscription| &subscription.query).find(equal) {
            return Ok(Arc::clone(query));
        }
        let options = Options { language, ..api::options(now) };
        let filter = Filter::new(&kfl, &options).map_err(|error| error.to_string())?;
        Ok(Arc::new(LiveQuery { kfl, language, now, shape, filter }))
    }

    /// Where a subscription begins, and how much of a file it has missed before.
    fn place(&self, after: Option<Cursor>) -> (u64, u64) {
        match after {
            Some(cursor) if cursor.boot == self.served.status.boot => (cursor.sequence.saturating_add(1), 0),
            _ => self.store().beginning(),
        }
    }

    /// Sends what scripts have to say; whether there is more at once.
    async fn pass_on(&mut self, sink: &mut impl Outlet) -> Result<bool, axum::Error> {
        let messages = self.served.scripts.outbox().take(&mut self.place);
        for message in &messages {
            say(sink, message).await?;
        }
        Ok(!messages.is_empty())
    }

    /// Sends the next few entries of everybody; whether there are more at once.
    async fn pump(&mut self, sink: &mut impl Outlet) -> Result<bool, axum::Error> {
        let mut more = self.pump_live(sink).await?;
        for index in 0..self.subscriptions.len() {
            more |= self.catch_up(index, sink).await?;
        }
        Ok(more)
    }

    async fn pump_live(&mut self, sink: &mut impl Outlet) -> Result<bool, axum::Error> {
        let mut groups = self.live_groups();
        if groups.is_empty() {
            return Ok(false);
        }
        let read = self.store().read(self.live);
        self.live = read.next;
        if read.missed > 0 {
            for id in groups.iter().flat_map(|(_, ids)| ids) {
                say(sink, &lost(*id, read.missed, EVICTED)).await?;
            }
        }
        let more = !read.entries.is_empty();
        groups.sort_by_key(|(query, _)| query.shape);
        let matching = |entry: &Arc<Entry>| -> Vec<_> {
            groups.iter().filter(|(query, _)| query.filter.matches(&**entry)).collect()
        };
        let wanted: Vec<_> = read
            .entries
            .iter()
            .map(|(sequence, entry)| (*sequence, entry, matching(entry)))
            .filter(|(.., groups)| !groups.is_empty())
            .collect();
        let entries: Vec<_> = wanted.iter().map(|(_, entry, _)| *entry).collect();
        let changed = self.served.scripts.queried(&entries).await;
        for ((sequence, entry, groups), changed) in wanted.into_iter().zip(changed) {
            let mut plain: [Option<(&Filter, Vec<SubscriptionId>)>; 2] = Default::default();
            for (query, ids) in groups {
                if query.filter.alters() {
                    // An altered copy is nobody else's.
                    self.frame.push(sequence, entry.at, query.shape, ids, |out| {
                        write_shape(out, entry, changed.as_ref(), &query.filter, query.shape);
                    });
                } else {
                    let plain = &mut plain[query.shape as usize];
                    plain.get_or_insert_with(|| (&query.filter, Vec::new())).1.extend(ids);
                }
            }
            for (shape, plain) in [Shape::Full, Shape::Base].into_iter().zip(plain) {
                let Some((filter, ids)) = plain else { continue };
                self.frame.push(sequence, entry.at, shape, &ids, |out| {
                    write_shape(out, entry, changed.as_ref(), filter, shape);
                });
            }
            self.flush_when_full(sink).await?;
        }
        self.flush(sink).await?;
        Ok(more)
    }

    /// The live subscriptions by query.
    fn live_groups(&self) -> Vec<(Arc<LiveQuery>, Vec<SubscriptionId>)> {
        let mut groups: Vec<(Arc<LiveQuery>, Vec<SubscriptionId>)> = Vec::new();
        for subscription in
            self.subscriptions.iter().filter(|subscription| matches!(subscription.phase, Phase::Live))
        {
            match groups.iter_mut().find(|(query, _)| Arc::ptr_eq(query, &subscription.query)) {
                Some((_, ids)) => ids.push(subscription.id),
                None => groups.push((Arc::clone(&subscription.query), vec![subscription.id])),
            }
        }
        groups
    }

    /// Sends the next few entries of one subscription that catches up; whether there are more.
    async fn catch_up(&mut self, index: usize, sink: &mut impl Outlet) -> Result<bool, axum::Error> {
        let Subscription { id, query, phase } = &self.subscriptions[index];
        let Phase::CatchingUp { next, credit } = *phase else { return Ok(false) };
        if credit <= 0 {
            return Ok(false);
        }
        let (id, query) = (*id, Arc::clone(query));
        let anyone_live = self.anyone_live();
        let mut read = self.store().read(next);
        if read.missed > 0 {
            say(sink, &lost(id, read.missed, EVICTED)).await?;
        }
        let (mut next, mut credit) = (read.next - read.entries.len() as u64, credit);
        if anyone_live {
            // Not past those whom it is to join.
            read.entries.retain(|(sequence, _)| *sequence < self.live);
        }
        let at_head = read.entries.is_empty();
        let matches: Vec<_> = read.entries.iter().map(|(_, entry)| query.filter.matches(&**entry)).collect();
        let asked = if self.served.scripts.wants_queries() { MAX_ASKED } else { usize::MAX };
        let matching = read.entries.iter().zip(&matches).filter(|(_, matches)| **matches);
        let entries: Vec<_> = matching.map(|((_, entry), _)| entry).take(asked).collect();
        let mut changed = self.served.scripts.queried(&entries).await.into_iter();
        for ((sequence, entry), matches) in read.entries.iter().zip(matches) {
            // The last entry may overdraw: one larger than the window would never go out otherwise.
            if credit <= 0 {
                break;
            }
            if matches {
                // Scripts were not asked about the next one yet.
                let Some(changed) = changed.next() else { break };
                let length = self.frame.push(*sequence, entry.at, query.shape, &[id], |out| {
                    write_shape(out, entry, changed.as_ref(), &query.filter, query.shape);
                });
                credit -= i64::from(length);
                self.flush_when_full(sink).await?;
            }
            next = *sequence + 1;
        }
        self.flush(sink).await?;
        if at_head && !anyone_live {
            self.live = next;
        }
        // One that is ahead of the others, after an eviction or in a store that is still being filled again, waits for
        // them: what it was already given, or told lost, it must not meet a second time.
        if at_head && next == self.live {
            self.subscriptions[index].phase = Phase::Live;
            say(sink, &FromWorker::HistoryEnd { id, sequence: next - 1 }).await?;
            return Ok(true);
        }
        self.subscriptions[index].phase = Phase::CatchingUp { next, credit };
        Ok(!at_head && credit > 0)
    }

    /// Tells how far the live ones have come. Their frames up to here are sent: nothing is held back over a round.
    async fn tell_seen(&mut self, sink: &mut impl Outlet) -> Result<(), axum::Error> {
        self.told = self.live;
        say(sink, &FromWorker::Seen { sequence: self.live - 1 }).await
    }

    async fn flush_when_full(&mut self, sink: &mut impl Outlet) -> Result<(), axum::Error> {
        if self.frame.count() >= MAX_DELIVERIES || self.frame.size() >= FRAME_BYTES {
            self.flush(sink).await
        } else {
            Ok(())
        }
    }

    async fn flush(&mut self, sink: &mut impl Outlet) -> Result<(), axum::Error> {
        if self.frame.count() > 0 {
            send(sink, Message::Binary(self.frame.take().into())).await?;
        }
        Ok(())
    }
}

fn lost(id: SubscriptionId, n: u64, why: &str) -> FromWorker {
    FromWorker::Lost { id, n, why: why.into() }
}

async fn say(sink: &mut impl Outlet, message: &FromWorker) -> Result<(), axum::Error> {
    let text = serde_json::to_string(message).map_err(axum::Error::new)?;
    send(sink, Message::Text(text.into())).await
}

/// Where messages to a hub go.
trait Outlet: Sink<Message, Error = axum::Error> + Unpin {}

impl<S: Sink<Message, Error = axum::Error> + Unpin> Outlet for S {}

async fn send(sink: &mut impl Outlet, message: Message) -> Result<(), axum::Error> {
    time::timeout(WRITE_TIMEOUT, sink.send(message)).await.unwrap_or_else(|_| {
        Err(axum::Error::new(io::Error::new(io::ErrorKind::TimedOut, "the hub has stopped reading")))
    })
}

#[cfg(test)]
mod tests;
