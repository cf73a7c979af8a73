use flow::Close;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::{
    Cut, Ends, Event, Lost, MIDSTREAM, Pause, TCP, ToClient, ToServer, UDP, answers, asks, cut, damaged, run,
    timeless,
};

const A: u16 = 1;

/// A name without compression.
fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut out: Vec<u8> =
        labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    out.push(0);
    out
}

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    [[id, flags].as_slice(), &counts].concat().iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn query(id: u16, host: &str, kind: u16) -> Vec<u8> {
    [header(id, 0x0100, [1, 0, 0, 0]), name(host), kind.to_be_bytes().to_vec(), vec![0, 1]].concat()
}

/// A record whose owner is the first question's name.
fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let fixed =
        [&[0xc0, 12][..], &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &(data.len() as u16).to_be_bytes()];
    [fixed.concat(), data.to_vec()].concat()
}

fn response(id: u16, host: &str, kind: u16, code: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let question = query(id, host, kind);
    let head = header(id, 0x8180 | code, [1, records.len() as u16, 0, 0]);
    [head, question[12..].to_vec(), records.concat()].concat()
}

/// With the length that goes before it over TCP.
fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

fn ip(last: u8) -> Vec<u8> {
    record(A, &[10, 0, 0, last])
}

/// `name code` of each entry.
fn lines(entries: &[Value]) -> Vec<String> {
    let line = |entry: &Value| {
        let asked = entry["request"]["questions"][0]["name"].as_str().unwrap_or("-");
        let code = entry["response"]["code"].as_str().unwrap_or("-");
        format!("{asked} {code}")
    };
    entries.iter().map(line).collect()
}

#[test]
fn an_entry_key_by_key() {
    let mut answer = response(7, "db.shop.svc", A, 0, &[ip(1)]);
    answer[11] = 1; // One additional record: OPT.
    answer.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 6, 0, 10, 0, 2, 0xab, 0xcd]);
    let asked = query(7, "db.shop.svc", A);
    let outcome = run(UDP, &[asks(&asked), answers(&answer)]);
    let entry = &outcome.entries[0];
    assert_eq!(
        entry["request"],
        json!({"opCode": "Query", "questions": [{"class": "IN", "name": "db.shop.svc", "type": "A"}]})
    );
    let row = |class: &str, ip: &str, name: &str, opt: &str, ttl: u32, kind: &str| {
        json!({"class": class, "cname": "", "ip": ip, "mx": "", "name": name, "ns": "", "opt": opt, "ptr": "",
            "soa": "", "srv": "", "ttl": ttl, "txts": "", "type": kind, "uri": ""})
    };
    let wanted = json!({
        "additionals": [row("CLASS1232", "<nil>", "", ", Cookie=abcd", 0, "OPT")],
        "answers": [row("IN", "10.0.0.1", "db.shop.svc", "", 60, "A")],
        "authorities": null,
        "code": "No Error",
    });
    assert_eq!(entry["response"], wanted);
    assert_eq!((&entry["requestSize"], &entry["responseSize"]), (&json!(asked.len()), &json!(answer.len())));
    assert_eq!((&entry["requestSpan"], &entry["responseSpan"]), (&json!([1, 1]), &json!([2, 2])));
    assert_eq!(
        (&entry["version"], &entry["error"], &entry["swapped"]),
        (&json!("0"), &Value::Null, &json!(false))
    );
}

#[test]
fn records_of_each_type() {
    let target = [&[1, b'm'][..], &[0xc0, 12]].concat();
    let with = |before: &[u8]| [before, &target].concat();
    for (kind, data, word, field, wanted) in [
        (2, with(&[]), "NS", "ns", "m.h.x"),
        (5, with(&[]), "CNAME", "cname", "m.h.x"),
        (6, [target.clone(), name("box.h"), vec![0; 20]].concat(), "SOA", "soa", "box.h"),
        (12, with(&[]), "PTR", "ptr", "m.h.x"),
        (15, with(&[0, 10]), "MX", "mx", "m.h.x"),
        (16, b"\x02ab\x03c,d".to_vec(), "TXT", "txts", ", ab, c,d"),
        (28, [vec![0x20, 1], vec![0; 13], vec![5]].concat(), "AAAA", "ip", "2001::5"),
        (33, with(&[0, 1, 0, 2, 0, 80]), "SRV", "srv", "m.h.x"),
        (65, vec![1, 2, 3], "HTTPS", "ip", "<nil>"),
        (256, b"\x00\x01\x00\x02http://h".to_vec(), "URI", "uri", "1 2 http://h"),
        (1234, vec![1], "TYPE1234", "ip", "<nil>"),
    ] {
        let entries = run(
            UDP,
            &[asks(query(1, "h.x", kind)), answers(response(1, "h.x", kind, 0, &[record(kind, &data)]))],
        )
        .entries;
        let answer = &entries[0]["response"]["answers"][0];
        assert_eq!((&answer["type"], &answer[field]), (&json!(word), &json!(wanted)), "{entries:?}");
        assert_eq!(entries[0]["request"]["questions"][0]["type"], json!(word));
    }
}

