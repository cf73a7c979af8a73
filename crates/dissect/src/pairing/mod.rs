//! Requests meet their responses.

mod order;
mod unanswered;

use std::collections::VecDeque;

use api::{Fault, FaultKind, Flags};
use flow::{Close, Direction, Ordinal, Timestamp};

use self::{order::Order, unanswered::Unanswered};
use crate::{Counters, Half, Key, Limits, Message, Transaction};

/// A message with what the session knows of it.
#[derive(Debug)]
pub(crate) struct Stamped {
    pub(crate) message: Message,
    pub(crate) direction: Direction,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) size: u64,
    pub(crate) overlap: bool,
}

/// What became of responses that a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// So many bytes were lost.
    Gap(u64),
    /// They could not be understood.
    Malformed,
    /// They were shown alone, because their requests did not come in time.
    Shown,
}

/// Where transactions and counts go.
pub(crate) struct Sink<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) counters: &'a mut Counters,
    pub(crate) out: &'a mut Vec<Transaction>,
    pub(crate) ordinal: Ordinal,
}

/// The open messages of one flow.
///
/// With keys (DNS), a response answers the oldest request of the same key. Without (HTTP/1), it answers the oldest
/// request, but for what is known of losses: after a lost response, it answers the last request that was sent
/// before it, because a client that does not pipeline asks again only when it was answered; and where requests may
/// be missing, it does not answer a request that was sent after it.
///
/// Requests may also come later than their responses, all at once, when reassembly gives up a hole before them. So a
/// loss keeps its place among the responses that are held; the first one behind it is dealt out as above, when a
/// request that was sent after it shows that no other can be its own.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    midstream: bool,
    /// Requests may be missing: the capture began in the middle, or lost some.
    requests_lost: bool,
    /// Responses were lost, when this many requests were open.
    responses_lost: Option<(Loss, usize)>,
    /// Oldest first. The first `spent` were given up and only keep their place in the order.
    requests: VecDeque<Open>,
    spent: usize,
    /// What `requests` hold on the heap.
    bytes: usize,
    /// Of the first so many requests it is known that their bytes were contradicted.
    contradicted: usize,
    /// Responses that came before their request, oldest first.
    responses: VecDeque<Held>,
    /// Responses were lost behind all that are held, and when that was known.
    lost_behind: Option<(Loss, Timestamp)>,
    order: Order,
}

/// A response that came before its request.
#[derive(Debug)]
struct Held {
    stamped: Stamped,
    /// Responses were lost between the one before it and this one.
    after: Option<Loss>,
}

#[derive(Debug)]
struct Open {
    stamped: Option<Stamped>,
    key: Option<Key>,
    direction: Direction,
    hint: u8,
    first: Timestamp,
    last: Timestamp,
    bytes: usize,
}

impl Pairing {
    pub(crate) fn new(midstream: bool) -> Self {
        Self { midstream, requests_lost: midstream, ..Self::default() }
    }

    /// Whether something waits that may not come.
    pub(crate) fn waits(&self) -> bool {
        self.requests.len() > self.spent || !self.responses.is_empty()
    }

    /// The hint of the request that a response beginning at `first` would answer, if the order decides.
    pub(crate) fn expected(&self, direction: Direction, first: Timestamp) -> Option<u8> {
        if self.undecided() {
            return None;
        }
        let open = self.requests.get(self.next_in_order(first)?)?;
        (open.direction != direction).then_some(open.hint)
    }

    /// Messages of one direction may be missing from here on, as was known at `at`.
    pub(crate) fn lost(&mut self, requests: bool, loss: Loss, at: Timestamp) {
        self.order.lost(requests);
        if requests {
            self.requests_lost = true;
        } else if self.requests.is_empty() || self.undecided() {
            self.lost_behind = Some((loss.and(self.lost_behind.map(|(before, _)| before)), at));
        } else {
            self.lost_answers(loss);
        }
    }

    /// Responses to requests that are open were lost.
    fn lost_answers(&mut self, loss: Loss) {
        let loss = loss.and(self.responses_lost.map(|(before, _)| before));
        self.responses_lost = Some((loss, self.requests.len()));
    }

