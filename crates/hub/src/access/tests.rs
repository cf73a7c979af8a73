use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

/// Questions that came, of either kind.
#[derive(Default)]
struct Asked {
    tokens: AtomicUsize,
    rights: AtomicUsize,
}

async fn whose(State(asked): State<Arc<Asked>>, Json(question): Json<Value>) -> (StatusCode, Json<Value>) {
    asked.tokens.fetch_add(1, Relaxed);
    let user = match question["spec"]["token"].as_str().unwrap() {
        "broken" => return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"message": "no"}))),
        "alice" => json!({"username": "alice", "uid": "1", "groups": ["sea"], "extra": {"reef": ["4"]}}),
        "bob" => json!({"username": "bob"}),
        _ => return (StatusCode::CREATED, Json(json!({"spec": {}, "status": {"authenticated": false}}))),
    };
    (StatusCode::CREATED, Json(json!({"spec": {}, "status": {"authenticated": true, "user": user}})))
}

async fn may(State(asked): State<Arc<Asked>>, Json(question): Json<Value>) -> (StatusCode, Json<Value>) {
    asked.rights.fetch_add(1, Relaxed);
    let alice = json!({
        "user": "alice", "uid": "1", "groups": ["sea"], "extra": {"reef": ["4"]},
        "resourceAttributes": {
            "namespace": "watch", "verb": "get", "version": "v1", "resource": "services", "subresource": "proxy",
            "name": "kubeshark-hub",
        },
    });
    let allowed = question["spec"] == alice;
    (StatusCode::CREATED, Json(json!({"spec": {}, "status": {"allowed": allowed, "reason": "it is so"}})))
}

async fn api_server() -> (Reviews, Arc<Asked>) {
    let asked = Arc::new(Asked::default());
    let router = Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(whose))
        .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(may))
        .with_state(Arc::clone(&asked));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (reviews(&url), asked)
}

fn reviews(url: &str) -> Reviews {
    let client = Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    Reviews::new(client, "watch", "kubeshark-hub")
}

#[tokio::test]
async fn a_token_is_judged_once_for_a_while() {
    let (reviews, asked) = api_server().await;
    for _ in 0..3 {
        assert_eq!(reviews.judge("alice").await.as_deref(), Ok("alice"));
        let refused = reviews.judge("bob").await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let why = refused.to_string();
        assert!(why.contains("bob may not get services/proxy of kubeshark-hub in namespace watch"), "{why}");
        assert!(why.contains("it is so"), "{why}");
        let refused = reviews.judge("mallory").await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert!(!refused.to_string().contains("mallory"), "{refused}");
    }
    assert_eq!((asked.tokens.load(Relaxed), asked.rights.load(Relaxed)), (3, 2));
    assert!(reviews.judge("alice ").await.is_err(), "another token");
}

#[tokio::test]
async fn who_cannot_be_asked_lets_nobody_in_and_is_asked_again() {
    let (reviews_of, asked) = api_server().await;
    for times in 1..=2 {
        let refused = reviews_of.judge("broken").await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{refused}");
        assert_eq!(asked.tokens.load(Relaxed), times);
    }
    // Nobody listens on this port of loopback.
    let refused = reviews("http://127.0.0.1:1").judge("alice").await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.to_string().contains("cannot be reached"), "{refused}");
}

#[test]
fn what_is_remembered_is_forgotten_in_time_and_bounded() {
    let (mut seen, start) = (Seen::default(), Instant::now());
    let yes: Verdict = Ok("alice".into());
    let no: Verdict = Err(Failure::forbidden("no"));
    seen.note([0; 32], &yes, start);
    seen.note([1; 32], &no, start);
    let known = |seen: &Seen, first: u8, later: Duration| seen.look(&[first; 32], start + later);
    assert_eq!(known(&seen, 0, PASSED.saturating_sub(Duration::from_millis(1))), Some(yes.clone()));
    assert_eq!(known(&seen, 0, PASSED), None);
    assert_eq!(known(&seen, 1, REFUSED.saturating_sub(Duration::from_millis(1))), Some(no.clone()));
    assert_eq!(known(&seen, 1, REFUSED), None);
    seen.note([2; 32], &Err(Failure::unavailable("later")), start);
    assert_eq!(known(&seen, 2, Duration::ZERO), None);
    for index in 0..2 * REMEMBERED {
        let mut hash = [9; 32];
        hash[..8].copy_from_slice(&index.to_le_bytes());
        seen.note(hash, &no, start);
    }
    assert_eq!(seen.0.len(), REMEMBERED);
    assert_eq!(known(&seen, 0, Duration::ZERO), Some(yes), "those that pass stay longest");
}