#[test]
fn pairs_by_id_and_question() {
    let q = |id, host| asks(query(id, host, A));
    let r = |id, host, code| answers(response(id, host, A, code, &[]));
    for (events, wanted) in [
        (
            vec![q(1, "a.x"), q(2, "b.x"), r(2, "b.x", 3), r(1, "a.x", 0)],
            vec!["b.x Non-Existent Domain", "a.x No Error"],
        ),
        // The question counts, not its case.
        (vec![q(1, "a.x"), r(1, "b.x", 0), r(1, "A.X", 5)], vec!["a.x Query Refused", "- No Error"]),
        // A response captured before its query; one without; one twice.
        (vec![r(1, "a.x", 2), q(1, "a.x")], vec!["a.x Server Failure "]),
        (vec![r(1, "a.x", 0), Pause(6), q(2, "a.x")], vec!["- No Error", "a.x -"]),
        (vec![q(1, "a.x"), r(1, "a.x", 0), r(1, "a.x", 0)], vec!["a.x No Error", "- No Error"]),
        // Asked again: the answer is that of the first.
        (vec![q(1, "a.x"), q(1, "a.x"), r(1, "a.x", 0)], vec!["a.x No Error", "a.x -"]),
        (vec![q(1, "a.x"), Pause(11), r(1, "a.x", 0)], vec!["a.x -", "- No Error"]),
    ] {
        assert_eq!(lines(&run(UDP, &events).entries), wanted, "{events:?}");
    }
    let alone = &run(UDP, &[answers(response(1, "a.x", A, 0, &[]))]).entries[0];
    assert_eq!(alone["response"]["questions"][0]["name"], json!("a.x"));
    assert_eq!((&alone["swapped"], &alone["flags"]["requestMissing"]), (&json!(false), &json!(true)));
    let unanswered = run(UDP, &[q(1, "a.x"), Pause(11), Ends(Close::Idle)]);
    assert_eq!(
        (&unanswered.entries[0]["error"]["type"], unanswered.counters.unanswered_timeout),
        (&json!(2), 1)
    );
    // Who is called the server asks.
    let swapped = &run(UDP, &[answers(query(1, "a.x", A)), asks(response(1, "a.x", A, 0, &[]))]).entries[0];
    assert_eq!((&swapped["swapped"], &swapped["response"]["code"]), (&json!(true), &json!("No Error")));
}

#[test]
fn over_tcp_with_several_messages_in_a_segment() {
    let queries = [framed(&query(1, "a.x", A)), framed(&query(2, "b.x", A))].concat();
    let replies =
        [framed(&response(2, "b.x", A, 0, &[ip(2)])), framed(&response(1, "a.x", A, 3, &[]))].concat();
    let outcome = run(TCP, &[asks(&queries), answers(&replies)]);
    assert_eq!(lines(&outcome.entries), ["b.x No Error", "a.x Non-Existent Domain"]);
    assert_eq!(outcome.entries[0]["requestSize"], json!(framed(&query(2, "b.x", A)).len()));
    // After a gap, from the next message that begins a segment.
    let rest = framed(&response(2, "b.x", A, 0, &[]));
    let events = [
        asks(&queries),
        answers(&replies[..30]),
        Lost(ToClient, 40),
        answers(b"\x01\x02 tail"),
        answers(rest),
    ];
    assert_eq!(lines(&run(TCP, &events).entries), ["b.x No Error", "a.x -"]);
    let midstream = [
        answers(b"\xc0\x0c\x00\x01\x00\x01 tail"),
        asks(framed(&query(9, "c.x", A))),
        answers(framed(&response(9, "c.x", A, 0, &[]))),
    ];
    assert_eq!(lines(&run(MIDSTREAM, &midstream).entries), ["c.x No Error"]);
}

