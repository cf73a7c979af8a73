//! Which response is shown with which request.

use super::*;

#[test]
fn pairs_by_order() {
    for (events, wanted) in [
        (vec![asks(GET), answers(OK), asks(GET_B), answers(CREATED)], vec!["GET /a?x=1 200", "GET /b 201"]),
        (
            vec![asks([GET, GET_B, GET].concat()), answers([OK, CREATED].concat()), answers(OK)],
            vec!["GET /a?x=1 200", "GET /b 201", "GET /a?x=1 200"],
        ),
        // 100 Continue is counted, not shown.
        (vec![asks(GET), answers(CONTINUE), answers(CREATED)], vec!["GET /a?x=1 201"]),
        // A response captured before its request.
        (vec![answers(OK), asks(GET)], vec!["GET /a?x=1 200"]),
        (vec![answers(OK), Pause(6)], vec!["- - 200"]),
        (vec![asks(GET), Pause(59), answers(OK)], vec!["GET /a?x=1 200"]),
        (
            vec![asks(GET), Pause(61), answers(OK), asks(GET_B), answers(CREATED)],
            vec!["GET /a?x=1 -", "- - 200", "GET /b 201"],
        ),
        (vec![asks(GET)], vec!["GET /a?x=1 -"]),
    ] {
        assert_eq!(run(TCP, &events).lines(), wanted, "{events:?}");
    }
    let interim = run(TCP, &[asks(GET), answers(CONTINUE), answers(CREATED)]);
    assert_eq!((interim.counters.interim, interim.counters.paired), (1, 1));
    assert_eq!(interim.entries[0]["response"]["interim"], serde_json::json!([100]));
    let next = run(TCP, &[asks(GET), answers(CONTINUE), answers(CREATED), asks(GET_B), answers(CREATED)]);
    assert!(next.entries[1]["response"].get("interim").is_none(), "{:?}", next.entries[1]);
}

