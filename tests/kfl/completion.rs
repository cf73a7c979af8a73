//! What an editor is told, over HTTP: faults and warnings with their places, and what may be typed next.

use std::time::Duration;

use serde_json::{Value, json};
use support::{captures::Case, program::get};
use worker::{Input, SourceConfig};

fn encoded(text: &str) -> String {
    text.bytes().flat_map(|byte| format!("%{byte:02X}").into_bytes()).map(char::from).collect()
}

async fn ask(address: std::net::SocketAddr, path: String) -> Value {
    let (status, body) =
        tokio::task::spawn_blocking(move || get(&address.to_string(), &path, &[])).await.unwrap();
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_editor_is_helped() {
    let input = Input::File(Case::named("demo").input().unwrap());
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let config = worker::Config { listen: loopback, ..worker::Config::new(vec![SourceConfig::new(input)]) };
    let worker = worker::start(config).await.unwrap();
    let workers = vec![worker.address.to_string()];
    let hub = hub::start(hub::Config { listen: loopback, workers, ..hub::Config::default() }).await.unwrap();

    let validate =
        async |query: &str| ask(hub.address, format!("/api/query/validate?q={}", encoded(query))).await;
    let bad = validate("true and\nrequest.path.startswith(\"/\")").await;
    assert_eq!(bad["valid"], false);
    assert_eq!(bad["message"], "2:14: unknown helper startswith()");
    assert_eq!(
        bad["errors"],
        json!([{ "line": 2, "column": 14, "start": 22, "end": 32, "message": "unknown helper startswith()",
                 "suggestion": "did you mean `startsWith`?" }])
    );
    let odd = validate("response.staus == 500").await;
    assert_eq!((&odd["valid"], &odd["message"], &odd["language"]), (&true.into(), &"".into(), &"v1".into()));
    assert_eq!(odd["warnings"][0]["suggestion"], "did you mean `response.status`?");
    assert_eq!((&odd["warnings"][0]["start"], &odd["warnings"][0]["end"]), (&0.into(), &14.into()));
    assert_eq!(validate("status_code == 500 && http").await["language"], "v2");
    let fixed = ask(hub.address, "/api/query/validate?lang=v2&q=status_code%20%3D%3D%20500".into()).await;
    assert_eq!((&fixed["language"], &fixed["warnings"]), (&"v2".into(), &json!([])));

    let complete = async |query: &str, cursor: &str| {
        ask(hub.address, format!("/api/query/complete?q={}{cursor}", encoded(query))).await
    };
    let texts = |answer: &Value| -> Vec<String> {
        let suggestions = answer["suggestions"].as_array().unwrap();
        suggestions.iter().map(|suggestion| suggestion["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        texts(&complete("response.st and true", "&cursor=11").await),
        ["status", "statusText", "startsWith("]
    );
    assert!(texts(&complete("h", "").await).contains(&"http".to_owned()));
    assert_eq!(texts(&complete("http && status", "&lang=v2").await), ["status_code"]);

    // Live values, of the workers' newest entries; the capture may still be read.
    let mut hosts = Vec::new();
    for _ in 0..100 {
        hosts = texts(&complete("request.method == \"", "").await);
        if !hosts.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(hosts.contains(&"GET".to_owned()), "{hosts:?}");
    let answer = complete("request.method == \"g", "").await;
    assert_eq!(
        (&answer["valuesOf"], &answer["start"], &answer["end"]),
        (&"request.method".into(), &19.into(), &20.into())
    );
    assert_eq!(texts(&answer), ["GET"]);

    // An item through a query is redacted in all its parts.
    let id = super::entries("demo")[0].local_id();
    let path = format!("/api/item/{}/{id}?q={}", worker.address, encoded("redact(\"request\")"));
    let item = ask(hub.address, path).await;
    assert_eq!(item["data"]["request"], "[REDACTED]");
    let path = format!("/api/item/{}/{id}?lang=v2&q={}", worker.address, encoded("redact(\"request\")"));
    let (status, body) = {
        let address = hub.address.to_string();
        tokio::task::spawn_blocking(move || get(&address, &path, &[])).await.unwrap()
    };
    assert_eq!(status, 400, "KFL2 has no redact: {body}");
    hub.shutdown().await;
    worker.shutdown().await;
}
