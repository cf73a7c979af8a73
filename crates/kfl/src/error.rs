//! What is wrong with a query, and where.

use std::{fmt, ops::Range};

/// A fault in a query, at its place in the text as typed.
///
/// `Display` gives `line:column: message`; [`Error::render`] adds the line with a caret and a suggestion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct Error {
    message: String,
    suggestion: Option<String>,
    span: Range<usize>,
    line: usize,
    column: usize,
}

impl Error {
    pub(crate) fn locate(fault: Fault, text: &str) -> Self {
        let start = text.floor_char_boundary(fault.span.start);
        let before = text.get(..start).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Error {
            message: fault.message,
            suggestion: fault.suggestion,
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            span: start..text.ceil_char_boundary(fault.span.end.max(start)),
        }
    }

    /// The bytes of the text at fault; empty where something is missing.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column, from 1, in characters.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead, where that can be guessed.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// The error for a terminal: the message, the line with a caret under the fault, the suggestion.
    ///
    /// `text` is the query that was refused.
    pub fn render(&self, text: &str) -> String {
        let mut lines = vec![self.to_string()];
        lines.push(excerpt(text, self.line, self.column, &self.span));
        lines.extend(self.suggestion.iter().map(|suggestion| format!("help: {suggestion}")));
        lines.join("\n")
    }
}

/// At most this many characters of a line are shown to each side of a fault.
const SIDE: usize = 60;

/// The line of the fault, cut to what fits a terminal, and the caret below it.
fn excerpt(text: &str, line: usize, column: usize, span: &Range<usize>) -> String {
    let source = text.split('\n').nth(line - 1).unwrap_or_default().trim_end_matches('\r');
    let skipped = (column - 1).saturating_sub(SIDE);
    // A tab keeps its width only if the caret's line has it too.
    let shown: Vec<char> = source.chars().skip(skipped).take(2 * SIDE).collect();
    let indent: String =
        shown.iter().take(column - 1 - skipped).map(|c| if *c == '\t' { '\t' } else { ' ' }).collect();
    let marked = text.get(span.clone()).unwrap_or_default().split('\n').next().unwrap_or_default();
    let room = shown.len().saturating_sub(column - 1 - skipped);
    let carets = "^".repeat(marked.chars().count().min(room).max(1));
    let shown: String = shown.into_iter().collect();
    let gutter = line.to_string();
    let blank = " ".repeat(gutter.len());
    format!("{gutter} | {shown}\n{blank} | {indent}{carets}")
}

/// A fault whose line and column are not counted yet.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

impl Fault {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Fault { span, message: message.into(), suggestion: None }
    }

    pub(crate) fn suggest(mut self, suggestion: impl fmt::Display) -> Self {
        self.suggestion = Some(suggestion.to_string());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_not_bytes() {
        let text = "true and\n\"é\" ; x";
        let at = text.find(';').unwrap();
        let error = Error::locate(Fault::new(at..at + 1, "no").suggest("yes"), text);
        assert_eq!(error.to_string(), "2:5: no");
        assert_eq!(error.render(text), "2:5: no\n2 | \"é\" ; x\n  |     ^\nhelp: yes");
    }

    #[test]
    fn shows_a_window_of_a_long_line() {
        let text = format!("{}!{}", "a".repeat(500), "b".repeat(500));
        let error = Error::locate(Fault::new(500..501, "no"), &text);
        let shown = error.render(&text);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1].find('!'), lines[2].find('^'));
        assert!(lines[1].len() < 140);
    }
}
