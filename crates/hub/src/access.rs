//! Who may ask a hub from outside its pod.

use std::fmt;

use web::Door;

/// Who is let in that does not come from the hub's own loopback, which `kubectl port-forward` and users of the same
/// machine do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    #[default]
    Loopback,
    /// Who has a token of Kubernetes that may.
    Token,
    /// Everybody.
    Off,
}

impl Auth {
    /// In words for a person, where there is something to warn of.
    pub(crate) fn warning(self) -> Option<&'static str> {
        (self == Self::Off).then_some(
            "Whoever reaches the hub sees all traffic: it asks nobody for a token (tap.auth.enabled=false)",
        )
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Token => "token",
            Self::Off => "off",
        })
    }
}

/// What stands at the door of the server.
pub(crate) fn door(auth: Auth) -> Door {
    match auth {
        Auth::Off => Door::Open,
        // Nobody's token is known to be good, so nobody is let in.
        Auth::Loopback | Auth::Token => Door::Loopback,
    }
}
