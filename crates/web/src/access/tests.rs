use futures_util::future::BoxFuture;

use super::*;

/// Knows one token that may, one that may not, and one that cannot be judged.
struct Three;

impl Judge for Three {
    fn judge<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Arc<str>, Failure>> {
        Box::pin(async move {
            match token {
                "good" => Ok("alice".into()),
                "poor" => Err(Failure::forbidden("bob may not")),
                "lost" => Err(Failure::unavailable("ask again")),
                _ => Err(Failure::new(StatusCode::UNAUTHORIZED, "nobody's")),
            }
        })
    }
}

/// Who is let in, or the status, and whether a token is asked for.
async fn admitted(door: &Door, peer: &str, is_hub: bool, token: &str) -> Result<String, (u16, bool)> {
    let token = (!token.is_empty()).then(|| Token { text: token.into(), chosen: None });
    let admitted = door.admit(peer.parse().unwrap(), is_hub, Ok(token)).await;
    admitted.map(|(access, _)| access.who().to_owned()).map_err(|refused| {
        let response = refused.into_response();
        (response.status().as_u16(), response.headers().contains_key(header::WWW_AUTHENTICATE))
    })
}

#[tokio::test]
async fn each_door_lets_in_whom_it_should() {
    let (here, there) = ("127.0.0.1", "10.0.0.7");
    let token = Door::Token(Arc::new(Three));
    for (door, peer, is_hub, text, expected) in [
        (&Door::default(), here, false, "", Ok("this machine")),
        (&Door::Loopback, "127.1.2.3", false, "", Ok("this machine")),
        (&Door::Loopback, "::1", false, "", Ok("this machine")),
        (&Door::Loopback, there, false, "good", Err((401, false))),
        (&Door::Loopback, "fe80::1", false, "", Err((401, false))),
        (&Door::Open, there, false, "", Ok("anybody")),
        (&token, here, false, "", Ok("this machine")),
        (&token, here, false, "nonsense", Ok("this machine")),
        (&token, there, false, "", Err((401, true))),
        (&token, there, false, "nonsense", Err((401, true))),
        (&token, there, false, "poor", Err((403, false))),
        (&token, there, false, "lost", Err((503, false))),
        (&token, there, false, "good", Ok("alice")),
        (&Door::Hub, here, false, "good", Err((401, false))),
        (&Door::Hub, there, false, "", Err((401, false))),
        (&Door::Hub, there, true, "", Ok("hub")),
    ] {
        let got = admitted(door, peer, is_hub, text).await;
        assert_eq!(got, expected.map(str::to_owned), "{door:?} {peer} {is_hub} {text:?}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_none() {
    let door = Door::Token(Arc::new(Three));
    for (peer, expected) in [("127.0.0.1", None), ("10.0.0.7", Some(401))] {
        let got = door.admit(peer.parse().unwrap(), false, Err("no token")).await.err();
        assert_eq!(got.map(|refused| refused.failure.status().as_u16()), expected, "{peer}");
    }
}
