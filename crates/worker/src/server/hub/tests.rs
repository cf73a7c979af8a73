use std::{future::pending, pin::Pin, sync::Mutex};

use api::{Node, messages::FrameReader};
use futures_util::sink::unfold;

use super::*;
use crate::{
    NameHistory, NameLimits, StoreLimits,
    names::Names,
    scripts::{Scripts, Surroundings},
    status::{Cluster, Status},
    store::{Store, tests::entries},
    targets::Targeting,
};

const BOOT: u64 = 7;

/// A link over a store with room for ten entries. What it sends is kept.
struct Bench {
    link: Link,
    sink: Pin<Box<dyn Sink<Message, Error = axum::Error>>>,
    sent: Arc<Mutex<Vec<Message>>>,
    // Dropped, it would ask for the end.
    _trigger: web::Trigger,
}

impl Bench {
    fn new() -> Self {
        let limits = StoreLimits { bytes: 10 * entries(0..1)[0].size(), max_age: Duration::from_mins(1) };
        let store = Arc::new(Store::new(limits));
        let node = Arc::new(Node { ip: "".into(), name: "".into(), worker: "".into() });
        let (trigger, shutdown) = web::shutdown();
        let (scripts, _) = Scripts::new(Surroundings {
            launch: None,
            about: scripting::About::default(),
            packets: None,
            names: NameHistory::default(),
            over: Arc::default(),
        })
        .unwrap();
        let names = Arc::new(Names::new(NameLimits::default(), NameHistory::default()));
        let targeting = Arc::new(Targeting::new(Vec::new(), false));
        let cluster = Cluster { names: Arc::clone(&names), targeting: Arc::clone(&targeting) };
        let status =
            Status::new(node, BOOT, Arc::clone(&store), None, Arc::clone(&scripts), cluster, Vec::new());
        let status = Arc::new(status);
        let sent: Arc<Mutex<Vec<Message>>> = Arc::default();
        let sink = unfold(Arc::clone(&sent), |sent, message| async {
            sent.lock().unwrap().push(message);
            Ok(sent)
        });
        let link = Link::new(Served {
            store,
            scripts,
            packets: None,
            history: NameHistory::default(),
            names,
            targeting,
            exports: super::super::exports(),
            status,
            shutdown,
        });
        Self { link, sink: Box::pin(sink), sent, _trigger: trigger }
    }

    fn store(&self, count: u64) {
        self.link.store().extend(entries(0..count), true);
    }

    async fn hear(&mut self, message: &ToWorker) {
        self.link.hear(&serde_json::to_string(message).unwrap(), &mut self.sink).await.unwrap();
    }

    async fn subscribe(&mut self, id: SubscriptionId, kfl: &str, after: Option<u64>) {
        let after = after.map(|sequence| Cursor { boot: BOOT, sequence });
        let language = kfl::Language::Any;
        self.hear(&ToWorker::Subscribe { id, kfl: kfl.into(), language, now: 0, shape: Shape::Base, after })
            .await;
        self.hear(&ToWorker::Credit { id, bytes: 1 << 20 }).await;
    }

    async fn pump(&mut self) {
        while self.link.pump(&mut self.sink).await.unwrap() {}
    }

    /// The numbers of the entries that the subscription was sent, and the messages.
    fn told(&mut self, id: SubscriptionId) -> (Vec<u64>, Vec<FromWorker>) {
        let (mut numbers, mut messages) = (Vec::new(), Vec::new());
        for message in self.sent.lock().unwrap().drain(..) {
            match message {
                Message::Text(text) => messages.push(serde_json::from_str(&text).unwrap()),
                Message::Binary(frame) => {
                    let deliveries = FrameReader::new(&frame).unwrap().map(Result::unwrap);
                    numbers.extend(
                        deliveries.filter(|each| each.subscriptions.contains(&id)).map(|each| each.sequence),
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        (numbers, messages)
    }
}

fn history_end(id: SubscriptionId, sequence: u64) -> FromWorker {
    FromWorker::HistoryEnd { id, sequence }
}

#[tokio::test]
async fn it_is_told_how_far_a_query_without_a_match_has_come() {
    let mut bench = Bench::new();
    bench.store(5);
    bench.subscribe(1, "dns", None).await;
    bench.pump().await;
    assert_eq!(bench.told(1), (vec![], vec![history_end(1, 5)]));
    bench.store(3);
    bench.pump().await;
    bench.link.tell_seen(&mut bench.sink).await.unwrap();
    assert_eq!(bench.told(1), (vec![], vec![FromWorker::Seen { sequence: 8 }]));
    // Who comes back there misses nothing, whatever was evicted before.
    bench.hear(&ToWorker::Unsubscribe { id: 1 }).await;
    bench.store(9);
    bench.subscribe(1, "", Some(8)).await;
    bench.pump().await;
    assert_eq!(bench.told(1), ((9..=17).collect(), vec![history_end(1, 17)]));
}

#[tokio::test]
async fn nobody_is_told_the_same_twice() {
    let mut bench = Bench::new();
    bench.store(5);
    bench.subscribe(1, "dns", None).await;
    bench.pump().await;
    bench.told(1);
    // The live ones are at 6 when another, from 4 on, finds that everything up to 20 is gone.
    bench.store(25);
    bench.subscribe(2, "", Some(3)).await;
    bench.link.catch_up(1, &mut bench.sink).await.unwrap();
    bench.pump().await;
    let (numbers, messages) = bench.told(2);
    assert_eq!(numbers, (21..=30).collect::<Vec<_>>());
    assert_eq!(
        messages,
        [lost(2, 17, EVICTED), lost(1, 15, EVICTED), history_end(2, 30)],
        "each its own loss, once"
    );
}

#[tokio::test]
async fn one_that_is_ahead_of_the_store_is_met_there() {
    // A restarted worker reads its file again: what the hub had got stays unsent, and nobody spins.
    let mut bench = Bench::new();
    bench.store(2);
    bench.subscribe(1, "", Some(4)).await;
    bench.subscribe(2, "", Some(6)).await;
    bench.subscribe(3, "", None).await;
    bench.pump().await;
    for _ in 0..6 {
        bench.store(1);
        bench.pump().await;
    }
    let sent = bench.sent.lock().unwrap().clone();
    for (id, first) in [(1, 5), (2, 7), (3, 1)] {
        *bench.sent.lock().unwrap() = sent.clone();
        assert_eq!(bench.told(id).0, (first..=8).collect::<Vec<_>>(), "subscription {id}");
    }
}

#[tokio::test]
async fn who_comes_late_to_a_file_is_told_what_is_gone() {
    let mut bench = Bench::new();
    bench.link.store().extend(entries(0..25), false);
    bench.subscribe(1, "", None).await;
    bench.pump().await;
    let (numbers, messages) = bench.told(1);
    assert_eq!(numbers, (16..=25).collect::<Vec<_>>());
    assert_eq!(messages, [lost(1, 15, EVICTED_BEFORE), history_end(1, 25)]);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_stops_reading_is_given_up() {
    let mut stopped = Box::pin(unfold((), |(), _: Message| pending::<Result<(), axum::Error>>()));
    let began = time::Instant::now();
    let error = say(&mut stopped, &history_end(1, 1)).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
    assert!(error.to_string().contains("stopped reading"), "{error}");
}
