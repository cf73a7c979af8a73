use super::*;

const BOOT: u64 = 7;
const WAIT: Duration = Duration::from_millis(500);

fn bounds() -> Bounds {
    Bounds { bytes: 4 * (1 + OVERHEAD), entries: 100, credit: 8, merge_wait: WAIT }
}

/// A queue in which the workers' sequence numbers are the times of their entries, and each text is one letter.
struct Bench {
    queue: Queue,
    now: Instant,
}

impl Bench {
    fn new(workers: usize) -> Self {
        let now = Instant::now();
        let mut queue = Queue::new(0..workers, bounds(), now);
        for worker in 0..workers {
            assert_eq!(queue.subscribe(worker, now), (None, 8));
        }
        Self { queue, now }
    }

    fn deliver(&mut self, worker: usize, at: u64, text: &str) -> Fate {
        let cursor = Cursor { boot: BOOT, sequence: at };
        self.queue.deliver(worker, cursor, UnixNanos(at as i64), text.into())
    }

    /// Takes all that is there, as text: `|` is the seam, a number a loss.
    fn take(&mut self) -> String {
        let mut taken = String::new();
        while let Taken::Item(item, _) = self.queue.take(self.now) {
            match item {
                Item::Entry(entry) => taken.push_str(&entry),
                Item::Lost { n, .. } => taken.push_str(&n.to_string()),
                Item::HistoryEnd => taken.push('|'),
                Item::End => panic!("a queue has no end"),
            }
        }
        taken
    }
}

#[test]
fn histories_are_merged_by_time_and_then_arrival_counts() {
    let mut bench = Bench::new(2);
    for (worker, at, text) in [(0, 1, "a"), (0, 4, "d"), (1, 2, "b"), (1, 3, "c")] {
        bench.deliver(worker, at, text);
    }
    bench.queue.history_end(0, None);
    bench.deliver(0, 9, "y");
    assert_eq!(bench.take(), "abc", "until worker 1 may have nothing older than d");
    bench.queue.history_end(1, None);
    bench.deliver(1, 8, "z");
    assert_eq!(bench.take(), "d|yz");
}

#[test]
fn a_silent_worker_is_waited_for_half_a_second() {
    let mut bench = Bench::new(2);
    bench.deliver(0, 1, "a");
    assert_eq!(bench.queue.take(bench.now), Taken::NothingUntil(bench.now + WAIT));
    bench.now += WAIT;
    assert_eq!(bench.take(), "a");
    // What it brings later still comes, before the seam and after.
    bench.deliver(1, 1, "b");
    bench.queue.history_end(0, None);
    bench.deliver(0, 2, "c");
    assert_eq!(bench.take(), "b");
    bench.now += WAIT;
    assert_eq!(bench.take(), "c", "live, for the silent lane is waited for no more");
    bench.queue.history_end(1, None);
    assert_eq!(bench.take(), "|");
}

#[test]
fn a_worker_that_is_away_holds_up_the_seam_only_so_long() {
    let mut bench = Bench::new(2);
    bench.queue.away(0);
    bench.queue.history_end(1, None);
    assert_eq!(bench.take(), "");
    bench.now += WAIT;
    assert_eq!(bench.take(), "|");
    // After the seam, one that comes back holds up nobody.
    bench.deliver(1, 1, "a");
    bench.queue.subscribe(0, bench.now);
    assert_eq!(bench.take(), "a");
}

#[test]
fn no_worker_no_history() {
    assert_eq!(Bench::new(0).take(), "|");
}

#[test]
fn live_entries_that_do_not_fit_are_counted() {
    let mut bench = Bench::new(1);
    bench.queue.history_end(0, None);
    assert_eq!(bench.take(), "|");
    let fates: Vec<_> = (1..=10).map(|at| bench.deliver(0, at, "x")).collect();
    assert_eq!(fates.iter().filter(|&&fate| fate == Fate::Queued).count(), 4);
    assert!(bench.queue.report().bytes <= bounds().bytes);
    assert_eq!(bench.take(), "6xxxx");
    assert_eq!(bench.queue.report().lost, [(TOO_SLOW, 6)]);
    // One entry always fits.
    assert_eq!(bench.deliver(0, 11, &"y".repeat(1000)), Fate::Queued);
    assert_eq!(bench.deliver(0, 12, "x"), Fate::Lost);
}

#[test]
fn long_history_costs_a_watcher_that_reads_no_live_entry() {
    // At the beginning, and when a worker comes back to a watcher that is past the seam.
    for past_seam in [false, true] {
        let mut bench = Bench::new(2);
        bench.queue.history_end(1, None);
        if past_seam {
            bench.queue.history_end(0, None);
            assert_eq!(bench.take(), "|");
            bench.queue.away(0);
            bench.queue.subscribe(0, bench.now);
        }
        let mut taken = String::new();
        for at in 1..=100 {
            // The worker with much history sends as its credit allows: there is always more.
            while bench.queue.report().entries < 8 {
                bench.deliver(0, 1000 * at + bench.queue.report().entries as u64, "h");
            }
            assert_eq!(
                bench.deliver(1, at, "l"),
                Fate::Queued,
                "live entry {at}, past the seam: {past_seam}"
            );
            for _ in 0..2 {
                let Taken::Item(Item::Entry(entry), _) = bench.queue.take(bench.now) else {
                    panic!("no entry")
                };
                taken.push_str(&entry);
            }
        }
        let live = taken.matches('l').count();
        assert!((98..=100).contains(&live), "{taken}");
        assert!(bench.queue.report().lost.is_empty());
        // As long as nothing presses, what is older goes first.
        assert!(taken.starts_with("hhhh"), "{taken}");
    }
}

