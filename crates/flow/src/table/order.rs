//! Lists of slots: by the time of their last use, and of those that wait for something.

use crate::packet::Timestamp;

const NONE: u32 = u32::MAX;

/// Lists through the slots of a table, each ordered by when a slot was last put at its end.
pub(super) struct Order<const N: usize> {
    lists: [List; N],
    links: Vec<Link>,
}

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
    len: usize,
}

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
    /// The list that the slot is in; `N` if in none.
    list: usize,
    since: Timestamp,
}

impl<const N: usize> Order<N> {
    pub(super) fn new() -> Self {
        Self { lists: [List { first: NONE, last: NONE, len: 0 }; N], links: Vec::new() }
    }

    /// How many slots a list has.
    pub(super) fn len(&self, list: usize) -> usize {
        self.lists.get(list).map_or(0, |list| list.len)
    }

    /// The slot that has been in the list for the longest, and since when.
    pub(super) fn first(&self, list: usize) -> Option<(u32, Timestamp)> {
        let first = self.lists.get(list)?.first;
        self.links.get(first as usize).map(|link| (first, link.since))
    }

    /// The list that a slot is in, and since when.
    pub(super) fn place(&self, slot: u32) -> Option<(usize, Timestamp)> {
        self.links.get(slot as usize).filter(|link| link.list < N).map(|link| (link.list, link.since))
    }

    /// Puts a slot at the end of a list, out of the one it was in.
    pub(super) fn put(&mut self, slot: u32, list: usize, now: Timestamp) {
        self.remove(slot);
        let place = slot as usize;
        if self.links.len() <= place {
            self.links.resize(place + 1, Link { before: NONE, after: NONE, list: N, since: now });
        }
        let Some(ends) = self.lists.get_mut(list) else { return };
        let before = ends.last;
        ends.last = slot;
        ends.len += 1;
        if before == NONE {
            ends.first = slot;
        }
        if let Some(link) = self.links.get_mut(before as usize) {
            link.after = slot;
        }
        if let Some(link) = self.links.get_mut(place) {
            *link = Link { before, after: NONE, list, since: now };
        }
    }

    /// Takes a slot out of its list.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else { return };
        let Link { before, after, list, .. } = *link;
        let Some(ends) = self.lists.get_mut(list) else { return };
        link.list = N;
        ends.len -= 1;
        if ends.first == slot {
            ends.first = after;
        }
        if ends.last == slot {
            ends.last = before;
        }
        if let Some(link) = self.links.get_mut(before as usize) {
            link.after = after;
        }
        if let Some(link) = self.links.get_mut(after as usize) {
            link.before = before;
        }
    }
}

/// A set of slots that can be walked; the same calls give the same order.
#[derive(Default)]
pub(super) struct Roster {
    slots: Vec<u32>,
    /// Where each slot stands in `slots`.
    places: Vec<u32>,
}

impl Roster {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn at(&self, idx: usize) -> Option<u32> {
        self.slots.get(idx).copied()
    }

    /// Puts a slot in, or takes it out.
    pub(super) fn set(&mut self, slot: u32, inside: bool) {
        let place = self.places.get(slot as usize).copied().unwrap_or(NONE);
        if inside == (place != NONE) {
            return;
        }
        if inside {
            if self.places.len() <= slot as usize {
                self.places.resize(slot as usize + 1, NONE);
            }
            self.mark(slot, self.slots.len() as u32);
            self.slots.push(slot);
        } else {
            self.slots.swap_remove(place as usize);
            if let Some(moved) = self.at(place as usize) {
                self.mark(moved, place);
            }
            self.mark(slot, NONE);
        }
    }

    fn mark(&mut self, slot: u32, place: u32) {
        if let Some(mark) = self.places.get_mut(slot as usize) {
            *mark = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use proptest::prelude::*;

    use super::{Order, Roster, Timestamp};

    proptest! {
        #[test]
        fn order_is_that_of_a_queue(steps in prop::collection::vec((0..12_u32, 0..3_usize), 0..200)) {
            let mut order = Order::<2>::new();
            let mut model = [VecDeque::new(), VecDeque::new()];
            for (now, (slot, list)) in steps.into_iter().enumerate() {
                for queue in &mut model { queue.retain(|&it| it != slot); }
                match model.get_mut(list) {
                    Some(queue) => {
                        queue.push_back(slot);
                        order.put(slot, list, Timestamp(now as i64));
                    }
                    None => order.remove(slot),
                }
                for (list, queue) in model.iter().enumerate() {
                    prop_assert_eq!(order.len(list), queue.len());
                    prop_assert_eq!(order.first(list).map(|it| it.0), queue.front().copied());
                }
            }
        }

        #[test]
        fn roster_is_a_set(steps in prop::collection::vec((0..12_u32, any::<bool>()), 0..200)) {
            let mut roster = Roster::default();
            let mut model = BTreeSet::new();
            for (slot, inside) in steps {
                roster.set(slot, inside);
                if inside { model.insert(slot); } else { model.remove(&slot); }
                let slots: BTreeSet<_> = (0..roster.len()).filter_map(|idx| roster.at(idx)).collect();
                prop_assert_eq!(&slots, &model);
                prop_assert_eq!(roster.len(), model.len());
            }
        }
    }
}
