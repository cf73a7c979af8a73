//! How a host lends its fields to a filter.
//!
//! A filter asks for one field after the other by name, as a path goes down (`response`, then `status`), so a host
//! converts only what a query reads. The same two traits describe a record whole, key by key in alphabetical order,
//! so that a host may also print from them: what can be filtered and what can be seen are then one list.

use std::{borrow::Cow, mem::ManuallyDrop, net::IpAddr, ops::Deref};

use crate::{
    ask::{Answer, Ask},
    key::{Key, Way},
    print,
};

/// A thing with named fields: an entry, its request, a map of headers.
pub trait Record {
    /// The field of this exact name; `None` where there is none.
    fn get(&self, key: &str) -> Option<Value<'_>>;

    /// The same, asked with a name whose number is known: what a compiled query asks with.
    fn field(&self, key: Key<'_>) -> Option<Value<'_>> {
        self.get(key.text())
    }

    /// Asks what lies at the end of a way of names. The way is not empty.
    fn find(&self, way: Way<'_>, ask: &mut Ask<'_>) -> Answer {
        match way.split() {
            Some((key, rest)) => self.field(key).follow(rest, ask),
            None => Answer::Missing,
        }
    }

    /// Every name that a field of this type can have; `None` where any name is possible, as in a map of headers.
    fn keys(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Visits every field in ascending byte order of the keys.
    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Value<'a>));

    /// The record as JSON, if the host keeps it ready; the same as printing what [`each`](Self::each) visits.
    fn json(&self) -> Option<&[u8]> {
        None
    }

    /// Appends the record as JSON, keys in their order.
    fn write_json(&self, out: &mut Vec<u8>) {
        match self.json() {
            Some(json) => out.extend_from_slice(json),
            None => print::write_fields(out, |write| self.each(&mut |key, value| write(key, &value))),
        }
    }
}

/// A thing with numbered items.
pub trait List {
    /// How many items there are.
    fn len(&self) -> usize;

    /// The item at `index`, from 0; `None` past the end.
    fn at(&self, index: usize) -> Option<Value<'_>>;

    /// Whether there is no item.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a field can be.
pub enum Value<'a> {
    /// JSON's null.
    Null,
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Text that is the decimal form of this number, such as a port, written out only when somebody reads it.
    Digits(u64),
    /// Text that is the usual form of this address, written out only when somebody reads it.
    Address(IpAddr),
    /// Text that is the standard base64 (RFC 4648 §4, padded) of these bytes, encoded only when somebody reads it.
    Base64(&'a [u8]),
    /// Items by position.
    List(Lent<'a, dyn List + 'a>),
    /// Fields by name.
    Record(Lent<'a, dyn Record + 'a>),
}

/// What can stand for a field in [`record!`](crate::record!).
pub trait Lend<'a>: Sized {
    /// The field; `None` where it is absent.
    fn value(self) -> Option<Value<'a>>;

    /// Asks what lies at the end of a way that begins here.
    // Always inlined: so a value is built only in the case that asks for it, and its kind is known there. It is not
    // moved, and not looked at once more to drop it: half of the time that a lookup takes.
    fn follow(self, way: Way<'_>, ask: &mut Ask<'_>) -> Answer;
}

impl<'a> Lend<'a> for Value<'a> {
    #[inline]
    fn value(self) -> Option<Value<'a>> {
        Some(self)
    }

    #[expect(clippy::inline_always, reason = "measured, see the trait")]
    #[inline(always)]
    fn follow(self, way: Way<'_>, ask: &mut Ask<'_>) -> Answer {
        let value = ManuallyDrop::new(self);
        let answer = match &*value {
            value if way.is_empty() => ask.see(value),
            Value::Record(record) => record.find(way, ask),
            _ => Answer::Missing,
        };
        if value.owns() {
            drop(ManuallyDrop::into_inner(value));
        }
        answer
    }
}

impl<'a> Lend<'a> for Option<Value<'a>> {
    #[inline]
    fn value(self) -> Option<Value<'a>> {
        self
    }

    #[expect(clippy::inline_always, reason = "measured, see the trait")]
    #[inline(always)]
    fn follow(self, way: Way<'_>, ask: &mut Ask<'_>) -> Answer {
        match self {
            Some(value) => value.follow(way, ask),
            None => Answer::Missing,
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
    fn follow(self, way: Way<'_>, ask: &mut Ask<'_>) -> Answer {
        if way.is_empty() { ask.see(&Value::record(&self.0)) } else { self.0.find(way, ask) }
    }
}

impl<'a, T: Record + 'a> Lend<'a> for Option<View<T>> {
    #[inline]
    fn value(self) -> Option<Value<'a>> {
        self?.value()
    }

    #[expect(clippy::inline_always, reason = "measured, see the trait")]
    #[inline(always)]
    fn follow(self, way: Way<'_>, ask: &mut Ask<'_>) -> Answer {
        match self {
            Some(view) => view.follow(way, ask),
            None => Answer::Missing,
        }
    }
}

/// A record made for the occasion, and null where there is nothing to make it of.
pub struct OrNull<T>(pub Option<T>);

impl<'a, T: Record + 'a> Lend<'a> for OrNull<T> {
    #[inline]
    fn value(self) -> Option<Value<'a>> {
        self.0.map_or(Some(Value::Null), |made| View(made).value())
    }

    #[expect(clippy::inline_always, reason = "measured, see the trait")]
    #[inline(always)]
    fn follow(self, way: Way<'_>, ask: &mut Ask<'_>) -> Answer {
        match self.0 {
            Some(made) => View(made).follow(way, ask),
            None => Value::Null.follow(way, ask),
        }
    }
}

