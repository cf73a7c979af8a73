//! Names of fields as numbers: what a query asks for is looked up without comparing texts.
//!
//! A name's number is made once, when a query is compiled. A type's names are known when *it* is compiled, and so a
//! perfect hash of them is found then: to look a name up is a multiplication, a byte from a table, and one comparison.

use std::{fmt, ops::Deref};

/// A field's name and its number.
#[derive(Debug, Clone, Copy)]
pub struct Key<'k> {
    text: &'k str,
    code: u128,
    fold: u64,
}

/// Names up to this length, in bytes, differ if and only if their numbers do.
const EXACT: usize = 15;

impl<'k> Key<'k> {
    /// The key of a name.
    #[inline]
    pub const fn new(text: &'k str) -> Self {
        let code = code(text);
        Self { text, code, fold: fold(code) }
    }

    /// The name.
    #[inline]
    pub fn text(&self) -> &'k str {
        self.text
    }
}

/// The number of a name: the bytes of a short one and its length; of a longer one a hash (FNV-1a), whose uppermost
/// byte no short name has.
pub(crate) const fn code(text: &str) -> u128 {
    let bytes = text.as_bytes();
    let mut index = 0;
    if bytes.len() <= EXACT {
        let mut code = (bytes.len() as u128) << 120;
        while index < bytes.len() {
            code |= (bytes[index] as u128) << (8 * index);
            index += 1;
        }
        return code;
    }
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    (0xff << 120) | hash as u128
}

/// The number in the half of its bits, which finds the slot.
const fn fold(code: u128) -> u64 {
    (code as u64) ^ ((code >> 64) as u64).rotate_left(29)
}

/// A name in a query, its number made once.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    code: u128,
    text: Box<str>,
    fold: u64,
}

impl Name {
    #[inline]
    pub(crate) fn key(&self) -> Key<'_> {
        Key { text: &self.text, code: self.code, fold: self.fold }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let code = code(text);
        Name { code, fold: fold(code), text: text.into() }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Names to go down by, one after the other: what a compiled query asks a record with.
#[derive(Clone, Copy)]
pub struct Way<'w>(pub(crate) &'w [Name]);

impl<'w> Way<'w> {
    /// The first name, and the way behind it; `None` at the end.
    #[inline]
    pub fn split(self) -> Option<(Key<'w>, Way<'w>)> {
        let (first, rest) = self.0.split_first()?;
        Some((first.key(), Way(rest)))
    }

    /// Whether this is the end of the way.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// The names of a type's fields. `SLOTS` is [`slots`] of `N`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Names<const N: usize, const SLOTS: usize> {
    texts: [&'static str; N],
    codes: [u128; N],
    factor: u64,
    /// The place of the only name that may be meant.
    slots: [u8; SLOTS],
}

/// So many that most factors put no two of `names` names into one.
#[doc(hidden)]
pub const fn slots(names: usize) -> usize {
    let slots = (names * names).next_power_of_two();
    if slots < 2 { 2 } else { slots }
}

impl<const N: usize, const SLOTS: usize> Names<N, SLOTS> {
    /// The table of these names, each of which stands there once. For constants: it tries until it finds a factor.
    pub const fn new(names: &[&'static str]) -> Self {
        assert!(N < u8::MAX as usize && names.len() == N, "a record has less than 255 fields");
        let (mut texts, mut codes, mut index) = ([""; N], [0; N], 0);
        while index < N {
            texts[index] = names[index];
            codes[index] = code(names[index]);
            index += 1;
        }
        let mut factor: u64 = 0x9e37_79b9_7f4a_7c15;
        loop {
            let (mut slots, mut index) = ([u8::MAX; SLOTS], 0);
            while index < N {
                let slot = slot::<SLOTS>(fold(codes[index]), factor);
                if slots[slot] != u8::MAX {
                    break;
                }
                slots[slot] = index as u8;
                index += 1;
            }
            if index == N {
                return Self { texts, codes, factor, slots };
            }
            factor = factor.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(2);
        }
    }

    /// The place of the first name of a way, and the way behind it; `None` where it is not one of them.
    #[inline]
    pub fn step<'w>(&self, way: Way<'w>) -> Option<(u8, Way<'w>)> {
        let (key, rest) = way.split()?;
        Some((self.find(key)?, rest))
    }

    /// The place of a name; `None` where it is not one of them.
    #[inline]
    pub fn find(&self, key: Key<'_>) -> Option<u8> {
        let place = *self.slots.get(slot::<SLOTS>(key.fold, self.factor))?;
        let same = *self.codes.get(usize::from(place))? == key.code;
        let exact = key.code >> 120 <= EXACT as u128;
        (same && (exact || self.texts.get(usize::from(place)) == Some(&key.text))).then_some(place)
    }
}

#[inline]
const fn slot<const SLOTS: usize>(fold: u64, factor: u64) -> usize {
    (fold.wrapping_mul(factor) >> (64 - SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_name_and_no_other() {
        const NAMES: &[&str] =
            &["", "a", "b", "exactlyFifteenB", "exactlySixteenBy", "response", "seventeenBytesIsX", "ä"];
        static TABLE: Names<{ NAMES.len() }, { slots(NAMES.len()) }> = Names::new(NAMES);
        for (place, name) in NAMES.iter().enumerate() {
            assert_eq!(TABLE.find(Key::new(name)), Some(place as u8), "{name}");
        }
        for name in ["c", "aa", "a\0", "\0", "exactlyFifteenC", "exactlySixteenBz", "Response"] {
            assert_eq!(TABLE.find(Key::new(name)), None, "{name}");
        }
        // A name with the number of another, as FNV-1a may have it.
        let impostor = Key { text: "somethingElseSoLong", ..Key::new("seventeenBytesIsX") };
        assert_eq!(TABLE.find(impostor), None);
    }
}
