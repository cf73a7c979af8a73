//! Who had an address when, from what is known of those who say that it is theirs.
//!
//! Kubernetes tells times in whole seconds, and an address can pass from one pod to another within one. What is known is
//! this: the new one had it not before the second in which its network was made, and in the whole of the next one it had
//! it surely; the old one had it not after the second in which its last container ended. In between it is nobody's,
//! because a guess would be wrong half of the time.
//!
//! ```text
//!        old container ends              new network is made
//!   old ──────|░░░░░░░|                     |░░░░░░░|────── new        more than a second apart: nothing is uncertain
//!   old ═════════════|nobody                |══════════════ new
//!
//!   old ──────|░░░░░░░|                                                within the same second
//!         |░░░░░░░|─────────── new
//!   old ══|nobody ····|═══════ new
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use api::{
    UnixNanos,
    messages::{Identity, NameKey},
};

/// How long it is remembered who had an address: for workers that were out of reach meanwhile.
const REMEMBERED: i64 = 300 * SECOND;

/// Most endings that are remembered; one more forgets the oldest.
const ENDINGS: usize = 65_536;

/// The grain of Kubernetes' times.
const SECOND: i64 = 1_000_000_000;

/// What was found out here is no whole second: those mean to workers that it was some time within it.
const EXACT: i64 = 1;

/// Whose claims they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Named first, it counts least: whatever on a node has no better name.
    Node(String),
    /// What a slice lists that is no pod.
    Slice {
        namespace: String,
        name: String,
    },
    Service {
        namespace: String,
        name: String,
    },
    /// By its unique id: one of the same name is another.
    Pod(String),
}

impl Source {
    /// Of several who claim the same at the same time, the one with the highest rank has it.
    fn rank(&self) -> u8 {
        match self {
            Self::Node(_) => 0,
            Self::Slice { .. } => 1,
            Self::Service { .. } => 2,
            Self::Pod(_) => 3,
        }
    }
}

/// Somebody says that something is theirs.
#[derive(Clone, Debug)]
struct Claim {
    source: Source,
    /// Not before then.
    start: UnixNanos,
    end: Option<End>,
    identity: Arc<Identity>,
}

/// How a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Until then it stands.
    pub(super) until: UnixNanos,
    /// From then on it surely does not; `None` where nobody knows.
    pub(super) gone: Option<UnixNanos>,
}

impl End {
    /// In the second that begins there.
    pub(super) fn within(second: UnixNanos) -> Self {
        let after = UnixNanos(second.0.saturating_add(SECOND - EXACT));
        Self { until: after, gone: Some(after) }
    }

    /// Nobody knows when, but it is not known to stand any longer.
    pub(super) fn unseen(at: UnixNanos) -> Self {
        Self { until: at, gone: None }
    }
}

/// From a time on, somebody's or nobody's.
pub(super) type Point = (UnixNanos, Option<Arc<Identity>>);

/// One change, as workers are told of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) at: UnixNanos,
    pub(super) key: NameKey,
    pub(super) identity: Option<Arc<Identity>>,
}

/// All claims.
#[derive(Debug, Default)]
pub(super) struct Book {
    claims: BTreeMap<NameKey, Vec<Claim>>,
    by_source: BTreeMap<Source, BTreeSet<NameKey>>,
    /// In order: who ended what, so that it can be forgotten.
    endings: VecDeque<(UnixNanos, NameKey, Source)>,
    changes: Vec<Change>,
}

impl Book {
    /// What the source claims, all of it, each with its own beginning; what it claimed besides has ended unseen at `now`.
    pub(super) fn claim(
        &mut self,
        source: &Source,
        claims: Vec<(NameKey, Arc<Identity>)>,
        start: UnixNanos,
        now: UnixNanos,
    ) {
        let keys: BTreeSet<_> = claims.iter().map(|(key, _)| *key).collect();
        let before = self.by_source.get(source).cloned().unwrap_or_default();
        for key in before.difference(&keys) {
            self.end_one(source, *key, End::unseen(now), now);
        }
        for (key, identity) in claims {
            self.alter(key, |held| match held.iter_mut().find(|held| held.source == *source) {
                Some(held) => {
                    // One that had ended begins anew; one that goes on may have learnt when it began, or who it is.
                    (held.start, held.end) = (start, None);
                    held.identity = identity;
                }
                None => held.push(Claim { source: source.clone(), start, end: None, identity }),
            });
        }
        if keys.is_empty() {
            self.by_source.remove(source);
        } else {
            self.by_source.insert(source.clone(), keys);
        }
    }