#[test]
fn what_is_broken_is_shown_as_far_as_it_goes() {
    let whole = response(1, "a.x", A, 0, &[ip(1), ip(2)]);
    let cut = &run(UDP, &[asks(query(1, "a.x", A)), answers(&whole[..whole.len() - 3])]).entries[0];
    assert_eq!(
        (cut["response"]["answers"].as_array().unwrap().len(), &cut["flags"]["truncated"]),
        (1, &json!(true))
    );
    assert_eq!(cut["error"]["type"], json!(0));
    // Pointers to themselves, forward, and to each other.
    for data in [&[0xc0u8, 33][..], &[0xc0, 60], &[1, b'a', 0xc0, 33]] {
        let looped = response(1, "a.x", 5, 0, &[record(5, data)]);
        assert_eq!(looped[33], data[0]);
        let entry = &run(UDP, &[asks(query(1, "a.x", 5)), answers(looped)]).entries[0];
        assert_eq!(
            (&entry["response"]["answers"][0]["cname"], &entry["error"]["type"]),
            (&json!(""), &json!(0)),
            "{data:?}"
        );
    }
    // A name that grows beyond 255 bytes by pointing at itself piece by piece.
    let long = vec![vec![63; 64]; 5].concat();
    let outcome =
        run(UDP, &[asks(query(1, "a.x", 5)), answers(response(1, "a.x", 5, 0, &[record(5, &long)]))]);
    assert_eq!(outcome.entries[0]["error"]["type"], json!(0));
}

#[test]
fn what_follows_a_name_that_is_too_long() {
    let long = [[vec![63], vec![b'?'; 63]].concat().repeat(5), vec![0]].concat();
    let question = |name: &[u8]| [name, &[0, 1, 0, 1]].concat();
    let mut answer =
        [header(1, 0x8180, [2, 1, 0, 0]), question(&name("a.x")), question(&long), ip(1)].concat();
    let entry = &run(UDP, &[asks(query(1, "a.x", A)), answers(&answer)]).entries[0];
    assert_eq!(entry["response"]["answers"][0]["ip"], json!("10.0.0.1"));
    assert_eq!((&entry["flags"]["truncated"], &entry["error"]["type"]), (&json!(true), &json!(0)));
    // The same of a record: it is left out, and what follows is not.
    let bad = [&long[..], &ip(9)[2..]].concat();
    let pointing = [&[1, b'a', 0xc0, 0xff], &ip(9)[2..]].concat();
    for bad in [bad, pointing] {
        answer = response(1, "a.x", A, 0, &[ip(1), bad, ip(2)]);
        let entry = &run(UDP, &[asks(query(1, "a.x", A)), answers(&answer)]).entries[0];
        let ips: Vec<_> =
            entry["response"]["answers"].as_array().unwrap().iter().map(|it| &it["ip"]).collect();
        assert_eq!(
            (ips, &entry["flags"]["truncated"]),
            (vec![&json!("10.0.0.1"), &json!("10.0.0.2")], &json!(true))
        );
    }
}

#[test]
fn what_the_capture_cut_is_shown_and_flagged() {
    let asked = query(1, "host.example.org", A);
    let answer = response(1, "host.example.org", A, 3, &[ip(1), ip(2)]);
    // How much of the answer was kept, and how many of its records and questions that is. The second one is of a flow
    // that is known already, so that nothing need be guessed.
    for (kept, n_answers) in
        [(answer.len(), 2), (answer.len() - 1, 1), (answer.len() - 17, 0), (20, 0), (12, 0)]
    {
        let cut = 40 + (answer.len() - kept) as u32;
        let events = [asks(&asked), Cut(ToClient, answer[..kept].to_vec(), cut)];
        let outcome = run(UDP, &events);
        let entry = &outcome.entries[0];
        let records = entry["response"]["answers"].as_array().map_or(0, Vec::len);
        assert_eq!(
            (records, &entry["response"]["code"]),
            (n_answers, &json!("Non-Existent Domain")),
            "{kept}"
        );
        assert_eq!((&entry["flags"]["truncated"], &entry["flags"]["gap"]), (&json!(true), &json!(cut)));
        assert_eq!(entry["responseSize"], json!(answer.len() + 40), "as it was sent");
        assert_eq!((outcome.counters.malformed, outcome.counters.truncated), (0, 1));
    }
    // Less than a header: nothing can be shown, and that is told.
    let outcome = run(UDP, &[asks(&asked), Cut(ToClient, answer[..11].to_vec(), 50)]);
    assert_eq!((&outcome.entries[0]["response"], outcome.counters.malformed), (&Value::Null, 0));
    assert_eq!((outcome.counters.heads_unfinished, outcome.counters.bytes_unfinished), (1, 11));
    // The question was cut too; and the first datagram of a flow.
    let outcome = run(UDP, &[Cut(ToServer, asked[..asked.len() - 2].to_vec(), 2), answers(&answer)]);
    assert_eq!(lines(&outcome.entries), ["- Non-Existent Domain"], "a cut question may be anything");
    let outcome = run(UDP, &[Cut(ToServer, asked.clone(), 11), answers(&answer)]);
    assert_eq!(lines(&outcome.entries), ["host.example.org Non-Existent Domain"]);
    assert_eq!(outcome.entries[0]["flags"]["truncated"], json!(true));
}