    /// Bytes of this direction were contradicted: whatever waits may be made of them. Says whether anything does.
    pub(crate) fn contradicted(&mut self, direction: Direction) -> bool {
        let mut found = false;
        let open = self.requests.range_mut(self.contradicted.min(self.requests.len())..);
        let open = open.filter_map(|open| open.stamped.as_mut());
        let held = self.responses.iter_mut().map(|held| &mut held.stamped);
        for stamped in open.chain(held).filter(|stamped| stamped.direction == direction) {
            stamped.overlap = true;
            stamped.message.ambiguous = true;
            found = true;
        }
        if self.requests.back().is_some_and(|open| open.direction == direction) {
            // No request is looked at twice, however often this is called.
            self.contradicted = self.requests.len();
            found |= self.requests.len() > self.spent;
        }
        found
    }

    /// Whether a held response behind a loss waits to know which request is its own.
    fn undecided(&self) -> bool {
        self.responses.iter().any(|held| held.after.is_some())
    }

    pub(crate) fn request(&mut self, request: Stamped, sink: &mut Sink<'_>) {
        if let Some(response) = self.early_response(&request, sink) {
            return self.pair(request, response, sink);
        }
        let open = Open {
            key: request.message.key,
            direction: request.direction,
            hint: request.message.hint,
            first: request.first,
            last: request.last,
            bytes: request.message.payload.heap_size(),
            stamped: Some(request),
        };
        self.bytes += open.bytes;
        let last = open.last;
        if self.requests.capacity() == 0 {
            self.requests.reserve_exact(1);
        }
        self.requests.push_back(open);
        if !self.undecided()
            && let Some((loss, at)) = self.lost_behind
        {
            // What was lost may have answered whatever was sent before, and nothing else.
            if last <= at {
                self.responses_lost = Some((loss, self.requests.len()));
            } else {
                self.lost_behind = None;
            }
        }
        while self.requests.len() - self.spent > sink.limits.waiting || self.bytes > sink.limits.waiting_bytes
        {
            self.give_up_oldest(Unanswered::Limit, sink);
        }
    }

    /// The response that came before its request: reordered, or because the request stood behind a hole.
    fn early_response(&mut self, request: &Stamped, sink: &mut Sink<'_>) -> Option<Stamped> {
        if let Some(key) = request.message.key {
            let at = self.responses.iter().position(|response| {
                let response = &response.stamped;
                response.direction != request.direction
                    && response.message.key.is_some_and(|other| other.matches(key))
            })?;
            return self.responses.remove(at).map(|held| held.stamped);
        }
        while let Some(held) = self.responses.front() {
            let before = held.stamped.first < request.last;
            if held.after.is_some() && (!before || !self.requests.is_empty()) {
                if !before {
                    return None; // This request may be the one, or a later one.
                }
            } else if !(self.requests_lost && before) {
                break;
            }
            // What was sent before this request answers an earlier one, or one that was lost.
            self.deal_oldest(sink);
        }
        let Held { mut stamped, after } = self.responses.pop_front()?;
        stamped.message.ambiguous |= after.is_some();
        Some(stamped)
    }

    /// The oldest held response answers the last request that was sent before it, if it stands behind a loss and there
    /// is one; else none.
    fn deal_oldest(&mut self, sink: &mut Sink<'_>) {
        let Some(Held { mut stamped, after }) = self.responses.pop_front() else {
            return;
        };
        let sent = self.requests.iter().rposition(|request| request.last <= stamped.first);
        match (after, sent) {
            (Some(loss), Some(at)) => {
                stamped.message.ambiguous |= self.in_doubt(at);
                self.give_up_before(at, loss, sink);
                self.answer(0, stamped, sink);
            }
            _ => self.alone(stamped, sink),
        }
    }

    /// The oldest held response waited too long. If it is shown alone, its request may still come, and must not take
    /// the next one.
    fn release_oldest(&mut self, sink: &mut Sink<'_>) {
        let last = self.responses.front().map_or(Timestamp(0), |held| held.stamped.last);
        let keyed = self.responses.front().is_some_and(|held| held.stamped.message.key.is_some());
        self.deal_oldest(sink);
        if keyed {
            return;
        }
        self.order.lost(true);
        self.order.lost(false);
        match self.responses.front_mut() {
            Some(next) => next.after = next.after.or(Some(Loss::Shown)),
            None => self.lost_behind = self.lost_behind.or(Some((Loss::Shown, last))),
        }
    }