    /// Whatever the source claims has ended.
    pub(super) fn end(&mut self, source: &Source, end: End, now: UnixNanos) {
        for key in self.by_source.remove(source).unwrap_or_default() {
            self.end_one(source, key, end, now);
        }
    }

    fn end_one(&mut self, source: &Source, key: NameKey, end: End, now: UnixNanos) {
        self.alter(key, |held| {
            if let Some(claim) = held.iter_mut().find(|claim| claim.source == *source) {
                claim.end = Some(end);
            }
        });
        self.endings.push_back((now, key, source.clone()));
        if self.endings.len() > ENDINGS {
            self.forget_oldest();
        }
    }

    /// Forgets what has ended long ago.
    pub(super) fn forget(&mut self, now: UnixNanos) {
        while self.endings.front().is_some_and(|(at, ..)| at.0.saturating_add(REMEMBERED) < now.0) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, key, source)) = self.endings.pop_front() else { return };
        if let Some(held) = self.claims.get_mut(&key) {
            held.retain(|claim| claim.source != source || claim.end.is_none());
            if held.is_empty() {
                self.claims.remove(&key);
            }
        }
    }

    /// Changes the claims to a key, and notes what that changes for workers.
    fn alter(&mut self, key: NameKey, change: impl FnOnce(&mut Vec<Claim>)) {
        let held = self.claims.entry(key).or_default();
        let before = timeline(held);
        change(held);
        let after = timeline(held);
        let changes = differences(&before, &after);
        self.changes.extend(changes.into_iter().map(|(at, identity)| Change { at, key, identity }));
    }

    /// What has changed since this was last asked.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// All that is known: of each key its changes in the order of time.
    pub(super) fn all(&self) -> Vec<Change> {
        let changes = self.claims.iter().flat_map(|(key, held)| {
            timeline(held).into_iter().map(|(at, identity)| Change { at, key: *key, identity })
        });
        changes.collect()
    }

    /// How many keys are known.
    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }
}

/// Who has it when: changes in the order of time, never two at the same.
fn timeline(claims: &[Claim]) -> Vec<Point> {
    let ranks: BTreeSet<_> = claims.iter().map(|claim| claim.source.rank()).collect();
    let mut layers = ranks.iter().rev().map(|rank| {
        let mut claims: Vec<_> = claims.iter().filter(|claim| claim.source.rank() == *rank).collect();
        claims.sort_by_key(|claim| claim.start);
        layer(&claims)
    });
    let Some(first) = layers.next() else { return Vec::new() };
    layers.fold(first, |above, below| {
        let times: BTreeSet<_> = above.iter().chain(&below).map(|(at, _)| *at).collect();
        let at = |time| (time, value(&above, time).or_else(|| value(&below, time)).cloned());
        times.into_iter().map(at).collect()
    })
}

/// The same among those of one rank, who are given by their beginnings.
fn layer(claims: &[&Claim]) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for (place, claim) in claims.iter().enumerate() {
        let latest = UnixNanos(claim.start.0.saturating_add(SECOND - EXACT));
        let before = place.checked_sub(1).and_then(|before| claims.get(before));
        let from = match before.map(|before| before.end.and_then(|end| end.gone)) {
            None => claim.start,
            Some(Some(gone)) => gone.clamp(claim.start, latest),
            Some(None) => latest,
        };
        let next = claims.get(place + 1).map(|next| UnixNanos(next.start.0.saturating_sub(EXACT)));
        let until = claim.end.map(|end| end.until);
        let stop = until.into_iter().chain(next).min();
        if stop.is_some_and(|stop| stop <= from) {
            continue;
        }
        set(&mut points, (from, Some(Arc::clone(&claim.identity))));
        if let Some(stop) = stop {
            set(&mut points, (stop, None));
        }
    }
    points
}

