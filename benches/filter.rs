//! What a filter costs on real entries: parsed, compiled and matched, each apart; beside the same test written by hand in
//! Rust on the typed entry, and beside the filter on a `serde_json::Value` of the entry's JSON, parsing included.
//!
//! *By hand* is what a person would write who knows the query when the program is compiled, and no more. It means what the
//! query means for every entry (both are counted and compared): a missing half is false, a port and an address are
//! compared by value where the query compares their texts, since no other text is equal. Both are called for one entry at
//! a time, through a pointer that is not known when the loop is compiled, and both read the same entries in one array.
//! What remains on the side of the hand is that its constants are the compiler's: it folds the division of
//! `elapsedTime > 10` into them, and compares four bytes where the filter compares a text of any length.
//!
//! `..` looks at everything below a field, which nobody would write by hand, and arithmetic is for KFL2's evaluator, which
//! works the query out step by step: they have a row and no part in the sum.
//!
//! `cargo bench -p kubeshark-tests --bench filter [-- CAPTURE]`; without a capture it makes 20,000 entries of its own.
//! `ONLY=http` measures that query alone, long enough for a profiler.
//! One thread; every figure is the median of nine rounds, taken in turns so that a busy machine is busy for all.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{env, error::Error, hint::black_box, net::IpAddr, sync::LazyLock, time::Instant};

use api::Entry;
use dissect::http1::{Request, Response};
use kfl::{Filter, Sieve};
use regex::Regex;
use support::{
    Scratch,
    pcap::Endian,
    traffic::{Mix, capture},
};

const ENTRIES: usize = 20_000;
const ROUNDS: usize = 9;

type ByHand = fn(&Entry) -> bool;

/// A query, and the same test by hand.
const QUERIES: &[(&str, ByHand)] = &[
    ("http", |entry| entry.protocol.abbr == "HTTP"),
    ("!http", |entry| entry.protocol.abbr != "HTTP"),
    ("response.status == 500", |entry| response(entry).is_some_and(|response| response.status() == 500)),
    ("response.status >= 400", |entry| response(entry).is_some_and(|response| response.status() >= 400)),
    ("http and response.status >= 400", |entry| {
        entry.protocol.abbr == "HTTP" && response(entry).is_some_and(|response| response.status() >= 400)
    }),
    ("response.status >= 400 and response.status < 500", |entry| {
        response(entry).is_some_and(|response| (400..500).contains(&response.status()))
    }),
    ("request.method == \"PUT\" or request.method == \"DELETE\"", |entry| {
        request(entry).is_some_and(|request| matches!(request.method(), "PUT" | "DELETE"))
    }),
    ("request.path.startsWith(\"/api/v1/items/1\")", |entry| {
        request(entry).is_some_and(|request| request.path().starts_with("/api/v1/items/1"))
    }),
    ("request.path.contains(\"/9\")", |entry| {
        request(entry).is_some_and(|request| request.path().contains("/9"))
    }),
    ("request.path == r\"/items/[0-9]+7$\"", |entry| {
        static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new("/items/[0-9]+7$").expect("a regex"));
        request(entry).is_some_and(|request| PATTERN.is_match(request.path()))
    }),
    ("request.headers[\"Host\"] == \"shop-7.ns7.svc.cluster.local\"", |entry| {
        request(entry).and_then(|request| request.header("Host")) == Some("shop-7.ns7.svc.cluster.local")
    }),
    ("request.pathSegments[2] == \"items\"", |entry| {
        request(entry).is_some_and(|request| request.path().split('/').nth(3) == Some("items"))
    }),
    ("request.pathSegments.* == \"77\"", |entry| {
        request(entry).is_some_and(|request| request.path().split('/').skip(1).any(|segment| segment == "77"))
    }),
    ("dst.port == \"80\"", |entry| entry.dst.port == 80),
    ("src.ip == \"10.0.0.7\"", |entry| entry.src.ip == IpAddr::from([10, 0, 0, 7])),
    ("dst..port == \"80\"", |entry| entry.dst.port == 80),
    ("elapsedTime > 10", |entry| elapsed_millis(entry) > 10),
    ("dns or (http and dst.port == \"80\" and response.status != 200)", |entry| {
        entry.protocol.abbr == "DNS"
            || entry.protocol.abbr == "HTTP"
                && entry.dst.port == 80
                && response(entry).is_some_and(|response| response.status() != 200)
    }),
    (
        "http and src.ip != \"10.0.0.7\" and dst.port == \"80\" and request.method == \"GET\" and response.status >= 400",
        |entry| {
            entry.protocol.abbr == "HTTP"
                && entry.src.ip != IpAddr::from([10, 0, 0, 7])
                && entry.dst.port == 80
                && request(entry).is_some_and(|request| request.method() == "GET")
                && response(entry).is_some_and(|response| response.status() >= 400)
        },
    ),
    (
        "dns or (request.method == \"DELETE\") or (response.status >= 500) or elapsedTime > 100 or \
         request.path.endsWith(\"/7\")",
        |entry| {
            entry.protocol.abbr == "DNS"
                || request(entry).is_some_and(|request| request.method() == "DELETE")
                || response(entry).is_some_and(|response| response.status() >= 500)
                || elapsed_millis(entry) > 100
                || request(entry).is_some_and(|request| request.path().ends_with("/7"))
        },
    ),
    // KFL2.
    ("dst.port + 1 == 81 && true", |entry| u32::from(entry.dst.port) + 1 == 81),
    ("status_code >= 400 && true", |entry| response(entry).is_some_and(|response| response.status() >= 400)),
    ("http && dst.port == 80 && method == 'GET'", |entry| {
        entry.protocol.name == "http"
            && entry.dst.port == 80
            && request(entry).is_some_and(|request| request.method() == "GET")
    }),
    ("method in ['PUT', 'DELETE']", |entry| {
        request(entry).is_some_and(|request| matches!(request.method(), "PUT" | "DELETE"))
    }),
    ("src.ip == '10.0.0.7' || path.contains('/9')", |entry| {
        entry.src.ip == IpAddr::from([10, 0, 0, 7])
            || request(entry).is_some_and(|request| request.path().contains("/9"))
    }),
];

