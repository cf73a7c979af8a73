//! Who may ask a hub from outside its pod.
//!
//! ```text
//!   token ─▶ seen lately? ─yes─────────────────────────────▶ let in, 401 or 403
//!                 └─no─▶ TokenReview ─▶ SubjectAccessReview ──▲
//!                        whose is it?   may they `get` `services/proxy` of the hub's Service?
//! ```
//! It is the right that the API server itself asks for before it forwards a request to a Service. A pod's default token
//! has it nowhere.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use ring::digest::{SHA256, digest};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tracing::{info, warn};
use web::{Door, Failure, Judge};

use crate::lock;

/// Who is let in that does not come from the hub's own loopback, which `kubectl port-forward` and users of the same
/// machine do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    #[default]
    Loopback,
    /// Who has a token of Kubernetes and may `get` `services/proxy` of this Service.
    Token {
        /// Where the Service is.
        namespace: String,
        /// Its name.
        service: String,
    },
    /// Everybody.
    Off,
}

impl Auth {
    /// In words for a person, where there is something to warn of.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        (*self == Self::Off).then_some(
            "Whoever reaches the hub sees all traffic: it asks nobody for a token (tap.auth.enabled=false)",
        )
    }

    /// What stands at the door of the server.
    pub(crate) fn door(&self, client: Option<&Client>) -> Door {
        match (self, client) {
            (Self::Off, _) => Door::Open,
            (Self::Token { namespace, service }, Some(client)) => {
                Door::Token(Arc::new(Reviews::new(client.clone(), namespace, service)))
            }
            // Where nobody can say whose a token is, nobody is let in.
            (Self::Loopback, _) | (Self::Token { .. }, None) => Door::Loopback,
        }
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Token { .. } => "token",
            Self::Off => "off",
        })
    }
}

/// How long a token that passed passes again unasked: so long may whoever loses the right go on asking.
const PASSED: Duration = Duration::from_secs(30);

/// How long one that did not pass is refused unasked: so long may whoever is given the right have to wait.
const REFUSED: Duration = Duration::from_secs(5);

/// Most tokens that are remembered; one more forgets the one that would be asked for anew first.
const REMEMBERED: usize = 1024;

/// Questions to the API server at a time; more wait.
const QUESTIONS: usize = 8;

/// How long one may wait and take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of a token, what tells it from others and does not tell it.
type Hash = [u8; 32];

type Verdict = Result<Arc<str>, Failure>;

/// Asks the API server whose tokens are.
struct Reviews {
    tokens: Api<TokenReview>,
    rights: Api<SubjectAccessReview>,
    wanted: ResourceAttributes,
    seen: Mutex<Seen>,
    room: Semaphore,
}

impl Reviews {
    fn new(client: Client, namespace: &str, service: &str) -> Self {
        Self {
            tokens: Api::all(client.clone()),
            rights: Api::all(client),
            wanted: ResourceAttributes {
                namespace: Some(namespace.into()),
                verb: Some("get".into()),
                version: Some("v1".into()),
                resource: Some("services".into()),
                subresource: Some("proxy".into()),
                name: Some(service.into()),
                ..ResourceAttributes::default()
            },
            seen: Mutex::default(),
            room: Semaphore::new(QUESTIONS),
        }
    }

    async fn ask(&self, token: &str) -> Verdict {
        let user = self.owner(token).await?.ok_or_else(|| {
            Failure::new(
                StatusCode::UNAUTHORIZED,
                "The token is nobody's here, or has expired. `kubectl create token` makes another.",
            )
        })?;
        let name = user.username.clone().unwrap_or_default();
        let why_not = self.why_not(user).await?;
        let Some(why_not) = why_not else {
            info!(user = name, "A token lets somebody in");
            return Ok(name.into());
        };
        let (namespace, service) = (
            self.wanted.namespace.as_deref().unwrap_or_default(),
            self.wanted.name.as_deref().unwrap_or_default(),
        );
        Err(Failure::forbidden(format!(
            "{name} may not get services/proxy of {service} in namespace {namespace}, which is the right to see \
             traffic.{why_not} A Role with `resources: [services/proxy], resourceNames: [{service}], verbs: [get]` \
             gives it."
        )))
    }

