//! Which names addresses had, and when: what a recording needs to be read later, when the addresses mean others.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use scripting::files::{FileError, Files, NAME_HISTORY};
use serde::Serialize;

/// Changes that are remembered.
const CHANGES: usize = 256;

/// Names of all these changes together; the last change is remembered whatever it holds.
const NAMES: usize = 65_536;

/// The name of an address, as the history has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Name {
    /// `kube-dns.kube-system`
    pub full_address: String,
    /// Where it lives; empty outside a cluster.
    pub namespace: String,
}

/// The names of `ip` and `ip:port`, one table per change. A worker that was told of none has none.
#[derive(Clone, Debug, Default)]
pub struct NameHistory(Arc<Mutex<VecDeque<Change>>>);

/// From when on, and the names.
type Change = (u64, BTreeMap<String, Name>);

impl NameHistory {
    /// From `at` on (seconds since the Unix epoch) these are the names. The oldest changes are forgotten where there are more
    /// than 256, or than 65,536 names in all of them.
    pub fn changed(&self, at: u64, names: BTreeMap<String, Name>) {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.back().is_some_and(|(_, last)| *last == names) {
            return;
        }
        changes.retain(|(then, _)| *then != at);
        changes.push_back((at, names));
        let mut names: usize = changes.iter().map(|(_, names)| names.len()).sum();
        while changes.len() > CHANGES || (names > NAMES && changes.len() > 1) {
            names -= changes.pop_front().map_or(0, |(_, names)| names.len());
        }
    }

    /// `{"<seconds>": {"<ip or ip:port>": {"FullAddress", "Namespace"}}}`
    pub fn json(&self) -> String {
        let changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let object: BTreeMap<String, &BTreeMap<String, Name>> =
            changes.iter().map(|(at, names)| (at.to_string(), names)).collect();
        // Maps of text to text are always JSON.
        serde_json::to_string(&object).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Writes it to where scripts find it: a reader sees the old one or the new one, never half of it.
    pub fn write(&self, files: &Files) -> Result<(), FileError> {
        let fresh = format!("{NAME_HISTORY}.new");
        let failed = |cause| FileError::Io { path: fresh.clone(), cause };
        files.create(&fresh)?.write_all(self.json().as_bytes()).map_err(failed)?;
        files.rename(&fresh, NAME_HISTORY).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_its_time() {
        let history = NameHistory::default();
        assert_eq!(history.json(), "{}");
        let names = |name: &str| {
            let name = Name { full_address: name.into(), namespace: "kube-system".into() };
            BTreeMap::from([("10.96.0.10:53".to_owned(), name)])
        };
        history.changed(1_678_675_000, names("kube-dns.kube-system"));
        history.changed(1_678_675_001, names("kube-dns.kube-system"));
        history.changed(1_678_675_009, names("dns"));
        assert_eq!(
            history.json(),
            r#"{"1678675000":{"10.96.0.10:53":{"FullAddress":"kube-dns.kube-system","Namespace":"kube-system"}},"1678675009":{"10.96.0.10:53":{"FullAddress":"dns","Namespace":"kube-system"}}}"#
        );
        (0..1000).for_each(|at| history.changed(at, names(&at.to_string())));
        assert_eq!(history.0.lock().unwrap().len(), CHANGES);
        let many = |offset: usize| {
            let name = Name { full_address: "a".into(), namespace: String::new() };
            (0..NAMES * 2 / 3).map(|index| ((offset + index).to_string(), name.clone())).collect()
        };
        history.changed(2000, many(0));
        history.changed(2001, many(1));
        assert_eq!(history.0.lock().unwrap().len(), 1, "the last one stays");
    }
}
