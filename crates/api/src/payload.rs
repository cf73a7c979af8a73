//! What a protocol's own structs must offer to be half of an entry.

use std::{any::Any, fmt};

use kfl::Record;

/// A request or a response: the protocol's own struct, which is a [`Record`] of its JSON fields.
pub trait Payload: Record + Any + fmt::Debug + Send + Sync {
    /// Bytes held on the heap, for the limits of whoever stores it. An estimate that errs upwards.
    fn heap_size(&self) -> usize;

    /// What this half says in the one-line form of an entry.
    fn summary(&self) -> Summary {
        Summary::default()
    }

    /// The same half as tables and bodies for a person to read.
    fn sections(&self) -> Vec<Section>;
}

/// The parts of an entry's one-line form that come from its protocol; what is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// `GET`, `Query`.
    pub method: String,
    /// The filter that selects this method.
    pub method_query: String,
    /// `/index.html`, `example.com`.
    pub summary: String,
    /// The filter that selects this summary.
    pub summary_query: String,
    /// A response's status; 0 where the protocol has none.
    pub status: i64,
    /// The filter that selects this status.
    pub status_query: String,
}

/// A part of the readable form of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    /// Names and values.
    Table {
        /// Its heading.
        title: String,
        /// What the heading says in parentheses, and the filter's path to it.
        detail: Option<(String, String)>,
        /// Its rows.
        rows: Vec<Row>,
    },
    /// A text.
    Body {
        /// Its heading.
        title: String,
        /// How `text` is encoded: `base64`, or empty.
        encoding: &'static str,
        /// Its MIME type, or empty.
        mime_type: String,
        /// The filter's path to it.
        selector: String,
        /// The text.
        text: String,
    },
}

impl Section {
    /// A table under a plain heading.
    pub fn table(title: impl Into<String>, rows: Vec<Row>) -> Self {
        Section::Table { title: title.into(), detail: None, rows }
    }
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// Its value, as text.
    pub value: String,
    /// The filter's path to it: `request.headers["Host"]`.
    pub selector: String,
}

impl Row {
    /// A row; `value` is whatever prints.
    pub fn new(name: impl Into<String>, value: impl fmt::Display, selector: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.to_string(), selector: selector.into() }
    }
}
