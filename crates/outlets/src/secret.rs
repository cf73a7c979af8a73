//! Values that must not be seen.

use std::fmt;

/// A password, a key, a token. It is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps it.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Hands it out, to be sent to the service that it belongs to.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

/// What a stranger said, fit to be shown: without these secrets, in whatever form he may have got them, on one line,
/// and not longer than a reader will read.
pub(crate) fn scrub<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    const LONGEST: usize = 300;
    let mut text = text.to_owned();
    for secret in secrets {
        // Of a key in PEM, a line alone is a secret too.
        let lines = secret.expose().lines().map(str::trim).filter(|line| !line.is_empty());
        for line in lines.chain([secret.expose()]).filter(|part| !part.is_empty()) {
            for form in forms(line) {
                text = text.replace(&form, "***");
            }
        }
    }
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut line = words.collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// A secret as it is, as JSON writes it, as a URL does, and as base64: longest first.
fn forms(secret: &str) -> [String; 5] {
    use base64::{Engine, engine::general_purpose};
    let json = serde_json::Value::from(secret).to_string();
    [
        general_purpose::STANDARD.encode(secret),
        general_purpose::STANDARD_NO_PAD.encode(secret),
        crate::http::encode(secret, ""),
        json.trim_matches('"').to_owned(),
        secret.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_printed() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("hunter2"));
    }

    #[test]
    fn is_found_in_every_form() {
        let secret = Secret::new("p\"ss w/rd+");
        let said = "raw p\"ss w/rd+, json p\\\"ss w/rd+, url p%22ss%20w%2Frd%2B, base64 cCJzcyB3L3JkKw==, \n\u{7} end";
        assert_eq!(scrub(said, [&secret]), "raw ***, json ***, url ***, base64 ***, end");
    }

    #[test]
    fn a_line_of_a_key_is_a_secret() {
        let key = Secret::new("-----BEGIN-----\nAAAA\nBBBB\n-----END-----\n");
        assert_eq!(scrub("got BBBB", [&key]), "got ***");
    }

    #[test]
    fn long_answers_are_cut() {
        assert_eq!(scrub(&"é".repeat(1000), []).chars().count(), 301);
    }
}