/// A reference, or a value made for the occasion.
pub enum Lent<'a, T: ?Sized> {
    /// Part of the host's own data.
    Borrowed(&'a T),
    /// Made by the host when it was asked.
    Made(Box<T>),
}

impl<T: ?Sized> Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Lent::Borrowed(lent) => lent,
            Lent::Made(made) => made,
        }
    }
}

impl<'a> Value<'a> {
    /// Whether there is anything to drop.
    #[inline]
    fn owns(&self) -> bool {
        matches!(self, Value::Text(Cow::Owned(_)) | Value::List(Lent::Made(_)) | Value::Record(Lent::Made(_)))
    }

    /// Text that the host holds.
    pub fn text(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }

    /// A record that the host holds.
    pub fn record(record: &'a (dyn Record + 'a)) -> Self {
        Value::Record(Lent::Borrowed(record))
    }

    /// A list that the host holds.
    pub fn list(list: &'a (dyn List + 'a)) -> Self {
        Value::List(Lent::Borrowed(list))
    }
}

impl List for &'static [&'static str] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn at(&self, index: usize) -> Option<Value<'_>> {
        self.get(index).map(|text| Value::text(text))
    }
}

/// Implements [`Record`] from one list of fields, so that what a filter finds and what is printed cannot differ.
///
/// Keys stand in ascending order (checked when compiling). A field's expression is a [`Value`] or a [`View`], an `Option` of
/// either where the field may be absent, or an [`OrNull`]. `json EXPRESSION` after the fields lends [`Record::json`].
///
/// ```
/// use kfl::{Record, Value};
///
/// struct Answer { code: i64, note: Option<String> }
///
/// kfl::record! {
///     impl Record for Answer as answer {
///         "code" => Value::Int(answer.code),
///         "note" => answer.note.as_deref().map(Value::text),
///     }
/// }
///
/// let answer = Answer { code: 200, note: None };
/// assert!(matches!(answer.get("code"), Some(Value::Int(200))));
/// assert!(answer.get("note").is_none());
/// ```
#[macro_export]
macro_rules! record {
    (impl Record for $type:ty as $this:ident { $($key:literal => $value:expr,)+ } $(json $json:expr)?) => {
        const _: () = assert!($crate::ascending(&[$($key),+]), "the keys of a record stand in ascending order");

        impl $crate::Record for $type {
            fn get(&self, key: &str) -> Option<$crate::Value<'_>> {
                self.field($crate::Key::new(key))
            }

            fn field(&self, key: $crate::Key<'_>) -> Option<$crate::Value<'_>> {
                let $this = self;
                let place = Self::names().find(key)?;
                // Compiles to a jump.
                $(
                    if place == const { $crate::place(<$type>::KEYS, $key) } {
                        return $crate::Lend::value($value);
                    }
                )+
                None
            }

            fn find(&self, way: $crate::Way<'_>, ask: &mut $crate::Ask<'_>) -> $crate::Answer {
                let $this = self;
                let Some((place, rest)) = Self::names().step(way) else { return $crate::Answer::Missing };
                $(
                    if place == const { $crate::place(<$type>::KEYS, $key) } {
                        return $crate::Lend::follow($value, rest, ask);
                    }
                )+
                $crate::Answer::Missing
            }

            fn keys(&self) -> Option<&'static [&'static str]> {
                Some(<$type>::KEYS)
            }

            $(
                fn json(&self) -> Option<&[u8]> {
                    let $this = self;
                    Some($json)
                }
            )?

            fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, $crate::Value<'a>)) {
                let $this = self;
                $(
                    if let Some(value) = $crate::Lend::value($value) {
                        visit($key, value);
                    }
                )+
            }

            fn write_json(&self, out: &mut Vec<u8>) {
                if let Some(json) = self.json() {
                    out.extend_from_slice(json);
                } else {
                    self.write_fields(out);
                }
            }
        }

        impl $type {
            const KEYS: &'static [&'static str] = &[$($key),+];

            /// The keys, to be looked up.
            #[inline]
            fn names()
            -> &'static $crate::Names<{ [$($key),+].len() }, { $crate::slots([$($key),+].len()) }> {
                const KEYS: &[&str] = &[$($key),+];
                static NAMES: $crate::Names<{ KEYS.len() }, { $crate::slots(KEYS.len()) }> = $crate::Names::new(KEYS);
                &NAMES
            }

            /// Appends the record as JSON, field by field.
            fn write_fields(&self, out: &mut Vec<u8>) {
                let $this = self;
                let start = out.len();
                $(
                    if let Some(value) = $crate::Lend::value($value) {
                        $crate::print::field(out, concat!(",\"", $key, "\":"), &value);
                    }
                )+
                $crate::print::object(out, start);
            }
        }
    };
}

/// Where `key` stands among `keys`.
#[doc(hidden)]
pub const fn place(keys: &[&str], key: &str) -> u8 {
    let mut index = 0;
    while index < keys.len() {
        if !less(keys[index].as_bytes(), key.as_bytes()) {
            return index as u8;
        }
        index += 1;
    }
    panic!("the key is one of the keys");
}

/// Whether each text is greater than the one before it, byte by byte.
#[doc(hidden)]
pub const fn ascending(texts: &[&str]) -> bool {
    let mut index = 1;
    while index < texts.len() {
        if !less(texts[index - 1].as_bytes(), texts[index].as_bytes()) {
            return false;
        }
        index += 1;
    }
    true
}

const fn less(left: &[u8], right: &[u8]) -> bool {
    let mut index = 0;
    while index < left.len() && index < right.len() {
        if left[index] != right[index] {
            return left[index] < right[index];
        }
        index += 1;
    }
    left.len() < right.len()
}