fn elapsed_millis(entry: &Entry) -> i64 {
    (entry.elapsed_nanos.max(0) + 500_000) / 1_000_000
}

fn request(entry: &Entry) -> Option<&Request> {
    let half: &dyn std::any::Any = entry.request.as_deref()?;
    half.downcast_ref()
}

fn response(entry: &Entry) -> Option<&Response> {
    let half: &dyn std::any::Any = entry.response.as_deref()?;
    half.downcast_ref()
}

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new();
    let given = env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let path = given.map_or_else(
        || {
            let mix = Mix { connections: 1_600, requests: 10, questions: 4_000, seed: 1 };
            scratch.file("bench.pcap", &capture(&mix).pcap(Endian::Little, false))
        },
        Into::into,
    );
    let mut entries = worker::entries(worker::Input::File(path), &worker::Limits::default())?;
    entries.truncate(ENTRIES);
    let lines: Vec<Vec<u8>> = entries
        .iter()
        .map(|entry| {
            let mut line = Vec::new();
            api::write_record(&mut line, entry);
            line
        })
        .collect();
    println!("{} entries, {} bytes of JSON", entries.len(), lines.iter().map(Vec::len).sum::<usize>());
    println!(
        "{:>8} {:>9} {:>9} {:>9} {:>7} {:>10} {:>7} {:>12}  query (ns a time)",
        "parse", "compile", "match", "by hand", "ratio", "on JSON", "1/", "entries/s"
    );
    let options = api::options(0);
    let mut ratios = (0.0_f64, f64::INFINITY);
    let only = env::var("ONLY").ok();
    for (query, by_hand) in QUERIES {
        let ready = || Filter::new(black_box(query), &options).map(Sieve::<Entry>::new);
        let sieve = ready()?;
        if let Some(only) = &only {
            if only == query {
                let matching = || entries.iter().filter(|entry| sieve.matches(black_box(*entry))).count();
                println!("{:.1} ns", nanos(1_000, matching) / entries.len() as f64);
            }
            continue;
        }
        let on_json = |line: &Vec<u8>| {
            serde_json::from_slice::<serde_json::Value>(line)
                .is_ok_and(|entry| sieve.filter().matches(&entry))
        };
        let count = |holds: &dyn Fn(usize) -> bool| (0..entries.len()).filter(|at| holds(*at)).count();
        let expected = entries.iter().filter(|entry| by_hand(entry)).count();
        assert_eq!(entries.iter().filter(|entry| sieve.matches(entry)).count(), expected, "{query}");
        assert_eq!(count(&|at| on_json(&lines[at])), expected, "{query}");
        let mut times: [Vec<f64>; 5] = Default::default();
        for round in 0..ROUNDS {
            times[0].push(nanos(1_000, || kfl::normal(black_box(query)).is_ok()));
            times[1].push(nanos(200, || ready().is_ok()));
            let n = entries.len() as f64;
            times[2].push(nanos(1, || entries.iter().filter(|e| sieve.matches(black_box(*e))).count()) / n);
            times[3].push(nanos(1, || entries.iter().filter(|e| by_hand(black_box(e))).count()) / n);
            if round < 3 {
                times[4].push(nanos(1, || lines.iter().filter(|line| on_json(black_box(line))).count()) / n);
            }
        }
        let [parse, compile, matched, hand, json] = times.map(median);
        if !query.contains("..") && !query.contains(" + ") {
            ratios.0 = ratios.0.max(matched / hand);
        }
        ratios.1 = ratios.1.min(json / matched);
        println!(
            "{parse:8.0} {compile:9.0} {matched:9.1} {hand:9.1} {:7.2} {json:10.0} {:7.0} {:12.0}  {query}",
            matched / hand,
            json / matched,
            1e9 / matched
        );
    }
    println!("at most {:.2} times the test by hand, at most 1/{:.0} of the JSON", ratios.0, ratios.1);
    Ok(())
}

/// The time of one run, in nanoseconds.
fn nanos<T>(runs: u32, mut run: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..runs {
        black_box(run());
    }
    start.elapsed().as_nanos() as f64 / f64::from(runs)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
