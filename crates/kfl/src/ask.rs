//! A question that goes down into a record, to be answered where its way ends.
//!
//! What is found is looked at where the host lends it: a value that is handed back costs more to move than to find, and
//! could not be lent out of a record that was made for the occasion.

use crate::{check::Check, record::Value};

/// A question about one field.
pub struct Ask<'q>(Kind<'q>);

enum Kind<'q> {
    Check(&'q Check),
    Look(&'q mut dyn FnMut(&Value<'_>) -> bool),
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There is no such field.
    Missing,
    /// The field is not as asked.
    No,
    /// It is.
    Yes,
}

impl<'q> Ask<'q> {
    #[inline]
    pub(crate) fn check(check: &'q Check) -> Self {
        Ask(Kind::Check(check))
    }

    pub(crate) fn look(look: &'q mut dyn FnMut(&Value<'_>) -> bool) -> Self {
        Ask(Kind::Look(look))
    }

    /// Asks it of the field at which its way ends.
    pub fn see(&mut self, value: &Value<'_>) -> Answer {
        let holds = match &mut self.0 {
            Kind::Check(check) => check.holds(value),
            Kind::Look(look) => look(value),
        };
        if holds { Answer::Yes } else { Answer::No }
    }
}
