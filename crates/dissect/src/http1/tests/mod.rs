mod pairing;

use base64::{Engine, engine::general_purpose::STANDARD};
use flow::Close;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    Limits,
    testing::{
        AskedAt, Contradicted, Ends, Event, Fin, Lost, MIDSTREAM, Pause, TCP, ToClient, ToServer, answers,
        asks, cut, damaged, run, run_with, timeless,
    },
};

const GET: &str = "GET /a?x=1 HTTP/1.1\r\nhost: h\r\n\r\n";
const GET_B: &str = "GET /b HTTP/1.1\r\nhost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 Fine\r\ncontent-length: 2\r\n\r\nhi";
const CREATED: &str = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=\"x\"\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n";

fn body(entry: &Value) -> String {
    let text = entry["response"]["content"]["text"].as_str().unwrap_or_default();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// The flags that are set.
fn flags(entry: &Value) -> Vec<String> {
    let set = |value: &Value| !matches!(value, Value::Bool(false)) && *value != json!(0);
    let flags = entry["flags"].as_object().unwrap().iter().filter(|(_, value)| set(value));
    flags.map(|(key, value)| if key == "gap" { format!("gap={value}") } else { key.clone() }).collect()
}

#[test]
fn an_entry_key_by_key() {
    let request = "POST /api/v2/write?org=Kubeshark&b=1&b=2 HTTP/1.1\r\nHost: influx:8086\r\nuser-agent: t\r\n\
        accept: a\r\nCookie: s=1; t=2; s=3\r\nAccept: b\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody";
    let response = "HTTP/1.1 302 Whatever\r\nLocation: /else\r\nSet-Cookie: id=7; Path=/\r\nSet-Cookie: u=8\r\n\
        content-type: text/html; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi";
    let outcome = run(TCP, &[asks(request), answers(response)]);
    let mut entry = outcome.entries[0].clone();
    assert_eq!(entry["requestSize"], json!(request.len()));
    assert_eq!(entry["responseSize"], json!(response.len()));
    assert_eq!(entry["version"], json!("1.1"));
    assert_eq!(entry["error"], Value::Null);
    assert_eq!(flags(&entry), [""; 0]);
    assert_eq!(
        entry["request"].take(),
        json!({
            "bodySize": 4,
            "cookies": {"s": "1,3", "t": "2"},
            "headers": {"Accept": "a,b", "Content-Length": "4", "Content-Type": "text/plain", "Cookie": "s=1; t=2; s=3",
                "Host": "influx:8086", "User-Agent": "t"},
            "headersSize": -1,
            "httpVersion": "HTTP/1.1",
            "method": "POST",
            "path": "/api/v2/write",
            "pathSegments": ["api", "v2", "write"],
            "postData": {"mimeType": "text/plain", "params": [], "text": "body"},
            "queryString": {"b": ["1", "2"], "org": "Kubeshark"},
            "targetUri": "/api/v2/write?org=Kubeshark&b=1&b=2",
            "url": "/api/v2/write?org=Kubeshark&b=1&b=2",
        })
    );
    assert_eq!(
        entry["response"].take(),
        json!({
            "bodySize": 2,
            "content": {"encoding": "base64", "mimeType": "text/html; charset=utf-8", "size": 2, "text": "aGk="},
            "cookies": {"id": "7", "u": "8"},
            "headers": {"Content-Length": "2", "Content-Type": "text/html; charset=utf-8", "Location": "/else",
                "Set-Cookie": "id=7; Path=/,u=8"},
            "headersSize": -1,
            "httpVersion": "HTTP/1.1",
            "redirectURL": "/else",
            "status": 302,
            "statusText": "Found",
        })
    );
}

#[test]
fn targets() {
    for (target, path, segments) in [
        ("/", "/", json!([""])),
        ("/a%20b/c?d", "/a b/c", json!(["a b", "c"])),
        ("/a%2", "/a%2", json!(["a%2"])),
        ("http://h:1/p/q?r=s#t", "/p/q", json!(["p", "q"])),
        ("*", "*", json!([])),
        ("h:443", "h:443", json!([])),
    ] {
        let request = &run(TCP, &[asks(format!("OPTIONS {target} HTTP/1.1\r\n\r\n"))]).entries[0]["request"];
        assert_eq!((&request["path"], &request["pathSegments"]), (&json!(path), &segments), "{target}");
        assert_eq!(request["url"], json!(target));
    }
}

#[test]
fn post_data() {
    for (head, body, size, wanted) in [
        ("Content-Length: 0", "", 0, Value::Null),
        (
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9",
            "a=1&b=%20",
            9,
            json!({"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "a", "value": "1"}, {"name": "b", "value": " "}], "text": ""}),
        ),
        (
            "Transfer-Encoding: chunked",
            "2\r\n\u{e9}\r\n0\r\n\r\n",
            -1,
            json!({"mimeType": "", "params": [], "text": "é"}),
        ),
    ] {
        let request = format!("POST / HTTP/1.1\r\n{head}\r\n\r\n{body}");
        let request = &run(TCP, &[asks(request)]).entries[0]["request"];
        assert_eq!((&request["postData"], &request["bodySize"]), (&wanted, &json!(size)), "{head}");
    }
    let raw = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n\xff\xfe";
    let post = &run(TCP, &[asks(raw)]).entries[0]["request"]["postData"];
    assert_eq!(*post, json!({"encoding": "base64", "mimeType": "", "params": [], "text": "//4="}));
}

#[test]
fn bodies_end_where_the_rfc_says() {
    let fin = [Fin(ToClient)];
    for (method, response, after, status, wanted) in [
        ("GET", OK, OK, 200, "hi"),
        ("GET", CHUNKED, OK, 200, "hello world"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", OK, 200, ""),
        ("GET", "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", OK, 204, ""),
        ("GET", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", OK, 304, ""),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nuntil close", "", 200, "until close"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nuntil close", "", 200, "until close"),
    ] {
        let mut events =
            vec![asks(format!("{method} /a HTTP/1.1\r\n\r\n{GET_B}")), answers(format!("{response}{after}"))];
        events.extend(fin.clone());
        let outcome = run(TCP, &events);
        assert_eq!(outcome.entries[0]["response"]["status"], json!(status), "{response}");
        assert_eq!(body(&outcome.entries[0]), wanted, "{response}");
        assert_eq!(
            outcome.entries[1]["response"]["status"],
            if after.is_empty() { Value::Null } else { json!(200) }
        );
    }
}

#[test]
fn shapes_of_smuggling_are_read_as_the_rfc_says_and_flagged() {
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    for (head, sent, wanted) in [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", chunks, "abc"),
        ("Content-Length: 2\r\nContent-Length: 3", "abc", "ab"),
        ("Transfer-Encoding: chunked, chunked", chunks, "abc"),
        ("Transfer-Encoding: identity, chunked", chunks, "abc"),
        ("Content-Length : 3", "abc", "abc"),
        ("X: a\r\n b\r\nContent-Length: 3", "abc", "abc"),
        ("X: a\nContent-Length: 3", "abc", "abc"),
        ("no colon\r\nContent-Length: 3", "abc", "abc"),
        ("Content-Length: +3", "", ""),
        ("Transfer-Encoding: xchunked", "", ""),
        ("X: a\rb\r\nContent-Length: 3", "abc", "abc"),
    ] {
        let request = format!("POST / HTTP/1.1\r\n{head}\r\n\r\n{sent}");
        let entry = &run(TCP, &[asks(request), answers(OK)]).entries[0];
        let text = entry["request"]["postData"]["text"].as_str().unwrap_or_default();
        assert_eq!((text, flags(entry)), (wanted, vec!["ambiguous".to_owned()]), "{head}");
    }
    let equal = "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(flags(&run(TCP, &[asks(equal), answers(OK)]).entries[0]), [""; 0]);
}

#[test]
fn odd_but_readable() {
    let latin = run(TCP, &[asks(b"BREW /\xe9 HTTP/1.1\r\nx-h\xc3: \xfc\r\n\r\n")]);
    assert_eq!(latin.lines(), ["BREW /é -"]);
    assert_eq!(latin.entries[0]["request"]["headers"]["x-hÃ"], json!("ü"));
    let old = run(TCP, &[asks("GET / HTTP/1.0\r\n\r\n"), answers("HTTP/1.0 404 \r\n\r\n"), Fin(ToClient)]);
    assert_eq!((old.lines(), &old.entries[0]["version"]), (vec!["GET / 404".to_owned()], &json!("1.0")));
    let spaces = run(TCP, &[asks("GET /a b HTTP/1.1\r\n\r\n")]);
    assert_eq!(
        (spaces.lines()[0].as_str(), flags(&spaces.entries[0]).join(" ").as_str()),
        ("GET /a -", "ambiguous responseMissing")
    );
    let blank = run(TCP, &[asks(format!("{GET}\r\n{GET_B}"))]);
    assert_eq!(blank.lines(), ["GET /a?x=1 -", "GET /b -"]);
}

/// What tools for testing and broken clients send, and servers answer.
#[test]
fn request_lines_that_servers_refuse() {
    for (line, wanted) in [
        ("OPTIONS ", "OPTIONS  400"),
        ("OPTIONS HTTP/1.1", "OPTIONS HTTP/1.1 400"),
        ("CCM_POST /HTTP/1.1", "CCM_POST /HTTP/1.1 400"),
        ("GET                /aaaa HTTP/1.1", "GET /aaaa 400"),
    ] {
        let refused = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
        let outcome = run(TCP, &[asks(format!("{line}\r\nHost: h\r\n\r\n")), answers(refused)]);
        assert_eq!(outcome.lines(), [wanted]);
        assert_eq!(flags(&outcome.entries[0]), ["ambiguous"], "{line}");
    }
}

#[test]
fn a_head_that_breaks_off_is_shown() {
    let end = Ends(Close::EndOfCapture);
    for (response, headers) in
        [("HTTP/1.0 200 OK\r\n", json!({})), ("HTTP/1.0 200 OK\r\nA: b\r\nContent-Le", json!({"A": "b"}))]
    {
        let outcome = run(TCP, &[asks(GET), answers(response), end.clone()]);
        assert_eq!(
            (outcome.lines(), flags(&outcome.entries[0])),
            (vec!["GET /a?x=1 200".to_owned()], vec!["truncated".to_owned()])
        );
        assert_eq!(outcome.entries[0]["response"]["headers"], headers);
        assert_eq!(outcome.entries[0]["responseSize"], json!(response.len()));
    }
    let outcome = run(TCP, &[asks(GET), answers("HTTP/1.0 200 O"), asks("GET /b HTTP/1.1\r\nA"), end]);
    assert_eq!(outcome.lines(), ["GET /a?x=1 -", "GET /b -"]);
    assert_eq!(flags(&outcome.entries[1]), ["responseMissing", "truncated"]);
}

#[test]
fn doubtful_responses_are_read_as_far_as_they_make_sense() {
    for (response, wanted) in [
        // A head that ends with LF CR CR LF.
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\r\nhi", "hi"),
        // Some read the field so, some do not; the body says who is right.
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: \rchunked\r\n\r\nno size\r\nhere", "no size\r\nhere"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: \rchunked\r\n\r\nno size", "no size"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: \rchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi"),
    ] {
        let outcome = run(TCP, &[asks(GET), answers(response), Fin(ToClient)]);
        assert_eq!(
            (body(&outcome.entries[0]).as_str(), flags(&outcome.entries[0]).join(" ").as_str()),
            (wanted, "ambiguous"),
            "{response}"
        );
    }
}

#[test]
fn a_tunnel_is_handed_over() {
    let frames = b"\x81\x85\x00\x00\x00\x00hello GET / HTTP/1.1\r\n\r\n";
    let upgrade = "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    let outcome =
        run(TCP, &[asks(upgrade), answers("HTTP/1.1 101 Switching\r\n\r\n"), answers(frames), asks(frames)]);
    assert_eq!(outcome.lines(), ["GET /ws 101"]);
    assert_eq!(outcome.counters.bytes_unknown, 2 * frames.len() as u64);
    let connect = "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n";
    let outcome = run(TCP, &[asks(connect), answers("HTTP/1.1 200 OK\r\n\r\n"), asks(GET), answers(OK)]);
    assert_eq!(outcome.lines(), ["CONNECT h:80 200", "GET /a?x=1 200"]);
}

#[test]
fn what_is_not_http() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"SSH-2.0-x\r\n",
        b"GET key\r\n",
        b"OPTIONS sip:a SIP/2.0\r\n\r\n",
    ] {
        let outcome = run(TCP, &[asks(bytes), answers(bytes)]);
        assert_eq!((outcome.entries.len(), outcome.counters.flows_unknown), (0, 1), "{bytes:?}");
    }
}

#[test]
fn limits_hold_and_are_flagged() {
    let limits = Limits { body_bytes: 4, head_bytes: 200, header_count: 2, waiting: 2, ..Limits::default() };
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
    let outcome = run_with(TCP, &[asks(GET), answers(response), asks(GET_B), answers(OK)], &limits);
    assert_eq!(
        (body(&outcome.entries[0]).as_str(), flags(&outcome.entries[0]).join(" ").as_str()),
        ("0123", "truncated")
    );
    assert_eq!(outcome.entries[0]["response"]["content"]["size"], json!(10));
    assert_eq!(outcome.lines()[1], "GET /b 200");
    let outcome = run_with(
        TCP,
        &[asks("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nContent-Length: 1\r\n\r\nx")],
        &limits,
    );
    assert_eq!(outcome.entries[0]["request"]["headers"], json!({"A": "1", "B": "2", "Content-Length": "1"}));
    assert_eq!(outcome.entries[0]["request"]["postData"]["text"], json!("x"));
    let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(300));
    let outcome = run_with(TCP, &[asks(long), asks(GET)], &limits);
    assert_eq!((outcome.lines(), outcome.counters.refused), (vec!["GET /a?x=1 -".to_owned()], 1));
    let outcome = run_with(TCP, &[asks(GET.repeat(4)), answers(OK.repeat(4))], &limits);
    assert_eq!(outcome.lines().iter().filter(|line| line.starts_with("- -")).count(), 2);
    assert_eq!((outcome.counters.unanswered_limit, outcome.counters.paired), (2, 2));
}

#[test]
fn an_end_inside_a_body_is_said() {
    let outcome = run(
        TCP,
        &[asks(GET), answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Ends(Close::Reset)],
    );
    assert_eq!(flags(&outcome.entries[0]), ["truncated"]);
    assert_eq!(
        (body(&outcome.entries[0]), &outcome.entries[0]["error"]["type"]),
        ("half".to_owned(), &json!(1))
    );
    let broken = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n";
    let outcome = run(TCP, &[asks(GET), answers(broken)]);
    assert_eq!(
        (body(&outcome.entries[0]), &outcome.entries[0]["error"]["type"]),
        ("hi".to_owned(), &json!(0))
    );
}

#[test]
fn times_and_sizes_are_those_of_the_message() {
    let events = [
        asks(&GET[..9]),
        asks(&GET[9..]),
        Pause(1),
        answers(&OK[..4]),
        answers(&OK[4..20]),
        answers(&OK[20..]),
    ];
    let entry = &run(TCP, &events).entries[0];
    assert_eq!((&entry["requestSpan"], &entry["responseSpan"]), (&json!([1, 2]), &json!([1004, 1006])));
    assert_eq!((&entry["requestSize"], &entry["responseSize"]), (&json!(GET.len()), &json!(OK.len())));
}

fn exchange() -> Vec<Event> {
    let post = "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let head = "HEAD /h HTTP/1.1\r\n\r\n";
    let gzip = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\xc8\x04\0\xac\x2a\x93\xd8\x02\0\0\0";
    vec![
        asks([GET, post, head].concat()),
        answers([OK.as_bytes(), CONTINUE.as_bytes(), &gzip[..gzip.len()]].concat()),
        answers("HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n"),
        asks("GET /folded HTTP/1.1\r\nA: b\r\n c\r\nContent-Length : 2\n\r\nhi"),
        answers(CHUNKED),
        asks(GET_B),
        answers("HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        Fin(ToClient),
    ]
}

static SEEDS: &[&[u8]] = &[
    GET.as_bytes(),
    GET_B.as_bytes(),
    OK.as_bytes(),
    CREATED.as_bytes(),
    CONTINUE.as_bytes(),
    CHUNKED.as_bytes(),
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"\r\n0\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 101 x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx",
];

proptest! {
    #[test]
    fn any_cut(events in cut(exchange())) {
        let whole = run(TCP, &exchange());
        prop_assert_eq!(whole.lines(), ["GET /a?x=1 200", "POST /p 200", "HEAD /h 200", "GET /folded 200", "GET /b 200"]);
        let pieces = run(TCP, &events);
        prop_assert_eq!(timeless(&pieces), timeless(&whole));
        prop_assert_eq!(pieces.counters, whole.counters);
    }

    #[test]
    fn no_panic_and_every_byte_is_counted(events in damaged(SEEDS), midstream: bool) {
        run(if midstream { MIDSTREAM } else { TCP }, &events);
    }
}
