//! The cases.

use support::craft::{ACK, RST, Side, Talk};

use crate::Case;

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").into_bytes()
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Type: text/plain\r\n");
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn case(name: impl Into<String>, talk: Talk, expected: &[&str]) -> Case {
    Case { name: name.into(), talk, expected: expected.iter().map(|&line| line.to_owned()).collect() }
}

/// One exchange, nothing wrong with it.
pub(crate) fn normal() -> Case {
    let mut talk = Talk::open();
    talk.say(CLIENT, &get("/one")).say(SERVER, &ok("hello")).close();
    case("normal", talk, &["GET /one 200 hello []"])
}

/// The question and the answer of an exchange that is like no other.
pub(crate) fn exchange(number: usize) -> (Vec<u8>, Vec<u8>) {
    (get(&format!("/{number}")), ok(&format!("body {number}")))
}

/// Two exchanges; `cuts` divides the first response.
fn two(cuts: &[usize]) -> Talk {
    let mut talk = Talk::open();
    talk.say(CLIENT, &get("/one")).split(SERVER, &ok(BODY), cuts);
    talk.say(CLIENT, &get("/two")).say(SERVER, &ok("second")).close();
    talk
}

/// The same, the other way: `cuts` divides the first request, which sends what is long.
fn two_sent(cuts: &[usize]) -> Talk {
    let mut talk = Talk::open();
    talk.split(CLIENT, &post("/one", BODY), cuts).say(SERVER, &ok("first"));
    talk.say(CLIENT, &get("/two")).say(SERVER, &ok("second")).close();
    talk
}

const BODY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const FIRST: &str = "GET /one 200 0123456789abcdefghijklmnopqrstuvwxyz []";
const FIRST_SENT: &str = "POST /one (0123456789abcdefghijklmnopqrstuvwxyz) 200 first []";
const SECOND: &str = "GET /two 200 second []";

pub(crate) fn all() -> Vec<Case> {
    let mut cases = vec![normal()];
    cases.extend(harmless());
    cases.extend(disordered());
    cases.extend(conflicting());
    cases.extend(midstream());
    cases.extend(lossy());
    cases.extend(long());
    cases.extend(both());
    cases.extend(resets());
    cases.extend(dialogue());
    cases
}

/// Where the head of the first response ends.
fn head() -> usize {
    ok(BODY).len() - BODY.len()
}

fn head_sent() -> usize {
    post("/one", BODY).len() - BODY.len()
}

fn harmless() -> Vec<Case> {
    let mut cases = Vec::new();
    for side in [CLIENT, SERVER] {
        let mut talk = two(&[head() + 3, head() + 9]);
        for at in talk.carrying(side).into_iter().rev() {
            let again = talk.segments[at].clone();
            talk.segments.insert(at + 1, again);
        }
        cases.push(case(format!("retransmits of the {side:?}"), talk, &[FIRST, SECOND]));
    }
    let (question, answer) = (get("/one"), ok("hello"));
    let mut talk = Talk::open();
    talk.split(CLIENT, &question, &(1..question.len()).collect::<Vec<_>>());
    talk.split(SERVER, &answer, &(1..answer.len()).collect::<Vec<_>>()).close();
    cases.push(case("byte at a time", talk, &["GET /one 200 hello []"]));
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    for cut in 1..chunked.len() {
        let mut talk = Talk::open();
        talk.say(CLIENT, &get("/one")).split(SERVER, chunked, &[cut]).close();
        cases.push(case(format!("chunked, cut at {cut}"), talk, &["GET /one 200 abcdefg []"]));
    }
    let chunked = b"POST /one HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n04\r\ndefg\r\n0\r\nA: b\r\n\r\n";
    for cut in 1..chunked.len() {
        let mut talk = Talk::open();
        talk.split(CLIENT, chunked, &[cut]).say(SERVER, &ok("hello")).close();
        cases.push(case(
            format!("chunked request, cut at {cut}"),
            talk,
            &["POST /one (abcdefg) 200 hello []"],
        ));
    }
    cases
}

