//! What a field of a host may be written as, and looking at it where it is lent.

use crate::{
    ask::{Answer, Ask},
    key::Way,
    record::{Lent, Record, Value},
};
use std::mem::ManuallyDrop;

/// What can stand for a field in [`record!`](crate::record!).
pub trait Lend<'a>: Sized {
    /// The field; `None` where it is absent.
    fn value(self) -> Option<Value<'a>>;

    /// Looks at the field where it is lent.
    // Always inlined: so a value is built only in the case that asks for it, and its kind is known there. It is not
    // moved, and not looked at once more to drop it: half of the time that a lookup takes.
    fn see<T>(self, see: impl FnOnce(Option<&Value<'_>>) -> T) -> T;
}

/// Asks what lies at the end of a way that begins at a field.
#[doc(hidden)]
#[expect(clippy::inline_always, reason = "measured, see Lend")]
#[inline(always)]
pub fn follow<'a>(field: impl Lend<'a>, way: Way<'_>, ask: &mut Ask<'_>) -> Answer {
    field.see(|value| match value {
        Some(value) if way.is_empty() => ask.see(value),
        Some(Value::Record(record)) => record.find(way, ask),
        _ => Answer::Missing,
    })
}

impl<'a> Lend<'a> for Value<'a> {
    #[inline]
    fn value(self) -> Option<Value<'a>> {
        Some(self)
    }

    #[expect(clippy::inline_always, reason = "measured, see the trait")]
    #[inline(always)]
    fn see<T>(self, see: impl FnOnce(Option<&Value<'_>>) -> T) -> T {
        let value = ManuallyDrop::new(self);
        let seen = see(Some(&value));
        if value.owns() {
            drop(ManuallyDrop::into_inner(value));
        }
        seen
    }
}

/// A field that may be absent.
impl<'a, L: Lend<'a>> Lend<'a> for Option<L> {
    #[inline]
    fn value(self) -> Option<Value<'a>> {
        self.and_then(L::value)
    }

    #[expect(clippy::inline_always, reason = "measured, see the trait")]
    #[inline(always)]
    fn see<T>(self, see: impl FnOnce(Option<&Value<'_>>) -> T) -> T {
        match self {
            Some(field) => field.see(see),
            None => see(None),
        }
    }
}

/// A record that the host holds.
impl<'a, R: Record> Lend<'a> for &'a R {
    #[inline]
    fn value(self) -> Option<Value<'a>> {
        Some(Value::record(self))
    }

    #[expect(clippy::inline_always, reason = "measured, see the trait")]
    #[inline(always)]
    fn see<T>(self, see: impl FnOnce(Option<&Value<'_>>) -> T) -> T {
        see(Some(&Value::record(self)))
    }
}

/// A field that is null where the host has nothing for it.
pub struct OrNull<L>(pub Option<L>);

impl<'a, L: Lend<'a>> Lend<'a> for OrNull<L> {
    #[inline]
    fn value(self) -> Option<Value<'a>> {
        self.0.map_or(Some(Value::Null), L::value)
    }

    #[expect(clippy::inline_always, reason = "measured, see the trait")]
    #[inline(always)]
    fn see<T>(self, see: impl FnOnce(Option<&Value<'_>>) -> T) -> T {
        match self.0 {
            Some(field) => field.see(see),
            None => see(Some(&Value::Null)),
        }
    }
}

/// A record made for the occasion, such as a map whose texts lie elsewhere in a message. A filter that goes through it
/// to one of its fields does not keep it, and so nothing is allocated.
pub struct View<T>(pub T);

impl<'a, T: Record + 'a> Lend<'a> for View<T> {
    #[inline]
    fn value(self) -> Option<Value<'a>> {
        Some(Value::Record(Lent::Made(Box::new(self.0))))
    }

    #[expect(clippy::inline_always, reason = "measured, see the trait")]
    #[inline(always)]
    fn see<U>(self, see: impl FnOnce(Option<&Value<'_>>) -> U) -> U {
        see(Some(&Value::record(&self.0)))
    }
}