fn set(points: &mut Vec<Point>, point: Point) {
    if points.last().is_some_and(|(at, _)| *at == point.0) {
        points.pop();
    }
    points.push(point);
}

fn value(points: &[Point], at: UnixNanos) -> Option<&Arc<Identity>> {
    let past = points.partition_point(|(from, _)| *from <= at);
    points.get(past.checked_sub(1)?)?.1.as_ref()
}

/// What must be told to whoever knows `before`, so that `after` is known.
fn differences(before: &[Point], after: &[Point]) -> Vec<Point> {
    let times: BTreeSet<_> = before.iter().chain(after).map(|(at, _)| *at).collect();
    let told = |points: &[Point], at| points.iter().find(|(from, _)| *from == at).map(|(_, who)| who.clone());
    let changed = times.into_iter().filter_map(|at| {
        let now = value(after, at).cloned();
        (told(before, at) != Some(now.clone())).then_some((at, now))
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use api::messages::IdentityKind;

    use super::*;

    fn who(name: &str) -> Arc<Identity> {
        Arc::new(Identity {
            kind: IdentityKind::Pod,
            name: name.into(),
            namespace: "n".into(),
            pod: None,
            service: None,
            endpoint_slice: None,
        })
    }

    fn key() -> NameKey {
        NameKey { ip: "10.0.0.1".parse().unwrap(), port: None }
    }

    /// Tenths of a second.
    fn tenths(tenths: i64) -> UnixNanos {
        UnixNanos(tenths * SECOND / 10)
    }

    /// What a worker knows that applies each change at its time.
    fn known(book: &mut Book, known: &mut BTreeMap<UnixNanos, Option<Arc<Identity>>>) -> String {
        for change in book.take_changes() {
            known.insert(change.at, change.identity);
        }
        let all: BTreeMap<_, _> = book.all().into_iter().map(|change| (change.at, change.identity)).collect();
        let at = |of: &BTreeMap<UnixNanos, Option<Arc<Identity>>>, tenth| {
            of.range(..=tenths(tenth))
                .next_back()
                .and_then(|(_, who)| who.as_ref().map(|who| who.name.clone()))
        };
        let story = |of| (0..100).map(|tenth| at(of, tenth).unwrap_or("-".into())).collect::<String>();
        assert_eq!(story(known), story(&all), "who heard the changes knows what who hears all knows");
        // Runs of the same, as `8a 2- …`.
        let text = story(known);
        let mut runs: Vec<(char, usize)> = Vec::new();
        for c in text.chars() {
            match runs.last_mut().filter(|(last, _)| *last == c) {
                Some((_, n)) => *n += 1,
                None => runs.push((c, 1)),
            }
        }
        runs.iter().map(|(c, n)| format!("{n}{c}")).collect::<Vec<_>>().join(" ")
    }

    /// `a` begins at 1 s; what happens then is data.
    fn story(steps: &[(&str, Step)]) -> String {
        let (mut book, mut worker) = (Book::default(), BTreeMap::new());
        let mut last = String::new();
        for (name, step) in steps {
            let source = Source::Pod((*name).to_owned());
            match *step {
                Step::Starts(second) => {
                    book.claim(&source, vec![(key(), who(name))], tenths(second * 10), tenths(90));
                }
                Step::Finished(second) => book.end(&source, End::within(tenths(second * 10)), tenths(90)),
                Step::Vanished(tenth) => book.end(&source, End::unseen(tenths(tenth)), tenths(90)),
            }
            last = known(&mut book, &mut worker);
        }
        last
    }

    #[derive(Clone, Copy)]
    enum Step {
        /// In this second its network was made.
        Starts(i64),
        /// In this second its last container ended.
        Finished(i64),
        /// At this tenth its object was gone.
        Vanished(i64),
    }

    #[test]
    fn an_address_passes_from_one_to_another() {
        use Step::*;
        for (steps, expected) in [
            (&[("a", Starts(1))][..], "10- 90a"),
            (&[("a", Starts(1)), ("a", Finished(3))], "10- 30a 60-"),
            (&[("a", Starts(1)), ("a", Vanished(35))], "10- 25a 65-"),
            // Seconds apart.
            (&[("a", Starts(1)), ("a", Finished(3)), ("b", Starts(6))], "10- 30a 20- 40b"),
            (&[("a", Starts(1)), ("a", Finished(3)), ("b", Starts(4))], "10- 30a 60b"),
            // Within the same second.
            (&[("a", Starts(1)), ("a", Finished(3)), ("b", Starts(3))], "10- 20a 10- 60b"),
            // The end is known too late: until then the new one's first second is nobody's.
            (&[("a", Starts(1)), ("b", Starts(3))], "10- 20a 10- 60b"),
            (&[("a", Starts(1)), ("b", Starts(5)), ("a", Finished(3))], "10- 30a 10- 50b"),
            (&[("a", Starts(1)), ("b", Starts(5)), ("a", Finished(5))], "10- 40a 10- 40b"),
            // Killed without a word.
            (&[("a", Starts(1)), ("a", Vanished(35)), ("b", Starts(4))], "10- 25a 15- 50b"),
            // Three in a row.
            (
                &[
                    ("a", Starts(1)),
                    ("a", Finished(2)),
                    ("b", Starts(2)),
                    ("b", Finished(2)),
                    ("c", Starts(2)),
                ],
                "10- 10a 10- 70c",
            ),
        ] {
            assert_eq!(story(steps), expected);
        }
    }

    #[test]
    fn a_better_name_hides_a_worse_one_while_it_lasts() {
        let (mut book, mut worker) = (Book::default(), BTreeMap::new());
        let (node, pod) = (Source::Node("n".into()), Source::Pod("p".into()));
        book.claim(&node, vec![(key(), who("n"))], tenths(0), tenths(0));
        book.claim(&pod, vec![(key(), who("p"))], tenths(20), tenths(20));
        book.end(&pod, End::within(tenths(50)), tenths(61));
        assert_eq!(known(&mut book, &mut worker), "20n 40p 40n");
    }

    #[test]
    fn who_learns_more_is_renamed_and_who_hears_the_same_hears_nothing() {
        let (mut book, mut worker) = (Book::default(), BTreeMap::new());
        let pod = Source::Pod("p".into());
        book.claim(&pod, vec![(key(), who("p"))], tenths(20), tenths(20));
        assert_eq!(known(&mut book, &mut worker), "20- 80p");
        book.claim(&pod, vec![(key(), who("p"))], tenths(20), tenths(30));
        assert_eq!(book.take_changes(), []);
        book.claim(&pod, vec![(key(), who("q"))], tenths(20), tenths(30));
        assert_eq!(known(&mut book, &mut worker), "20- 80q");
        book.claim(&pod, Vec::new(), tenths(20), tenths(40));
        assert_eq!(known(&mut book, &mut worker), "20- 20q 60-");
        assert!(book.by_source.is_empty());
    }

    #[test]
    fn the_past_is_forgotten() {
        let mut book = Book::default();
        for n in 0..10 {
            let source = Source::Pod(n.to_string());
            book.claim(&source, vec![(key(), who("p"))], tenths(n * 30), tenths(n * 30));
            book.end(&source, End::within(tenths(n * 30 + 10)), tenths(n * 30 + 20));
        }
        assert_eq!(book.claims[&key()].len(), 10);
        book.forget(UnixNanos(tenths(5 * 30 + 20).0 + REMEMBERED));
        assert_eq!(book.claims[&key()].len(), 5);
        book.forget(UnixNanos(tenths(1000).0 + REMEMBERED));
        assert_eq!(book.len(), 0);
    }
}
