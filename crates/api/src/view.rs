//! An entry as a query lets it be seen: whole, or with what `redact` hides; and as a script has changed it.

use kfl::{Altered, Filter, Path, Record, Value};

use crate::{Entry, write_record};

/// An entry and what is hidden of it. Every form of an entry is written from this.
pub struct View<'a> {
    entry: &'a Entry,
    /// The entry with what is hidden of it.
    altered: Option<Altered<'a>>,
    /// What a script made of the entry, with the same hidden.
    changed: Option<Altered<'a>>,
}

impl<'a> View<'a> {
    /// The whole entry.
    pub fn whole(entry: &'a Entry) -> Self {
        Self { entry, altered: None, changed: None }
    }

    /// The entry as this filter gives it.
    pub fn through(filter: &'a Filter, entry: &'a Entry) -> Self {
        let altered =
            filter.alters().then(|| filter.altered(entry)).filter(|altered| !altered.is_unaltered());
        Self { entry, altered, changed: None }
    }

    /// The entry as a script has changed it, and as this filter gives that. What the filter hides stays hidden, and
    /// what a summary says is still that of the entry.
    pub fn changed(filter: &'a Filter, entry: &'a Entry, by_script: &'a serde_json::Value) -> Self {
        let changed = filter.altered(entry).likewise(by_script);
        Self { changed: Some(changed), ..Self::through(filter, entry) }
    }

    /// The entry below, nothing hidden.
    pub(crate) fn entry(&self) -> &'a Entry {
        self.entry
    }

    pub(crate) fn is_altered(&self) -> bool {
        self.altered.is_some()
    }

    /// The entry, less what is hidden.
    fn record(&self) -> &dyn Record {
        match &self.altered {
            Some(altered) => altered,
            None => self.entry,
        }
    }

    /// What is written: the entry, or what a script made of it.
    fn written(&self) -> &dyn Record {
        match &self.changed {
            Some(changed) => changed,
            None => self.record(),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Value<'_>> {
        self.written().get(key)
    }

    /// What is to be seen of the field at this selector.
    pub(crate) fn shown(&self, selector: &str) -> Shown {
        // What cannot be found cannot be told to be harmless.
        Path::parse(selector).map_or(Shown::Gone, |path| self.shown_at(&path))
    }

    pub(crate) fn shown_at(&self, path: &Path) -> Shown {
        let whole = path.json_in(self.entry);
        let shown = path.json_in(self.record());
        match (whole, shown) {
            (None, _) => match path.parent() {
                // A field that is not there: something around it may be hidden all the same.
                Some(parent) if self.shown_at(&parent) == Shown::Same => Shown::Same,
                _ => Shown::Gone,
            },
            (whole, shown) if whole == shown => Shown::Same,
            (Some(_), Some(_)) => Shown::As(path.text_in(self.record()).unwrap_or_default()),
            (Some(_), None) => Shown::Gone,
        }
    }
}

/// What a view shows of a field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// What it is.
    Same,
    /// Another text.
    As(String),
    /// Nothing: something around it is hidden.
    Gone,
}

/// Appends the full entry.
pub fn write_full(out: &mut Vec<u8>, view: &View<'_>) {
    write_record(out, view.written());
}