#[test]
fn names_are_text() {
    let labels = b"\x03a.b\x02\\c\x02\x00 \x02\xc3\xa9\x01x\x00";
    let asked = [header(1, 0x0100, [1, 0, 0, 0]), labels.to_vec(), vec![0, 1, 0, 1]].concat();
    let outcome = run(UDP, &[asks(query(9, "a.x", A)), asks(asked)]);
    assert_eq!(outcome.entries[1]["request"]["questions"][0]["name"], json!("a\\.b.\\\\c.\\000\\032.é.x"));
    let root = run(UDP, &[asks(query(9, "", 2))]);
    assert_eq!(root.entries[0]["request"]["questions"][0]["name"], json!(""));
}

#[test]
fn what_is_not_dns() {
    let multicast_query = [header(0, 0, [1, 0, 0, 0]), name("_http._tcp.local"), vec![0, 12, 0, 1]].concat();
    let multicast_response = [
        header(0, 0x8400, [0, 1, 0, 0]),
        name("h.local"),
        vec![0, 1, 0x80, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4],
    ]
    .concat();
    let netbios =
        [header(5, 0x0110, [1, 0, 0, 0]), name("FHEPFCELEHFCEPFFFACACACACACACABL"), vec![0, 32, 0, 1]]
            .concat();
    let someip = b"\xff\xff\x81\x00\x00\x00\x00\x30\x00\x00\x00\x01\x01\x01\x02\x00\xc0\x00\x00\x00\x00\x00\x00\x10\x06\x00\x00\x10";
    let odd_class = [header(5, 0x0100, [1, 0, 0, 0]), name("a.x"), vec![0, 1, 9, 9]].concat();
    for bytes in
        [&multicast_query[..], &multicast_response, &netbios, someip, &odd_class, b"", &[0; 64], &[0xff; 64]]
    {
        let outcome = run(UDP, &[asks(bytes), answers(bytes)]);
        assert_eq!((outcome.entries.len(), outcome.counters.flows_unknown), (0, 1), "{bytes:?}");
    }
}

fn exchange() -> Vec<Event> {
    let message = |bytes: Vec<u8>| framed(&bytes);
    vec![
        asks([message(query(1, "a.x", A)), message(query(2, "b.example.org", 16))].concat()),
        answers(
            [
                message(response(2, "b.example.org", 16, 0, &[record(16, b"\x02ab")])),
                message(response(1, "a.x", A, 0, &[ip(1), ip(2)])),
            ]
            .concat(),
        ),
        asks(message(query(3, "c.x", A))),
        answers(message(response(3, "c.x", A, 3, &[]))),
    ]
}

static SEEDS: &[&[u8]] = &[
    b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x01x\x00\x00\x01\x00\x01",
    b"\x00\x01\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x01a\x01x\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c",
    b"\x00\x15\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x01x\x00\x00\x01\x00\x01",
];

proptest! {
    #[test]
    fn any_cut(events in cut(exchange())) {
        let whole = run(TCP, &exchange());
        prop_assert_eq!(lines(&whole.entries), ["b.example.org No Error", "a.x No Error", "c.x Non-Existent Domain"]);
        let pieces = run(TCP, &events);
        prop_assert_eq!(timeless(&pieces), timeless(&whole));
        prop_assert_eq!(pieces.counters, whole.counters);
    }

    #[test]
    fn no_panic_and_every_byte_is_counted(events in damaged(SEEDS), tcp: bool, midstream: bool) {
        run(if !tcp { UDP } else if midstream { MIDSTREAM } else { TCP }, &events);
    }
}