fn disordered() -> Vec<Case> {
    let mut cases = Vec::new();
    for (first, second) in [(3, 9), (10, 20), (1, 35)] {
        let mut talk = two(&[head(), head() + first, head() + second]);
        let carrying = talk.carrying(SERVER);
        talk.shift(carrying[3], carrying[1]);
        cases.push(case(format!("body segments out of order at {first}, {second}"), talk, &[FIRST, SECOND]));
        let mut talk = two(&[first, head() + second]);
        let carrying = talk.carrying(SERVER);
        talk.shift(carrying[0], carrying[2]);
        cases.push(case(
            format!("the response's first segment, {first} bytes, comes last"),
            talk,
            &[FIRST, SECOND],
        ));
    }
    for (first, second) in [(3, 9), (10, 20), (1, 35)] {
        let mut talk = two_sent(&[head_sent(), head_sent() + first, head_sent() + second]);
        let carrying = talk.carrying(CLIENT);
        talk.shift(carrying[3], carrying[1]);
        let name = format!("body segments of the request out of order at {first}, {second}");
        cases.push(case(name, talk, &[FIRST_SENT, SECOND]));
    }
    for cut in (1..ok("hello").len()).step_by(3) {
        let mut talk = Talk::open();
        talk.say(CLIENT, &get("/one")).split(SERVER, &ok("hello"), &[cut]).close();
        let carrying = talk.carrying(SERVER);
        talk.shift(carrying[0], carrying[1]);
        let name = format!("the response's halves reversed, cut at {cut}");
        cases.push(case(name, talk, &["GET /one 200 hello []"]));
    }
    for cut in [1, 4, 5, 17, get("/one").len() - 1] {
        let mut talk = Talk::open();
        talk.split(CLIENT, &get("/one"), &[cut]).say(SERVER, &ok("hello")).close();
        let carrying = talk.carrying(CLIENT);
        talk.shift(carrying[0], carrying[1]);
        cases.push(case(
            format!("the request's halves reversed, cut at {cut}"),
            talk,
            &["GET /one 200 hello []"],
        ));
    }
    cases
}

fn conflicting() -> Vec<Case> {
    let mut cases = Vec::new();
    let question = get("/one");
    for (from, to) in [(5, 8), (0, question.len()), (20, 30)] {
        let mut talk = Talk::open();
        talk.say(CLIENT, &question);
        talk.push(CLIENT, from as i64, ACK, &vec![b'x'; to - from]);
        talk.say(SERVER, &ok("hello")).close();
        cases.push(case(
            format!("conflicting copy of {from}..{to} after the data was in order"),
            talk,
            &["GET /one 200 hello [ambiguous overlap]"],
        ));
    }
    for (from, to) in [(5, 8), (8, 14), (4, question.len())] {
        let mut talk = Talk::open();
        talk.push(CLIENT, from as i64, ACK, &vec![b'x'; to - from]);
        talk.say(CLIENT, &question).say(SERVER, &ok("hello")).close();
        cases.push(case(
            format!("conflicting copy of {from}..{to} queued ahead of a hole that a longer segment fills"),
            talk,
            &["GET /one 200 hello [overlap]"],
        ));
    }
    let answer = ok("hello");
    for (from, to) in [(9, 12), (0, answer.len() - 1), (answer.len() - 5, answer.len() - 1)] {
        // A whole response is an entry at once, and right: what comes later can't flag it any more.
        for (parts, flags) in [(&[answer.len() - 1][..], "ambiguous overlap"), (&[], "")] {
            let mut talk = Talk::open();
            talk.say(CLIENT, &question).split(SERVER, &answer, parts);
            let first = talk.carrying(SERVER)[0];
            talk.push(SERVER, from as i64, ACK, &vec![b'x'; to - from]);
            let copy = talk.segments.len() - 1;
            talk.shift(copy, first + 1).close();
            cases.push(case(
                format!("conflicting copy of {from}..{to} of the response after its first segment, cut at {parts:?}"),
                talk,
                &[&format!("GET /one 200 hello [{flags}]")],
            ));
        }
        let mut talk = Talk::open();
        talk.say(CLIENT, &question);
        talk.push(SERVER, from.max(1) as i64, ACK, &vec![b'x'; to - from.max(1)]);
        talk.say(SERVER, &answer).close();
        cases.push(case(
            format!("conflicting copy of {from}..{to} of the response queued ahead of a hole that a longer segment fills"),
            talk,
            &["GET /one 200 hello [overlap]"],
        ));
    }
    let mut talk = Talk::open();
    talk.say(CLIENT, &question).push(SERVER, 0, ACK, &ok("wrong")).say(SERVER, &answer).close();
    let forged = talk.carrying(SERVER)[0];
    talk.segments[forged].forged = true;
    // As above: it is an entry before the other one comes.
    cases.push(case("forged response with a bad TCP checksum", talk, &["GET /one 200 wrong []"]));
    let mut talk = Talk::open();
    talk.push(CLIENT, 0, ACK, &get("/bad")).say(CLIENT, &question).say(SERVER, &ok("hello")).close();
    let forged = talk.carrying(CLIENT)[0];
    talk.segments[forged].forged = true;
    cases.push(case(
        "forged request with a bad TCP checksum",
        talk,
        &["GET /bad 200 hello [ambiguous overlap]"],
    ));
    cases
}