    pub(crate) fn response(&mut self, response: Stamped, sink: &mut Sink<'_>) {
        let key = response.message.key;
        let at = match key {
            Some(key) => self.requests.iter().position(|request| {
                request.direction != response.direction && request.key.is_some_and(|other| other.matches(key))
            }),
            None if self.undecided() => None,
            None => self.next_in_order(response.first),
        };
        let Some(at) = at else {
            return self.hold(response, sink);
        };
        let mut response = response;
        if key.is_none()
            && let Some((loss, _)) = self.responses_lost.take()
        {
            self.lost_behind = None;
            response.message.ambiguous |= self.in_doubt(at);
            self.give_up_before(at, loss, sink);
            return self.answer(0, response, sink);
        }
        self.answer(at, response, sink);
    }

    /// A tick: gives up what waited too long. `answering` says that bytes of the next response are there already.
    pub(crate) fn tick(
        &mut self,
        now: Timestamp,
        answer: std::time::Duration,
        answering: bool,
        sink: &mut Sink<'_>,
    ) {
        let older = |then: Timestamp, by: std::time::Duration| {
            i128::from(now.0) - i128::from(then.0) >= i128::try_from(by.as_nanos()).unwrap_or(i128::MAX)
        };
        while self.responses.front().is_some_and(|held| older(held.stamped.last, sink.limits.hold)) {
            self.release_oldest(sink);
        }
        while !answering && self.requests.get(self.spent).is_some_and(|open| older(open.last, answer)) {
            self.give_up_oldest(Unanswered::Timeout, sink);
        }
    }

    /// The flow ended: everything open becomes an entry.
    pub(crate) fn close(&mut self, why: Close, sink: &mut Sink<'_>) {
        while !self.responses.is_empty() {
            self.deal_oldest(sink);
        }
        let lost = self.responses_lost.take();
        for (at, open) in std::mem::take(&mut self.requests).into_iter().enumerate() {
            let reason = match lost {
                Some((loss, open_then)) if at < open_then => Unanswered::Lost(loss),
                _ => Unanswered::Ended(why),
            };
            self.unanswered(open, reason, sink);
        }
    }

    fn next_in_order(&self, first: Timestamp) -> Option<usize> {
        if let Some((_, open_then)) = self.responses_lost {
            let upto = self.requests.len().min(open_then + 1);
            return self.requests.iter().take(upto).rposition(|request| request.last <= first);
        }
        let next = self.requests.front()?;
        (!self.requests_lost || next.first <= first).then_some(0)
    }

