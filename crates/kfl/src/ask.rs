//! A question that goes down into a record, to be answered where its way ends.
//!
//! What is found is looked at where the host lends it: a value that is handed back costs more to move than to find, and
//! could not be lent out of a record that was made for the occasion.

use crate::{
    check::Check,
    key::{Key, Name, Way},
    record::Value,
};
use std::borrow::Cow;

/// A question about one field.
pub struct Ask<'q>(Kind<'q>);

enum Kind<'q> {
    Question(&'q Question),
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

impl From<bool> for Answer {
    #[inline]
    fn from(holds: bool) -> Self {
        if holds { Answer::Yes } else { Answer::No }
    }
}

impl<'q> Ask<'q> {
    pub(crate) fn look(look: &'q mut dyn FnMut(&Value<'_>) -> bool) -> Self {
        Ask(Kind::Look(look))
    }

    /// Asks it of the field at which its way ends.
    #[expect(clippy::inline_always, reason = "see Question::see")]
    #[inline(always)]
    pub fn see(&mut self, value: &Value<'_>) -> Answer {
        match &mut self.0 {
            Kind::Question(question) => question.see(value),
            Kind::Look(look) => look(value).into(),
        }
    }
}

/// A question with the way to its field: one term of a compiled query.
#[derive(Clone)]
pub struct Question {
    way: Box<[Name]>,
    check: Check,
    /// Whether it is KFL2's: a text or a number is asked for, and anything else is as an empty one.
    flat: bool,
}

impl Question {
    pub(crate) fn new(way: &[Name], check: Check) -> Self {
        Question { way: way.into(), check, flat: false }
    }

    /// The same of a variable of KFL2, which is a text or a number in every record.
    pub(crate) fn flat(way: &[Name], check: Check) -> Self {
        Question { way: way.into(), check, flat: true }
    }

    /// The first name of the way, and the question behind it; `None` at the end of the way.
    pub fn split(&self) -> Option<(Key<'_>, Self)> {
        let (first, rest) = self.way.split_first()?;
        Some((first.key(), Question { way: rest.into(), check: self.check.clone(), flat: self.flat }))
    }

    /// The way to the field.
    #[inline]
    pub fn way(&self) -> Way<'_> {
        Way(&self.way)
    }

    /// What is asked at the end of the way.
    #[inline]
    pub fn ask(&self) -> Ask<'_> {
        Ask(Kind::Question(self))
    }

    /// Asks it of the field, whose kind the caller knows when it is compiled.
    #[expect(clippy::inline_always, reason = "what remains of it is what the kind of the field needs")]
    #[inline(always)]
    pub fn see(&self, value: &Value<'_>) -> Answer {
        if let Some(holds) = self.check.of_plain(value) {
            return holds.into();
        }
        // Made anew where it must lie in memory, so that above it need not.
        match value {
            Value::Bool(truth) => self.of_any(&Value::Bool(*truth)),
            Value::Int(int) => self.of_any(&Value::Int(*int)),
            Value::Text(Cow::Borrowed(text)) => self.of_any(&Value::text(text)),
            Value::Digits(digits) => self.of_any(&Value::Digits(*digits)),
            Value::Address(address) => self.of_any(&Value::Address(address)),
            other => self.of_any(other),
        }
        .into()
    }

    #[inline(never)]
    fn of_any(&self, value: &Value<'_>) -> bool {
        if self.flat { self.check.of_flat(value) } else { self.check.of_any(value) }
    }
}