#[test]
fn a_lane_resumes_where_its_worker_has_looked() {
    let mut bench = Bench::new(2);
    let cursor = |sequence| Cursor { boot: BOOT, sequence };
    bench.deliver(0, 1, "a");
    bench.queue.seen(0, cursor(50));
    let resumes = |bench: &mut Bench, worker| {
        bench.queue.away(worker);
        bench.queue.subscribe(worker, bench.now).0
    };
    assert_eq!(resumes(&mut bench, 0), Some(cursor(1)), "one that catches up is not meant");
    bench.queue.history_end(0, Some(cursor(7)));
    assert_eq!(resumes(&mut bench, 0), Some(cursor(7)));
    bench.queue.history_end(0, Some(cursor(7)));
    bench.queue.seen(0, cursor(50));
    bench.queue.seen(0, cursor(40));
    assert_eq!(resumes(&mut bench, 0), Some(cursor(50)), "never backwards");
    assert_eq!(resumes(&mut bench, 1), None);
}

#[test]
fn entries_are_bounded_in_number_too() {
    let mut queue = Queue::new(0..1, Bounds { entries: 3, ..bounds() }, Instant::now());
    queue.history_end(0, None);
    for sequence in 0..10 {
        queue.deliver(0, Cursor { boot: BOOT, sequence }, UnixNanos(0), "".into());
    }
    assert_eq!((queue.report().entries, queue.report().lost), (3, vec![(TOO_SLOW, 7)]));
}

#[test]
fn credit_is_given_back_as_history_is_taken() {
    let mut bench = Bench::new(1);
    for at in 1..=8 {
        bench.deliver(0, at, "x");
    }
    let due = |taken| matches!(taken, Taken::Item(Item::Entry(_), Some(0)));
    assert!(!due(bench.queue.take(bench.now)), "a quarter of the window is not used up yet");
    assert!(due(bench.queue.take(bench.now)));
    assert_eq!(bench.queue.credit(0), Some(2));
    assert_eq!(bench.queue.credit(0), None);
}

#[test]
fn a_new_connection_resumes_and_repeats_nothing() {
    let mut bench = Bench::new(1);
    bench.deliver(0, 1, "a");
    bench.deliver(0, 2, "b");
    bench.queue.away(0);
    let after = Cursor { boot: BOOT, sequence: 2 };
    assert_eq!(bench.queue.subscribe(0, bench.now), (Some(after), 6), "two bytes wait already");
    assert_eq!(bench.deliver(0, 2, "b"), Fate::Repeated);
    bench.deliver(0, 3, "c");
    bench.queue.history_end(0, None);
    assert_eq!(bench.take(), "abc|");
    // A restarted worker numbers anew.
    let restarted = Cursor { boot: BOOT + 1, sequence: 1 };
    assert_eq!(bench.queue.deliver(0, restarted, UnixNanos(0), "d".into()), Fate::Queued);
    assert_eq!(bench.take(), "d");
}

#[test]
fn a_worker_that_ignores_its_credit_cannot_fill_the_queue() {
    let mut bench = Bench::new(1);
    let lost = (1..=100).filter(|&at| bench.deliver(0, at, "x") == Fate::Lost).count();
    assert_eq!((lost, bench.queue.report().entries), (84, 16));
    assert_eq!(bench.queue.report().lost, [(OVERRUN, 84)]);
}

#[test]
fn reasons_of_loss_are_bounded_and_nothing_is_forgotten() {
    let mut bench = Bench::new(0);
    for n in 0..1000 {
        bench.queue.lost(1, n.to_string().into());
    }
    assert!(bench.queue.report().lost.len() <= 17);
    assert_eq!(bench.queue.report().lost.iter().map(|(_, n)| n).sum::<u64>(), 1000);
    // A reason without a loss is news as well.
    bench.take();
    bench.queue.lost(0, "1".into());
    assert_eq!(bench.take(), "0");
}

#[test]
fn a_worker_that_comes_later_is_merged_and_one_that_is_gone_holds_up_nobody() {
    let mut bench = Bench::new(1);
    bench.deliver(0, 2, "b");
    assert_eq!(bench.queue.subscribe(7, bench.now), (None, 8));
    bench.deliver(7, 1, "a");
    bench.queue.history_end(0, None);
    assert_eq!(bench.take(), "a", "worker 7 may have more");
    bench.queue.gone(7);
    assert_eq!(bench.take(), "b|", "it has not");
    // Back again, it goes on behind what it sent, and what it held comes late.
    assert_eq!(bench.queue.subscribe(7, bench.now).0, Some(Cursor { boot: BOOT, sequence: 1 }));
    assert_eq!(bench.deliver(7, 1, "x"), Fate::Repeated);
    bench.deliver(7, 3, "c");
    bench.deliver(7, 4, "d");
    bench.queue.forget(7);
    assert_eq!(bench.take(), "cd", "what came before it went is not lost");
    assert_eq!(bench.queue.lanes.len(), 1);
    bench.queue.forget(0);
    assert_eq!(bench.queue.lanes.len(), 0);
}