    /// Whether it may be another than the request at `at` that the first response after a loss answers.
    ///
    /// What was lost answered the oldest request. If no younger one can be meant, that of the response was lost too.
    /// And the order of requests that were sent together tells nothing.
    fn in_doubt(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.requests.get(before));
        before.zip(self.requests.get(at)).is_none_or(|(before, request)| request.first <= before.last)
    }

    fn give_up_before(&mut self, at: usize, loss: Loss, sink: &mut Sink<'_>) {
        let mut loss = loss;
        for _ in 0..at {
            if let Some(open) = self.take(0) {
                self.unanswered(open, Unanswered::Lost(loss), sink);
                if let Loss::Gap(len) = &mut loss {
                    *len = 0;
                }
            }
        }
    }

    fn take(&mut self, at: usize) -> Option<Open> {
        let open = self.requests.remove(at)?;
        self.bytes = self.bytes.saturating_sub(open.bytes);
        if self.requests.is_empty() {
            // Most flows wait for one answer and then only for their end: they need no room meanwhile.
            self.requests = VecDeque::new();
        }
        self.contradicted -= usize::from(at < self.contradicted);
        if at < self.spent {
            self.spent -= 1;
        }
        Some(open)
    }

    fn answer(&mut self, at: usize, response: Stamped, sink: &mut Sink<'_>) {
        match self.take(at).and_then(|open| open.stamped) {
            Some(request) => self.pair(request, response, sink),
            None => self.alone(response, sink),
        }
    }

    fn hold(&mut self, response: Stamped, sink: &mut Sink<'_>) {
        let keyed = response.message.key.is_some();
        let after = if keyed { None } else { self.lost_behind.take().map(|(loss, _)| loss) };
        self.responses.push_back(Held { stamped: response, after });
        if self.responses.len() > sink.limits.held {
            self.release_oldest(sink);
        }
    }

    /// The oldest open request becomes an entry. Where the order decides, its place is kept: its response may come.
    fn give_up_oldest(&mut self, why: Unanswered, sink: &mut Sink<'_>) {
        let Some(oldest) = self.requests.get_mut(self.spent) else {
            self.bytes = 0;
            return;
        };
        self.bytes = self.bytes.saturating_sub(std::mem::take(&mut oldest.bytes));
        if oldest.key.is_some() {
            if let Some(open) = self.take(self.spent) {
                self.unanswered(open, why, sink);
            }
            return;
        }
        let open = Open { stamped: oldest.stamped.take(), ..*oldest };
        self.spent += 1;
        self.unanswered(open, why, sink);
        if self.spent > sink.limits.waiting {
            self.take(0);
            self.order.lost(false);
            self.lost_answers(Loss::Malformed);
        }
    }

    fn pair(&mut self, request: Stamped, mut response: Stamped, sink: &mut Sink<'_>) {
        if response.message.key.is_none() {
            let next = self.requests.front().map(|next| next.first);
            response.message.ambiguous |= self.order.pair(&request, &response, next);
        }
        sink.counters.paired += 1;
        self.emit(Some(request), Some(response), None, 0, sink);
    }

    fn alone(&mut self, mut response: Stamped, sink: &mut Sink<'_>) {
        self.order.answered = response.last;
        sink.counters.requests_missing += 1;
        response.message.payload.without_request();
        let fault = Fault { kind: FaultKind::Timeout, message: "the request that this answers was not seen" };
        self.emit(None, Some(response), Some(fault), 0, sink);
    }

    fn unanswered(&self, open: Open, why: Unanswered, sink: &mut Sink<'_>) {
        if let Some(request) = open.stamped {
            let fault = why.tell(sink.counters);
            self.emit(Some(request), None, Some(fault), why.gap(), sink);
        }
    }

    fn emit(
        &self,
        request: Option<Stamped>,
        response: Option<Stamped>,
        fault: Option<Fault>,
        gap: u64,
        sink: &mut Sink<'_>,
    ) {
        let mut flags = Flags {
            midstream: self.midstream,
            request_missing: request.is_none(),
            response_missing: response.is_none(),
            gap,
            ..Flags::default()
        };
        let mut error = fault;
        for half in [&request, &response].into_iter().flatten() {
            flags.ambiguous |= half.message.ambiguous;
            flags.overlap |= half.overlap;
            flags.truncated |= half.message.truncated;
            flags.gap += half.message.gap;
            sink.counters.truncated += u64::from(half.message.truncated);
            error = error.or_else(|| half.message.error.clone());
        }
        let Some(spoken) = request.as_ref().or(response.as_ref()) else {
            return;
        };
        let swapped = match (&request, &response) {
            (Some(request), _) => request.direction == Direction::ToClient,
            (None, response) => response.as_ref().is_some_and(|half| half.direction == Direction::ToServer),
        };
        sink.out.push(Transaction {
            protocol: spoken.message.protocol,
            swapped,
            ordinal: sink.ordinal,
            request: request.map(half),
            response: response.map(half),
            error,
            flags,
        });
    }
}

impl Loss {
    /// This loss with one before it.
    fn and(self, before: Option<Self>) -> Self {
        match (before, self) {
            (Some(Self::Gap(before)), Self::Gap(len)) => Self::Gap(before + len),
            _ => self,
        }
    }
}

fn half(stamped: Stamped) -> Half {
    Half { payload: stamped.message.payload, first: stamped.first, last: stamped.last, size: stamped.size }
}
