//! How a host lends its fields to a filter.
//!
//! A filter asks for one field after the other by name, as a path goes down (`response`, then `status`), so a host
//! converts only what a query reads. The same two traits describe a record whole, key by key in alphabetical order,
//! so that a host may also print from them: what can be filtered and what can be seen are then one list.

use std::{borrow::Cow, net::IpAddr, ops::Deref};

use crate::{
    ask::{Answer, Ask, Question},
    key::{Key, Way},
    lend::follow,
    print,
    sieve::{Probe, Reach},
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
            Some((key, rest)) => follow(self.field(key), rest, ask),
            None => Answer::Missing,
        }
    }

    /// What answers a question about the record of this type that `reach` finds in each `R`. Where this type knows its
    /// fields, they are found here, once for all.
    fn probe<R: 'static>(question: Question, reach: impl Reach<R, Self>) -> Probe<R>
    where
        Self: Sized + 'static,
    {
        Box::new(move |record| reach(record).find(question.way(), &mut question.ask()))
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
    Address(&'a IpAddr),
    /// Text that is the standard base64 (RFC 4648 §4, padded) of these bytes, encoded only when somebody reads it.
    Base64(&'a [u8]),
    /// Items by position.
    List(Lent<'a, dyn List + 'a>),
    /// Fields by name.
    Record(Lent<'a, dyn Record + 'a>),
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
    pub(crate) fn owns(&self) -> bool {
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
/// Keys stand in ascending order (checked when compiling). A field's expression is a [`Value`], an `Option<Value>` where
/// the field may be absent, or anything else that is [`Lend`](crate::Lend). A field that is a reference to another such
/// record says the type of that after its key (`"peer": Peer => &call.peer`), and a [`Sieve`](crate::Sieve) then goes
/// through it straight to what it asks for. `json EXPRESSION` after the fields lends [`Record::json`].
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
    (impl Record for $type:ty as $this:ident { $($key:literal $(: $nested:ty)? => $value:expr,)+ } $(json $json:expr)?) => {
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
                        return $crate::follow($value, rest, ask);
                    }
                )+
                $crate::Answer::Missing
            }

            fn probe<R: 'static>(
                question: $crate::Question,
                reach: impl $crate::Reach<R, Self>,
            ) -> $crate::Probe<R>
            where
                Self: Sized + 'static,
            {
                let field = question.split().and_then(|(key, rest)| Some((Self::names().find(key)?, rest)));
                let Some((place, rest)) = field else { return Box::new(|_| $crate::Answer::Missing) };
                $(
                    if place == const { $crate::place(<$type>::KEYS, $key) } {
                        return $crate::probe!(rest reach $this ($value) $($nested)?);
                    }
                )+
                Box::new(|_| $crate::Answer::Missing)
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

/// What answers the rest of a question about one field of a record, which may be another record of a known type.
#[doc(hidden)]
#[macro_export]
macro_rules! probe {
    ($rest:ident $reach:ident $this:ident ($value:expr)) => {
        if $rest.way().is_empty() {
            Box::new(move |record: &R| {
                let $this = $reach(record);
                // Some fields are the same in every record.
                let _ = $this;
                $crate::Lend::see($value, |value| value.map_or($crate::Answer::Missing, |value| $rest.see(value)))
            })
        } else {
            Box::new(move |record: &R| {
                let $this = $reach(record);
                let _ = $this;
                $crate::follow($value, $rest.way(), &mut $rest.ask())
            })
        }
    };
    ($rest:ident $reach:ident $this:ident ($value:expr) $nested:ty) => {
        if $rest.way().is_empty() {
            $crate::probe!($rest $reach $this ($value))
        } else {
            <$nested as $crate::Record>::probe($rest, move |record: &R| {
                let $this = $reach(record);
                $value
            })
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
