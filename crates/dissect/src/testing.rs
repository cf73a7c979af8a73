//! What the tests of every protocol share: a flow as a list of events goes in, entries as JSON come out.

use flow::{Close, Closing, Data, Direction, Gap, Timestamp, Transport};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Context, Counters, Half, Limits, Session, Transaction};

/// What happens to a flow, a millisecond after the other.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Asks(Vec<u8>),
    Answers(Vec<u8>),
    /// A datagram that goes this way, and of which the capture cut off so many bytes.
    Cut(Direction, Vec<u8>, u32),
    /// A request that was sent at this microsecond and stood behind a hole until now.
    AskedAt(i64, Vec<u8>),
    /// Another copy of what went this way differs.
    Contradicted(Direction),
    /// Bytes of requests, or of responses, that are lost.
    Lost(Direction, u64),
    /// One side says that it will send no more.
    Fin(Direction),
    /// So many seconds pass.
    Pause(i64),
    /// The flow ends; it finishes where nothing else is said.
    Ends(Close),
}

pub(crate) use Event::{Answers, AskedAt, Asks, Contradicted, Cut, Ends, Fin, Lost, Pause};
pub(crate) use flow::Direction::{ToClient, ToServer};

pub(crate) fn asks(bytes: impl AsRef<[u8]>) -> Event {
    Asks(bytes.as_ref().to_vec())
}

pub(crate) fn answers(bytes: impl AsRef<[u8]>) -> Event {
    Answers(bytes.as_ref().to_vec())
}

#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) transport: Transport,
    pub(crate) midstream: bool,
}

pub(crate) const TCP: Setting = Setting { transport: Transport::Tcp, midstream: false };
pub(crate) const MIDSTREAM: Setting = Setting { midstream: true, ..TCP };
pub(crate) const UDP: Setting = Setting { transport: Transport::Udp, ..TCP };

/// What came of a flow.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) entries: Vec<Value>,
    pub(crate) counters: Counters,
    pub(crate) bytes: u64,
}

pub(crate) fn run(setting: Setting, events: &[Event]) -> Outcome {
    run_with(setting, events, &Limits::default())
}

pub(crate) fn run_with(setting: Setting, events: &[Event], limits: &Limits) -> Outcome {
    const MILLISECOND: i64 = 1_000_000;
    let (mut counters, mut out) = (Counters::default(), Vec::new());
    let mut session = Session::new(setting.transport, setting.midstream);
    let (mut now, mut ordinal, mut total, mut why) = (0, 0, 0, Close::Finished);
    for event in events {
        now += MILLISECOND;
        ordinal += 1;
        let context = &mut Context { limits, counters: &mut counters, out: &mut out };
        let at = Timestamp(now);
        let mut data = |direction, at, bytes: &Vec<u8>, cut| {
            total += bytes.len() as u64;
            session.data(
                &Data { direction, ordinal, at, overlap: false, ambiguous: false, cut, bytes },
                context,
            );
        };
        match event {
            Asks(bytes) => data(ToServer, at, bytes, 0),
            AskedAt(then, bytes) => data(ToServer, Timestamp(then * 1000), bytes, 0),
            Answers(bytes) => data(ToClient, at, bytes, 0),
            Cut(direction, bytes, cut) => data(*direction, at, bytes, *cut),
            Contradicted(direction) => session.contradicted(*direction, context.counters),
            Lost(direction, len) => {
                session.gap(&Gap { direction: *direction, ordinal, at, len: *len }, context);
            }
            Fin(direction) => session.half_close(*direction, ordinal, at, context),
            Pause(seconds) => {
                for _ in 0..*seconds {
                    now += 1000 * MILLISECOND;
                    if session.waits() {
                        session.tick(ordinal, Timestamp(now), context);
                    }
                }
            }
            Ends(close) => why = *close,
        }
    }
    let closing = Closing { ordinal: ordinal + 1, at: Timestamp(now), why };
    session.close(&closing, &mut Context { limits, counters: &mut counters, out: &mut out });
    let outcome = Outcome { entries: out.iter().map(show).collect(), counters, bytes: total };
    outcome.sums_close(&out);
    outcome
}

impl Outcome {
    /// Every byte and every message is in exactly one row.
    fn sums_close(&self, out: &[Transaction]) {
        let c = &self.counters;
        let bytes = c.bytes_dissected + c.bytes_skipped + c.bytes_unknown + c.bytes_unfinished;
        assert_eq!(bytes, self.bytes, "bytes: {c:?}");
        assert_eq!(c.flows.iter().sum::<u64>() + c.flows_unknown + c.flows_silent, 1, "flows: {c:?}");
        let both = out.iter().filter(|t| t.request.is_some() && t.response.is_some()).count() as u64;
        let requests = out.iter().filter(|t| t.request.is_some()).count() as u64;
        let mut unanswered = 0;
        c.each(&mut |row, count| unanswered += if row.starts_with("unanswered") { count } else { 0 });
        assert_eq!((both, requests - both), (c.paired, unanswered), "requests: {c:?}");
        assert_eq!(out.len() as u64 - requests, c.requests_missing, "responses: {c:?}");
    }

