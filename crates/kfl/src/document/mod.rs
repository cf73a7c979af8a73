//! Texts that hold documents: what `json()` and `xml()` see, and what `redact` writes back.

mod json;
mod xml;

use crate::{
    path::{Flow, Step, done, visit_value},
    record::Value,
    redact::{Way, altered},
    value::form,
};
use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use std::borrow::Cow;

/// What a text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    Xml,
}

/// A text, read.
pub(crate) enum Document {
    Json(json::Json),
    Xml(xml::Xml),
}

impl Document {
    /// The document in a field, which may be base64 of it; `None` where there is none.
    pub(crate) fn read(value: &Value<'_>, format: Format) -> Option<Self> {
        Document::parse(&content(value).0, format)
    }

    fn parse(bytes: &[u8], format: Format) -> Option<Self> {
        match format {
            Format::Json => serde_json::from_slice(bytes).ok().map(Document::Json),
            Format::Xml => xml::Xml::parse(std::str::from_utf8(bytes).ok()?).map(Document::Xml),
        }
    }

    /// Visits the first thing that `steps` lead to. Without steps there is nothing to find.
    pub(crate) fn visit_first(&self, steps: &[Step], visit: &mut dyn FnMut(&Value<'_>) -> Flow) {
        if steps.is_empty() {
            return;
        }
        match self {
            Document::Json(json) => done(visit_value(&json.lent(), steps, 0, &mut |value| {
                done(visit(value));
                Flow::Break(())
            })),
            Document::Xml(xml) => {
                if let Some(text) = xml.text(steps) {
                    done(visit(&Value::text(text)));
                }
            }
        }
    }
}

/// The text of a field with what the ways lead to redacted; `None` where they lead to nothing.
pub(crate) fn redacted(value: &Value<'_>, format: Format, ways: &[Way<'_>]) -> Option<String> {
    let (bytes, encoded) = content(value);
    let text = match Document::parse(&bytes, format)? {
        Document::Json(json) => {
            let lent = json.lent();
            if !ways.iter().any(|way| leads_somewhere(&lent, way)) {
                return None;
            }
            crate::json::value_to_string(&altered(lent, ways.to_vec()))
        }
        Document::Xml(mut xml) => {
            let hits = ways.iter().filter(|way| xml.redact(way)).count();
            if hits == 0 {
                return None;
            }
            xml.to_string()
        }
    };
    Some(if encoded { STANDARD.encode(text) } else { text })
}

fn leads_somewhere(value: &Value<'_>, way: Way<'_>) -> bool {
    // Where another document begins, only walking the altered copy can tell.
    let end = way.iter().position(|step| matches!(step, Step::Json | Step::Xml)).unwrap_or(way.len());
    way.get(..end).is_some_and(|way| visit_value(value, way, 0, &mut |_| Flow::Break(())).is_break())
}

/// Base64 as Go's decoder takes it: padded, but careless about the last bits.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The bytes of a field, decoded where its text is base64, and whether it was.
fn content<'v>(value: &'v Value<'_>) -> (Cow<'v, [u8]>, bool) {
    if let Value::Base64(bytes) = value {
        return (Cow::Borrowed(bytes), true);
    }
    let text = form(value);
    match decode(text.as_bytes()) {
        Some(bytes) => (Cow::Owned(bytes), true),
        None => match text {
            Cow::Borrowed(text) => (Cow::Borrowed(text.as_bytes()), false),
            Cow::Owned(text) => (Cow::Owned(text.into_bytes()), false),
        },
    }
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    // A document starts with a character outside the alphabet more often than not: no need to read on.
    let plausible = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'\r' | b'\n');
    if !text.first().is_some_and(plausible) {
        return None;
    }
    if text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        let joined: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        return LENIENT.decode(joined).ok();
    }
    LENIENT.decode(text).ok()
}