fn midstream() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut talk = Talk::default();
    talk.say(CLIENT, &get("/one")).say(SERVER, &ok("hello")).close();
    cases.push(case("the capture starts at a request", talk, &["GET /one 200 hello [midstream]"]));
    for len in [1, 10, 36] {
        let mut talk = Talk::default();
        talk.say(SERVER, &BODY.as_bytes()[..len])
            .say(CLIENT, &get("/two"))
            .say(SERVER, &ok("second"))
            .close();
        cases.push(case(
            format!("the capture starts inside a response body, {len} bytes before its end"),
            talk,
            &["GET /two 200 second [midstream]"],
        ));
    }
    let mut talk = Talk::default();
    talk.say(SERVER, &ok("hello")).say(CLIENT, &get("/two")).say(SERVER, &ok("second")).close();
    cases.push(case(
        "the capture starts at a response",
        talk,
        &["- 200 hello [midstream requestMissing]", "GET /two 200 second [midstream]"],
    ));
    let upload = br#"{"name": "a body", "of": ["several", "words"]}"#;
    for len in [1, 10, 36] {
        let mut talk = Talk::default();
        talk.say(CLIENT, &upload[upload.len() - len..]).say(SERVER, &ok("first"));
        talk.say(CLIENT, &get("/two")).say(SERVER, &ok("second")).close();
        cases.push(case(
            format!("the capture starts inside a request body, {len} bytes before its end"),
            talk,
            &["- 200 first [midstream requestMissing]", "GET /two 200 second [midstream]"],
        ));
    }
    for (lost, what) in [(&[1][..], "SYN-ACK"), (&[0], "SYN"), (&[2], "last packet of the handshake")] {
        let mut talk = normal().talk;
        talk.lose(lost);
        cases.push(case(format!("{what} not captured"), talk, &["GET /one 200 hello []"]));
    }
    cases
}

fn lossy() -> Vec<Case> {
    let mut cases = Vec::new();
    for (from, to) in [(5, 15), (1, 36), (30, 36)] {
        let mut talk = two(&[head() + from, head() + to][..if to == 36 { 1 } else { 2 }]);
        let lost = talk.carrying(SERVER)[1];
        talk.lose(&[lost]);
        let kept = format!("{}{}", &BODY[..from], &BODY[to..]);
        let first = format!("GET /one 200 {kept} [gap={} truncated]", to - from);
        cases.push(case(format!("body bytes {from}..{to} lost"), talk, &[&first, SECOND]));
    }
    for (from, to) in [(5, 15), (1, 36), (30, 36)] {
        let cuts = [head_sent() + from, head_sent() + to];
        let mut talk = two_sent(&cuts[..if to == 36 { 1 } else { 2 }]);
        let lost = talk.carrying(CLIENT)[1];
        talk.lose(&[lost]);
        let kept = format!("{}{}", &BODY[..from], &BODY[to..]);
        let first = format!("POST /one ({kept}) 200 first [gap={} truncated]", to - from);
        cases.push(case(format!("body bytes {from}..{to} of the request lost"), talk, &[&first, SECOND]));
    }
    for cut in [head_sent(), head_sent() + 5, post("/one", BODY).len()] {
        let mut talk = two_sent(&[cut][..usize::from(cut < post("/one", BODY).len())]);
        let lost = talk.carrying(CLIENT)[0];
        talk.lose(&[lost]);
        cases.push(case(
            format!("{cut} bytes of the request lost, its head among them"),
            talk,
            &["- 200 first [requestMissing]", SECOND],
        ));
    }
    for cut in [head(), head() + 5, ok(BODY).len()] {
        let mut talk = two(&[cut][..usize::from(cut < ok(BODY).len())]);
        let lost = talk.carrying(SERVER)[0];
        talk.lose(&[lost]);
        let first = format!("GET /one - [gap={cut} responseMissing]");
        cases.push(case(
            format!("{cut} bytes of the response lost, its head among them"),
            talk,
            &[&first, SECOND],
        ));
    }
    cases
}