#[test]
fn an_unanswered_request_says_why() {
    for (events, kind, word) in [
        (vec![asks(GET)], 1, "closed"),
        (vec![asks(GET), Ends(Close::Reset)], 1, "reset"),
        (vec![asks(GET), Ends(Close::EndOfCapture)], 2, "capture"),
        (vec![asks(GET), Ends(Close::Idle)], 2, "followed"),
        (vec![asks(GET), Pause(61)], 2, "in time"),
        (vec![asks(GET), Lost(ToClient, 5)], 1, "gap"),
        (vec![asks(GET), answers("HTTP/1.1 nonsense\r\n\r\n")], 0, "understood"),
    ] {
        let entry = &run(TCP, &events).entries[0];
        assert_eq!(entry["error"]["type"], json!(kind), "{events:?}");
        assert!(entry["error"]["msg"].as_str().unwrap().contains(word), "{entry}");
        assert!(flags(entry).contains(&"responseMissing".to_owned()));
        assert_eq!(entry["response"], Value::Null);
    }
    // A response that has begun is no unanswered request, however long it takes.
    let slow = run(
        TCP,
        &[asks(GET), answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh"), Pause(99), answers("i")],
    );
    assert_eq!((slow.lines(), body(&slow.entries[0])), (vec!["GET /a?x=1 200".to_owned()], "hi".to_owned()));
}

#[test]
fn after_a_gap_the_next_exchange_is_whole() {
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    // Inside a body of known length the framing goes on.
    let outcome =
        run(TCP, &[asks(GET), answers(format!("{long}01")), Lost(ToClient, 5), answers(format!("789{OK}"))]);
    assert_eq!(outcome.lines()[0], "GET /a?x=1 200");
    assert_eq!(
        (body(&outcome.entries[0]).as_str(), flags(&outcome.entries[0]).join(" ").as_str()),
        ("01789", "gap=5 truncated")
    );
    assert_eq!(outcome.entries[0]["responseSize"], json!(long.len() + 10));
    // Inside a chunk too.
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n01";
    let outcome = run(
        TCP,
        &[asks(GET), answers(chunk), Lost(ToClient, 8), answers("\r\n0\r\n\r\n"), asks(GET_B), answers(OK)],
    );
    assert_eq!(
        (outcome.lines(), body(&outcome.entries[0])),
        (vec!["GET /a?x=1 200".to_owned(), "GET /b 200".to_owned()], "01".to_owned())
    );
    // Lost with its head: the first is said to be lost, the second is whole. So whenever the gap is known.
    for events in [
        vec![asks(GET), Lost(ToClient, 40), asks(GET_B), answers(CREATED)],
        vec![asks(GET), asks(GET_B), Lost(ToClient, 40), answers(CREATED)],
        vec![
            asks(GET),
            answers("HTTP/1."),
            Lost(ToClient, 40),
            answers("tail of a body"),
            asks(GET_B),
            answers(CREATED),
        ],
    ] {
        let outcome = run(TCP, &events);
        assert_eq!(outcome.lines(), ["GET /a?x=1 -", "GET /b 201"], "{events:?}");
        assert_eq!(flags(&outcome.entries[0]), ["gap=40", "responseMissing"]);
        assert_eq!(flags(&outcome.entries[1]), [""; 0]);
    }
    // A lost request leaves a response of its own, and does not shift the others.
    let outcome =
        run(TCP, &[asks(GET), answers(OK), Lost(ToServer, 30), answers(CREATED), asks(GET_B), answers(OK)]);
    assert_eq!(outcome.lines(), ["GET /a?x=1 200", "- - 201", "GET /b 200"]);
}

/// `GET` lost its response and the response its request, `GET_B`: together they look like an exchange.
#[test]
fn a_pair_across_two_losses_is_flagged() {
    let (no_response, no_request) = (Lost(ToClient, 40), Lost(ToServer, 30));
    for losses in [
        vec![no_response.clone(), answers(CREATED), no_request.clone()],
        vec![no_response.clone(), no_request.clone(), answers(CREATED)],
        vec![no_request, no_response, answers(CREATED)],
    ] {
        let before = vec![asks(GET), answers(OK), asks(GET)];
        let events = [before, losses, vec![asks(GET_B), answers(OK), asks(GET_B), answers(OK)]].concat();
        let outcome = run(TCP, &events);
        assert_eq!(
            outcome.lines(),
            ["GET /a?x=1 200", "GET /a?x=1 201", "GET /b 200", "GET /b 200"],
            "{events:?}"
        );
        assert_eq!(flags(&outcome.entries[0]), [""; 0], "{events:?}");
        assert_eq!(flags(&outcome.entries[1]), ["ambiguous"], "{events:?}");
        assert_eq!(flags(&outcome.entries[3]), [""; 0], "{events:?}");
    }
}

/// Requests that stood behind a hole come in one go, and their responses came before.
#[test]
fn late_requests_meet_their_responses() {
    let get = |path: u32| format!("GET /{path} HTTP/1.1\r\n\r\n").into_bytes();
    let ok = |code: u32| answers(format!("HTTP/1.1 {code} x\r\nContent-Length: 0\r\n\r\n"));
    let lost = || Lost(ToClient, 40);
    let hole = || Lost(ToServer, 30);
    // The event at index n happens in millisecond n + 1; a request is sent half a millisecond before.
    let late = |times: &[(i64, u32)]| {
        times.iter().map(|(at, path)| AskedAt(at * 1000 + 500, get(*path))).collect::<Vec<_>>()
    };
    for (before, times, after, wanted) in [
        // The first request is lost: its response stands alone, whenever the hole is given up.
        (vec![ok(201), hole()], vec![], vec![asks(get(2)), ok(202)], vec!["- - 201", "GET /2 202"]),
        (vec![ok(201), ok(202), hole()], vec![(1, 2)], vec![], vec!["- - 201", "GET /2 202"]),
        // The response of the second is lost too; the third has its own.
        (
            vec![ok(201), lost(), ok(203), ok(204), hole()],
            vec![(1, 2), (2, 3), (3, 4)],
            vec![asks(get(5)), ok(205)],
            vec!["- - 201", "GET /2 -", "GET /3 203", "GET /4 204", "GET /5 205"],
        ),
        // Lost before anything is held, and behind all that is.
        (vec![lost(), ok(203), hole()], vec![(0, 2), (1, 3)], vec![], vec!["GET /2 -", "GET /3 203"]),
        (
            vec![ok(201), ok(202), lost(), hole()],
            vec![(1, 2), (2, 3)],
            vec![asks(get(4)), ok(204)],
            vec!["- - 201", "GET /2 202", "GET /3 -", "GET /4 204"],
        ),
        // Nothing is held when requests come that the lost bytes may have answered.
        (vec![lost(), hole()], vec![(0, 2)], vec![asks(get(3)), ok(203)], vec!["GET /2 -", "GET /3 203"]),
        (vec![lost(), hole()], vec![(3, 2)], vec![ok(202)], vec!["GET /2 202"]),
        // Two losses.
        (
            vec![lost(), ok(202), lost(), ok(204), hole()],
            vec![(0, 1), (1, 2), (2, 3), (3, 4)],
            vec![],
            vec!["GET /1 -", "GET /2 202", "GET /3 -", "GET /4 204"],
        ),
    ] {
        let events = [before, late(&times), after].concat();
        assert_eq!(run(TCP, &events).lines(), wanted, "{events:?}");
    }
}

#[test]
fn contradicted_bytes_are_flagged_where_they_may_be() {
    let (overlap, none) = (vec!["ambiguous".to_owned(), "overlap".to_owned()], Vec::new());
    for (events, wanted) in [
        (vec![asks(GET), Contradicted(ToServer), answers(OK), asks(GET_B), answers(OK)], [&overlap, &none]),
        (
            vec![
                asks(GET),
                answers(OK),
                asks(&GET_B[..9]),
                Contradicted(ToServer),
                asks(&GET_B[9..]),
                answers(OK),
            ],
            [&none, &overlap],
        ),
        (
            vec![
                asks(GET),
                answers(&OK[..OK.len() - 1]),
                Contradicted(ToClient),
                answers(&OK[OK.len() - 1..]),
                asks(GET_B),
                answers(OK),
            ],
            [&overlap, &none],
        ),
        (
            vec![
                asks([GET, GET_B].concat()),
                Contradicted(ToServer),
                Contradicted(ToServer),
                answers(OK),
                answers(OK),
            ],
            [&overlap, &overlap],
        ),
        (
            vec![
                asks(GET),
                Contradicted(ToServer),
                answers(OK),
                asks(GET_B),
                Contradicted(ToServer),
                answers(OK),
            ],
            [&overlap, &overlap],
        ),
        (vec![asks(GET), Contradicted(ToClient), answers(OK), asks(GET_B), answers(OK)], [&none, &none]),
        (vec![answers(OK), Contradicted(ToClient), asks(GET), asks(GET_B), answers(OK)], [&overlap, &none]),
    ] {
        let outcome = run(TCP, &events);
        assert_eq!(
            outcome.entries.iter().map(flags).collect::<Vec<_>>(),
            wanted.map(Clone::clone),
            "{events:?}"
        );
    }
}

#[test]
fn contradictions_that_come_too_late_are_counted() {
    for (events, late) in [
        (vec![asks(GET), Contradicted(ToServer), answers(OK)], 0),
        (vec![asks(GET), Contradicted(ToServer), Contradicted(ToServer), answers(OK)], 0),
        (vec![asks(GET), answers(&OK[..20]), Contradicted(ToClient), answers(&OK[20..])], 0),
        (vec![asks(GET), answers(OK), Contradicted(ToClient), Contradicted(ToServer)], 2),
        (vec![asks(GET), answers(OK), asks(GET_B), Contradicted(ToClient), answers(OK)], 1),
        // Nothing was shown of it.
        (vec![asks("\x01\x02"), Contradicted(ToServer)], 0),
    ] {
        let counters = run(TCP, &events).counters;
        assert_eq!(counters.contradicted_late, late, "{events:?}");
    }
}

#[test]
fn a_capture_that_begins_in_the_middle() {
    let tail = "of a body, HTTP/1.1 200 OK\r\n\r\n and more";
    let next = [asks(GET), answers(OK)];
    for (before, wanted) in [
        (vec![], vec!["GET /a?x=1 200"]),
        (vec![answers(tail)], vec!["GET /a?x=1 200"]),
        (vec![asks("rest of a posted body"), answers(tail)], vec!["GET /a?x=1 200"]),
        (vec![answers(CREATED)], vec!["- - 201", "GET /a?x=1 200"]),
    ] {
        let outcome = run(MIDSTREAM, &[before, next.to_vec()].concat());
        assert_eq!(outcome.lines(), wanted);
        assert!(outcome.entries.iter().all(|entry| entry["flags"]["midstream"] == json!(true)));
    }
    // What is called the client answers: it is the server.
    let outcome = run(MIDSTREAM, &[asks(OK), answers(GET), asks(CREATED)]);
    assert_eq!(outcome.lines(), ["- - 200", "GET /a?x=1 201"]);
    assert!(outcome.entries.iter().all(|entry| entry["swapped"] == json!(true)));
}
