//! What the hub answers to plain requests.

use api::messages::FromWorker;
use serde_json::json;

use crate::{
    client::{Client, connected, get, hub_of, json, quick, status_when},
    fake::Fake,
};

#[tokio::test]
async fn every_route_has_both_addresses() {
    let hub = hub_of(&[], quick()).await;
    for prefix in ["", "/api"] {
        let route = |path: &str| format!("{prefix}{path}");
        assert_eq!(get(hub.address, &route("/echo")).await, (200, "It's running.".into()));
        assert_eq!(
            json(hub.address, &route("/metadata/version")).await,
            json!({ "ver": env!("CARGO_PKG_VERSION") })
        );
        assert_eq!(get(hub.address, &route("/healthz")).await, (200, "ok\n".into()));
        assert_eq!(get(hub.address, &route("/readyz")).await.0, 200);
        assert!(get(hub.address, &route("/metrics")).await.1.contains("kubeshark_hub_watchers 0\n"));
        assert!(json(hub.address, &route("/status")).await["hub"]["address"].is_string());
    }
    assert!(get(hub.address, "/").await.1.contains(&format!("ws://{}/api/wsFull", hub.address)));
    for path in ["/nowhere", "/api/nowhere", "/api"] {
        assert_eq!(get(hub.address, path).await, (404, format!(r#"{{"msg":"There is no {path} here."}}"#)));
    }
}

#[tokio::test]
async fn a_filter_is_validated_with_200_whatever_it_is() {
    let hub = hub_of(&[], quick()).await;
    for good in
        ["", "q=", "q=http%20and%20response.status%20==%20500", "q=request.headers[%22x%22]%20==%20%22y%22"]
    {
        let answer = json(hub.address, &format!("/query/validate?{good}")).await;
        // Editors are told more, which does not change these.
        assert_eq!((&answer["message"], &answer["valid"]), (&json!(""), &json!(true)), "{good}");
    }
    let answer = json(hub.address, "/api/query/validate?q=http%20and").await;
    assert_eq!(answer["valid"], false);
    assert!(answer["message"].as_str().unwrap().starts_with("1:"), "{answer}");
}

#[tokio::test]
async fn an_item_comes_from_its_worker_whole_or_in_part() {
    let worker = Fake::start([]).await;
    let hub = hub_of(&[&worker], quick()).await;
    connected(hub.address, 0, true).await;
    let (id, whole) =
        ("000000000001.pcap-0", r#"{"base":{"id":"000000000001.pcap-0"},"data":1,"protocol":"q=a%20b","#);
    // By its address as it is dialled, and as its entries have it.
    for name in [worker.address.to_string(), "10.9.8.7:30001".into()] {
        let (status, body) = get(hub.address, &format!("/api/item/{name}/{id}?x=1&q=a%20b")).await;
        assert!(status == 200 && body.starts_with(whole), "{status} {body}");
    }
    let item = format!("/item/{}/{id}", worker.address);
    for (field, value) in
        [("base", r#"{"id":"000000000001.pcap-0"}"#), ("data", "1"), ("representation", r#""{}""#)]
    {
        assert_eq!(get(hub.address, &format!("{item}?field={field}")).await, (200, value.into()));
    }
    for (path, code, named) in [
        (format!("{item}?field=nose"), 400, "nose"),
        ("/item/10.1.1.1:80/1.pcap-0".into(), 404, "10.1.1.1:80"),
        (format!("/item/{}/a%2Fb", worker.address), 400, "a/b"),
        (format!("/item/{}/a%0D%0Ab", worker.address), 400, "a"),
    ] {
        let (status, body) = get(hub.address, &path).await;
        assert!(
            status == code && body.starts_with(r#"{"msg":"#) && body.contains(named),
            "{path}: {status} {body}"
        );
    }
    worker.stop();
    connected(hub.address, 0, false).await;
    let (status, body) = get(hub.address, &item).await;
    assert!(status == 502 && body.contains(&worker.address.to_string()), "{status} {body}");
}

#[tokio::test]
async fn numbers_add_up_over_watchers_that_are_gone() {
    let worker = Fake::start((0..10).map(|n| (n, n.to_string()))).await;
    let hub = hub_of(&[&worker], quick()).await;
    for _ in 0..3 {
        Client::connect(hub.address, "/wsFull?q=limit(10)").await.texts(10).await;
    }
    // They leave when their sockets are closed, and are counted all the time.
    let metrics = get(hub.address, "/metrics").await.1;
    assert!(metrics.contains("kubeshark_hub_delivered_total 30\n"), "{metrics}");
    assert!(
        metrics.contains(&format!("kubeshark_hub_worker_connected{{worker=\"{}\"}} 1\n", worker.address))
    );
}

#[tokio::test]
async fn a_hub_that_cannot_start_says_why() {
    let first = hub_of(&[], quick()).await;
    let config = hub::Config { listen: first.address, ..hub::Config::default() };
    let error = hub::start(config).await.unwrap_err().to_string();
    assert!(error.contains(&first.address.to_string()) && error.contains("in use"), "{error}");

    let config = hub::Config { workers: vec!["reef".into()], ..hub::Config::default() };
    let error = hub::start(config).await.unwrap_err().to_string();
    assert!(error.contains("\"reef\"") && error.contains("host:port"), "{error}");

    let address = first.address;
    first.shutdown().await;
    hub::start(hub::Config { listen: address, ..hub::Config::default() }).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_worker_that_accepts_and_does_not_answer_is_named() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let worker = listener.local_addr().unwrap().to_string();
    let answer_timeout = hub::Limits::default().answer_timeout;
    assert!(answer_timeout <= std::time::Duration::from_secs(5), "{answer_timeout:?}");
    let config = hub::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        workers: vec![worker.clone()],
        limits: hub::Limits { answer_timeout: std::time::Duration::from_millis(200), ..quick() },
        ..hub::Config::default()
    };
    let hub = hub::start(config).await.unwrap();
    let (status, body) = get(hub.address, &format!("/item/{worker}/000000000001.pcap-0")).await;
    assert_eq!(status, 504, "{body}");
    assert!(body.contains(&worker) && body.contains("no answer within 200ms"), "{body}");
}

#[tokio::test]
async fn the_ledgers_of_all_workers_and_their_sum() {
    let (first, second) = (Fake::start([]).await, Fake::start([]).await);
    let hub = hub_of(&[&first, &second], quick()).await;
    let silent = json(hub.address, "/api/ledger").await;
    assert_eq!((&silent["sum"], &silent["workers"][0]["ledger"]), (&json!({}), &json!(null)), "{silent}");
    for (worker, packets) in [(&first, 3), (&second, 4)] {
        let status = json!({ "ledger": { "capture": { "packets": packets }, "flow": { "open": 1 } } });
        worker.say(&FromWorker::Status { status });
    }
    status_when(hub.address, |status| (0..2).all(|n| status["workers"][n]["status"].is_object())).await;
    first.stop();
    connected(hub.address, 0, false).await;
    // The last word of a worker that is away still counts.
    for path in ["/ledger", "/api/ledger"] {
        let ledger = json(hub.address, path).await;
        assert_eq!(ledger["sum"], json!({ "capture": { "packets": 7 }, "flow": { "open": 2 } }));
        let workers = ledger["workers"].as_array().unwrap();
        for (worker, fake) in workers.iter().zip([&first, &second]) {
            assert_eq!(
                (&worker["node"], &worker["address"]),
                (&json!("reef"), &json!(fake.address.to_string()))
            );
            assert!(worker["ageSeconds"].as_f64().is_some_and(|age| age >= 0.0), "{worker}");
        }
        assert_eq!([&workers[0]["connected"], &workers[1]["connected"]], [&json!(false), &json!(true)]);
        assert_eq!(workers[1]["ledger"]["capture"]["packets"], 4);
    }
}