/// A long conversation that loses one segment: every other exchange is whole, and none is mixed up.
fn long() -> Vec<Case> {
    let mut cases = Vec::new();
    for side in [CLIENT, SERVER] {
        for number in [0, 7, 90] {
            let mut talk = Talk::open();
            let mut expected = Vec::new();
            for at in 0..100 {
                talk.say(CLIENT, &get(&format!("/{at}"))).say(SERVER, &ok(&format!("body {at}")));
                expected.push(format!("GET /{at} 200 body {at} []"));
            }
            let lost = talk.carrying(side)[number];
            let len = talk.segments[lost].payload.len();
            talk.lose(&[lost]);
            expected[number] = match side {
                CLIENT => format!("- 200 body {number} [requestMissing]"),
                SERVER => format!("GET /{number} - [gap={len} responseMissing]"),
            };
            cases.push(Case {
                name: format!("segment {number} of the {side:?} lost in a long conversation"),
                talk,
                expected,
            });
        }
    }
    cases
}

/// A long conversation that loses a request and, while those behind it wait for it, a response.
fn both() -> Vec<Case> {
    let mut cases = Vec::new();
    for (request, response) in [(10, 20), (10, 12), (40, 45)] {
        let mut talk = Talk::open();
        let mut expected = Vec::new();
        for at in 0..100 {
            talk.say(CLIENT, &get(&format!("/{at}"))).say(SERVER, &ok(&format!("body {at}")));
            expected.push(format!("GET /{at} 200 body {at} []"));
        }
        let lost = [talk.carrying(CLIENT)[request], talk.carrying(SERVER)[response]];
        let len = talk.segments[lost[1]].payload.len();
        talk.lose(&lost);
        expected[request] = format!("- 200 body {request} [requestMissing]");
        expected[response] = format!("GET /{response} - [gap={len} responseMissing]");
        cases.push(Case { name: format!("request {request} and response {response} lost"), talk, expected });
    }
    cases
}

fn resets() -> Vec<Case> {
    let mut cases = Vec::new();
    for side in [CLIENT, SERVER] {
        let mut talk = Talk::open();
        talk.say(CLIENT, &get("/one"));
        let at = if side == CLIENT { get("/one").len() as i64 } else { 0 };
        talk.push(side, at, RST | ACK, b"").say(SERVER, &ok("hello")).close();
        cases.push(case(
            format!("RST of the {side:?} in the window, and traffic goes on"),
            talk,
            &["GET /one 200 hello [ambiguous]"],
        ));
        let mut talk = Talk::open();
        talk.say(CLIENT, &get("/one"));
        talk.push(side, at + 500_000_000, RST | ACK, b"").say(SERVER, &ok("hello")).close();
        cases.push(case(
            format!("RST of the {side:?} far outside the window"),
            talk,
            &["GET /one 200 hello []"],
        ));
    }
    cases
}

fn dialogue() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut talk = Talk::open();
    talk.say(CLIENT, &[get("/one"), get("/two"), get("/three")].concat());
    talk.say(SERVER, &[ok("first"), ok("second"), ok("third")].concat()).close();
    cases.push(case(
        "three pipelined requests in one segment",
        talk,
        &["GET /one 200 first []", "GET /two 200 second []", "GET /three 200 third []"],
    ));
    let questions = [get("/one"), post("/two", BODY), get("/three")].concat();
    for cut in (1..questions.len()).step_by(7) {
        let mut talk = Talk::open();
        talk.split(CLIENT, &questions, &[cut]);
        let answers = [ok("first"), ok("second"), ok("third")].concat();
        talk.split(SERVER, &answers, &[cut % answers.len()][..usize::from(cut % answers.len() > 0)]).close();
        cases.push(case(
            format!("three pipelined requests, cut at {cut}"),
            talk,
            &[
                "GET /one 200 first []",
                &format!("POST /two ({BODY}) 200 second []"),
                "GET /three 200 third []",
            ],
        ));
    }
    let mut talk = normal().talk;
    let (request, response) = (talk.carrying(CLIENT)[0], talk.carrying(SERVER)[0]);
    talk.shift(response, request);
    cases.push(case("response captured before its request", talk, &["GET /one 200 hello []"]));
    let mut talk = Talk::open();
    talk.say(CLIENT, &get("/one")).close();
    cases.push(case("request never answered, closed", talk, &["GET /one - [responseMissing]"]));
    let mut talk = Talk::open();
    talk.say(CLIENT, &get("/one"));
    cases.push(case("request never answered, the capture ends", talk, &["GET /one - [responseMissing]"]));
    let mut talk = Talk::open();
    talk.say(
        CLIENT,
        b"POST /one HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n",
    );
    talk.say(SERVER, b"HTTP/1.1 100 Continue\r\n\r\n").say(CLIENT, b"data");
    talk.say(SERVER, b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok").close();
    cases.push(case("100 Continue, then 201", talk, &["POST /one (data) 201 ok []"]));
    cases
}