    /// `method url status` of each entry; `-` for what is missing; `!` after a flagged one.
    pub(crate) fn lines(&self) -> Vec<String> {
        let word = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let line = |entry: &Value| {
            let (request, response) = (&entry["request"], &entry["response"]);
            format!("{} {} {}", word(&request["method"]), word(&request["url"]), word(&response["status"]))
        };
        self.entries.iter().map(line).collect()
    }
}

fn show(transaction: &Transaction) -> Value {
    let half = |half: &Option<Half>| half.as_ref().map(|half| record(&*half.payload));
    let size = |half: &Option<Half>| half.as_ref().map(|half| half.size);
    let span =
        |half: &Option<Half>| half.as_ref().map(|half| [half.first.0 / 1_000_000, half.last.0 / 1_000_000]);
    for half in [&transaction.request, &transaction.response].into_iter().flatten() {
        // Whatever the message, its readable form can be made, and its size is counted.
        assert!(half.payload.heap_size() > 0);
        assert!(!half.payload.sections().is_empty());
        half.payload.summary();
    }
    json!({
        "error": transaction.error.as_ref().map(|fault| record(fault)),
        "flags": record(&transaction.flags),
        "ordinal": transaction.ordinal,
        "request": half(&transaction.request),
        "requestSize": size(&transaction.request),
        "requestSpan": span(&transaction.request),
        "response": half(&transaction.response),
        "responseSize": size(&transaction.response),
        "responseSpan": span(&transaction.response),
        "swapped": transaction.swapped,
        "version": transaction.protocol.version,
    })
}

fn record(record: &dyn kfl::Record) -> Value {
    let mut out = Vec::new();
    api::write_record(&mut out, record);
    serde_json::from_slice(&out).expect("a record is JSON")
}

/// The entries without what depends on how the stream was cut: times.
pub(crate) fn timeless(outcome: &Outcome) -> Vec<Value> {
    let mut entries = outcome.entries.clone();
    for entry in &mut entries {
        for key in ["ordinal", "requestSpan", "responseSpan"] {
            entry[key] = Value::Null;
        }
    }
    entries
}

/// An exchange whose two streams are cut at random places, and whose order is kept.
pub(crate) fn cut(exchange: Vec<Event>) -> impl Strategy<Value = Vec<Event>> {
    let pieces = exchange.into_iter().map(|event| {
        let len = match &event {
            Asks(bytes) | Answers(bytes) => bytes.len(),
            _ => 0,
        };
        prop_oneof![
            2 => prop::collection::vec(0..len.max(1), 0..12),
            1 => Just((0..len).collect::<Vec<_>>()),
        ]
        .prop_map(move |mut cuts| {
            cuts.sort_unstable();
            cuts.dedup();
            split(&event, &cuts)
        })
    });
    pieces.collect::<Vec<_>>().prop_map(|events| events.concat())
}

fn split(event: &Event, cuts: &[usize]) -> Vec<Event> {
    let (bytes, make): (_, fn(Vec<u8>) -> Event) = match event {
        Asks(bytes) => (bytes, Asks),
        Answers(bytes) => (bytes, Answers),
        other => return vec![other.clone()],
    };
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts
        .zip(ends)
        .filter(|(start, end)| start < end)
        .map(|(start, end)| make(bytes[start..end].to_vec()))
        .collect()
}

/// Events made of `seeds`, mutated, with gaps between: nothing that a peer would send.
pub(crate) fn damaged(seeds: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<Event>> {
    let bytes = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 1..200),
        4 => (prop::sample::select(seeds), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)).prop_map(
            |(seed, changes)| {
                let mut bytes = seed.to_vec();
                for (index, byte) in changes {
                    let at = index.index(bytes.len());
                    bytes[at] = byte;
                }
                bytes
            }
        ),
        2 => (prop::sample::select(seeds), any::<prop::sample::Index>()).prop_map(|(seed, index)| {
            let end = index.index(seed.len()) + 1;
            seed[..end].to_vec()
        }),
    ];
    let direction = prop_oneof![Just(Direction::ToServer), Just(Direction::ToClient)];
    let event = prop_oneof![
        6 => (any::<bool>(), bytes.clone()).prop_map(|(asks, bytes)| if asks { Asks(bytes) } else { Answers(bytes) }),
        1 => (0..20_000i64, bytes).prop_map(|(then, bytes)| AskedAt(then, bytes)),
        1 => (direction.clone(), 1..2000u64).prop_map(|(direction, len)| Lost(direction, len)),
        1 => (0..70i64).prop_map(Pause),
        1 => direction.clone().prop_map(Fin),
        1 => direction.prop_map(Contradicted),
    ];
    prop::collection::vec(event, 1..16)
}
