//! Parse, compile and match, apart, in nanoseconds a time: `cargo bench -p kubeshark-kfl`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use kfl::{Filter, Options, Value};
use std::{hint::black_box, time::Instant};

struct Entry {
    protocol: Protocol,
    request: Request,
    response: Response,
}

struct Protocol {
    abbr: &'static str,
}

struct Request {
    method: String,
    path: String,
    body: String,
}

struct Response {
    status: i64,
    body: Vec<u8>,
}

kfl::record! {
    impl Record for Entry as entry {
        "protocol" => Value::record(&entry.protocol),
        "request" => Value::record(&entry.request),
        "response" => Value::record(&entry.response),
    }
}

kfl::record! {
    impl Record for Protocol as protocol {
        "abbr" => Value::text(protocol.abbr),
    }
}

kfl::record! {
    impl Record for Request as request {
        "body" => Value::text(&request.body),
        "method" => Value::text(&request.method),
        "path" => Value::text(&request.path),
    }
}

kfl::record! {
    impl Record for Response as response {
        "body" => Value::Base64(&response.body),
        "status" => Value::Int(response.status),
    }
}

const QUERIES: &[&str] = &[
    "response.status == 500",
    "http",
    "http and request.method == \"GET\" and response.status >= 400",
    "request.path.startsWith(\"/api\")",
    "request.path == r\"^/api/v[0-9]+/\"",
    "request.body.json().user.age > 40",
    "response.body.json().user.age > 40 and request.body.json().user.name == \"bob\"",
    "request.method == \"PUT\" or request.method == \"DELETE\" or response.status == 200",
    "redact(\"request.body.json().user\") and http",
];

fn main() {
    let json = "{\"user\":{\"name\":\"bob\",\"age\":41},\"tags\":[\"a\",\"b\"]}";
    let entries: Vec<Entry> = (0..1_000)
        .map(|n| Entry {
            protocol: Protocol { abbr: if n % 4 == 0 { "DNS" } else { "HTTP" } },
            request: Request {
                method: if n % 3 == 0 { "GET" } else { "POST" }.to_owned(),
                path: format!("/api/v{}/items/{n}", n % 7),
                body: json.to_owned(),
            },
            response: Response { status: [200, 404, 500][n % 3], body: json.as_bytes().to_vec() },
        })
        .collect();
    let options = Options { macros: &[("http", "protocol.abbr == \"HTTP\"")], now: 0 };

    println!("{:>10} {:>10} {:>10}  query", "parse", "compile", "match");
    for query in QUERIES {
        let Ok(filter) = Filter::new(query, &options) else { continue };
        let parse = time(1_000, || kfl::normal(black_box(query)).is_ok());
        let compile = time(100, || Filter::new(black_box(query), &options).is_ok());
        let matched = time(200, || entries.iter().filter(|entry| filter.matches(black_box(*entry))).count());
        println!("{parse:>10.0} {compile:>10.0} {:>10.1}  {query}", matched / entries.len() as f64);
    }
    let by_hand =
        time(200, || entries.iter().filter(|entry| black_box(*entry).response.status == 500).count());
    println!(
        "{:>10} {:>10} {:>10.1}  by hand: response.status == 500",
        "",
        "",
        by_hand / entries.len() as f64
    );
}

/// The time of one run, in nanoseconds: the best of five rounds.
fn time<T>(runs: u32, mut run: impl FnMut() -> T) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..runs {
            black_box(run());
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(runs));
    }
    best
}
