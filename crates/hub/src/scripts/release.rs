//! Scripts as the release keeps them: in its `ConfigMap`, where every hub of it finds them, also the next one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The keys of the `ConfigMap`, and that of the `Secret`.
const SCRIPTS: &str = "SCRIPTING_SCRIPTS";
const ENABLED: &str = "SCRIPTING_ENABLED";
const ACTIVE: &str = "SCRIPTING_ACTIVE_SCRIPTS";
pub(crate) const ENV: &str = "SCRIPTING_ENV";

/// A script that the release keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default = "yes")]
    pub(crate) active: bool,
}

fn yes() -> bool {
    true
}

/// What the release says of scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Released {
    /// By number.
    pub(crate) scripts: BTreeMap<u32, Written>,
    /// Whether any of them runs.
    pub(crate) enabled: bool,
    /// Parts of the titles of those that run; none: all that are active.
    pub(crate) titles: Vec<String>,
}

impl Released {
    /// Reads the data of a `ConfigMap`; the error says what is wrong with its scripts.
    pub(crate) fn read(data: &BTreeMap<String, String>) -> Result<Self, String> {
        let text = data.get(SCRIPTS).map_or("", |text| text.trim());
        let scripts = if text.is_empty() { Ok(BTreeMap::new()) } else { serde_json::from_str(text) };
        let titles = data.get(ACTIVE).map_or("", String::as_str).split(',');
        Ok(Self {
            scripts: scripts
                .map_err(|error| format!("{SCRIPTS} is not {{\"1\": {{\"title\", \"code\"}}}}: {error}"))?,
            enabled: data.get(ENABLED).is_none_or(|text| text.trim() != "false"),
            titles: titles.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect(),
        })
    }

    /// Puts the scripts into the data of a `ConfigMap`; nothing else of it is changed.
    pub(crate) fn write(&self, data: &mut BTreeMap<String, String>) {
        // Numbers and texts are always JSON.
        if let Ok(text) = serde_json::to_string(&self.scripts) {
            data.insert(SCRIPTS.to_owned(), text);
        }
    }

    /// Whether a script of this title runs, if it is active.
    pub(crate) fn runs(&self, title: &str) -> bool {
        self.enabled && (self.titles.is_empty() || self.titles.iter().any(|part| title.contains(part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut data: BTreeMap<String, String> = BTreeMap::new();
        assert_eq!(Released::read(&data).unwrap().scripts.len(), 0);
        data.insert(
            SCRIPTS.into(),
            r#"{"1": {"code": "1"}, "7": {"title": "t", "code": "2", "active": false}}"#.into(),
        );
        data.insert(ACTIVE.into(), "one, two".into());
        let released = Released::read(&data).unwrap();
        assert!(released.scripts[&1].active && !released.scripts[&7].active);
        assert!(released.runs("is one") && !released.runs("three"));
        let mut other = data.clone();
        released.write(&mut other);
        assert_eq!(Released::read(&other).unwrap(), released);
        data.insert(ENABLED.into(), "false".into());
        assert!(!Released::read(&data).unwrap().runs("one"));
        data.insert(SCRIPTS.into(), "[]".into());
        assert!(Released::read(&data).unwrap_err().starts_with("SCRIPTING_SCRIPTS"));
    }
}
