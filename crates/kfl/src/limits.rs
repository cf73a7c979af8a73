//! The bounds of a query: whatever a stranger types, compiling and running it costs a known amount.

/// Longest query, in bytes.
pub(crate) const TEXT: usize = 1 << 20;

/// Deepest nesting of parentheses, `!`, `-`, chained comparisons and arguments. Every recursion over a tree
/// stays within this many levels, so no query can exhaust the stack.
pub(crate) const DEPTH: usize = 100;

/// Most steps of one path (`a.b[0]` has three).
pub(crate) const STEPS: usize = 128;

/// Most `..` of one path: each may look at everything below what the one before found.
pub(crate) const DEEP: usize = 3;

/// Most arguments of one call.
pub(crate) const ARGUMENTS: usize = 256;

/// Deepest record, JSON or XML document that `..` descends into; what lies below is not found.
pub(crate) const DOCUMENT_DEPTH: usize = 128;

/// Largest compiled form of one regex, in bytes.
pub(crate) const REGEX: usize = 1 << 20;

/// Largest compiled form of all regexes of a query, in bytes.
pub(crate) const REGEXES: usize = 64 << 20;