    /// Whose token it is, if anybody's.
    async fn owner(&self, token: &str) -> Result<Option<UserInfo>, Failure> {
        let spec = TokenReviewSpec { token: token.into(), ..TokenReviewSpec::default() };
        let question = TokenReview { spec, ..TokenReview::default() };
        let answer = self.tokens.create(&PostParams::default(), &question).await;
        let status = answer.map_err(|error| unknown(&error))?.status.unwrap_or_default();
        Ok(status.user.filter(|_| status.authenticated == Some(true)))
    }

    /// `None` if they may; else what the API server adds to its no.
    async fn why_not(&self, user: UserInfo) -> Result<Option<String>, Failure> {
        let spec = SubjectAccessReviewSpec {
            user: user.username,
            uid: user.uid,
            groups: user.groups,
            extra: user.extra,
            resource_attributes: Some(self.wanted.clone()),
            ..SubjectAccessReviewSpec::default()
        };
        let question = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = self.rights.create(&PostParams::default(), &question).await;
        let status = answer.map_err(|error| unknown(&error))?.status.unwrap_or_default();
        let reason = status.reason.filter(|reason| !reason.is_empty());
        Ok((!status.allowed).then(|| reason.map(|reason| format!(" ({reason})")).unwrap_or_default()))
    }
}

impl Judge for Reviews {
    fn judge<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let mut hash = Hash::default();
            hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
            if let Some(known) = lock(&self.seen).look(&hash, Instant::now()) {
                return known;
            }
            let asking = async {
                // The semaphore is never closed.
                let _turn = self.room.acquire().await.ok();
                self.ask(token).await
            };
            let verdict = timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
                Err(Failure::unavailable(format!(
                    "The API server did not say within {PATIENCE:?} whose the token is. Try again."
                )))
            });
            lock(&self.seen).note(hash, &verdict, Instant::now());
            verdict
        })
    }
}

/// What is said where the API server cannot be asked. The question held a token, so nothing of it is repeated.
fn unknown(error: &kube::Error) -> Failure {
    let why = match error {
        kube::Error::Api(status) if status.code == 403 => {
            "the hub may not ask (its ClusterRole lacks tokenreviews or subjectaccessreviews)".to_owned()
        }
        kube::Error::Api(status) => format!("it answers {} {}", status.code, status.reason),
        _ => "it cannot be reached".to_owned(),
    };
    warn!(why, "Nobody can be let in by a token: the API server does not say whose tokens are");
    Failure::unavailable(format!("The API server does not say whose the token is: {why}. Try again later."))
}

/// What became of the tokens of late.
#[derive(Default)]
struct Seen(BTreeMap<Hash, (Instant, Verdict)>);

impl Seen {
    fn look(&self, hash: &Hash, now: Instant) -> Option<Verdict> {
        self.0.get(hash).filter(|(until, _)| now < *until).map(|(_, verdict)| verdict.clone())
    }

    /// Remembers a yes and a no; that nobody could be asked is no answer.
    fn note(&mut self, hash: Hash, verdict: &Verdict, now: Instant) {
        let lasts = match verdict {
            Ok(_) => PASSED,
            Err(failure) if failure.status() == StatusCode::SERVICE_UNAVAILABLE => return,
            Err(_) => REFUSED,
        };
        self.0.insert(hash, (now + lasts, verdict.clone()));
        if self.0.len() > REMEMBERED {
            self.0.retain(|_, (until, _)| now < *until);
        }
        if self.0.len() > REMEMBERED
            && let Some(first) = self.0.iter().min_by_key(|(_, (until, _))| *until).map(|(hash, _)| *hash)
        {
            self.0.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests;
