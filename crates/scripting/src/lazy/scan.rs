//! Where the members of an object's text are, without reading them.

use memchr::memchr2;

/// From, to.
pub(crate) type Span = (u32, u32);

pub(super) fn slice(text: &[u8], (from, to): Span) -> &[u8] {
    text.get(from as usize..to as usize).unwrap_or_default()
}

/// Calls `member` with each key's span (without its quotes) and each value's. `None` where the text is no object, or
/// `member` has enough.
pub(super) fn members(text: &[u8], at: Span, mut member: impl FnMut(Span, Span) -> Option<()>) -> Option<()> {
    let mut at = at.0 as usize;
    at = blanks(text, at);
    if *text.get(at)? != b'{' {
        return None;
    }
    at = blanks(text, at + 1);
    if *text.get(at)? == b'}' {
        return Some(());
    }
    loop {
        let key_end = string(text, at)?;
        let key = (at as u32 + 1, key_end as u32 - 1);
        at = blanks(text, key_end);
        if *text.get(at)? != b':' {
            return None;
        }
        at = blanks(text, at + 1);
        let end = value(text, at)?;
        member(key, (at as u32, end as u32))?;
        at = blanks(text, end);
        match *text.get(at)? {
            b',' => at = blanks(text, at + 1),
            b'}' => return Some(()),
            _ => return None,
        }
    }
}

fn blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Behind the string that begins here.
fn string(text: &[u8], at: usize) -> Option<usize> {
    if *text.get(at)? != b'"' {
        return None;
    }
    let mut at = at + 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the value that begins here.
fn value(text: &[u8], at: usize) -> Option<usize> {
    match *text.get(at)? {
        b'"' => string(text, at),
        b'{' | b'[' => {
            let mut depth = 0_u32;
            let mut at = at;
            loop {
                match *text.get(at)? {
                    b'"' => {
                        at = string(text, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
        }
        _ => {
            let rest = text.get(at..)?;
            let len = rest
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
            let len = len.unwrap_or(rest.len());
            (len > 0).then_some(at + len)
        }
    }
}

/// Whether JavaScript would write this JSON, which has no blanks, just so: not where a number has an exponent, ends in
/// `.0` or is beyond the integers of a double, nor where a key begins with a digit, since such keys may go first.
pub(super) fn is_canonical(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at = match byte {
            b'"' => match string(text, at) {
                Some(end) if text.get(end) == Some(&b':') && text[at + 1].is_ascii_digit() => return false,
                Some(end) => end,
                None => return false,
            },
            b'-' | b'0'..=b'9' => {
                let number = &text[at..];
                let len = number.iter().position(|byte| matches!(byte, b',' | b'}' | b']'));
                let number = &number[..len.unwrap_or(number.len())];
                let is_plain = number.iter().all(|byte| matches!(byte, b'-' | b'.' | b'0'..=b'9'));
                if !is_plain || number.ends_with(b".0") || number.len() > 15 && !number.contains(&b'.') {
                    return false;
                }
                at + number.len()
            }
            _ => at + 1,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_javascript_writes_otherwise_is_known() {
        for same in
            [r#"{"a":1,"b":[-2.5,{"c":"1.0 9"}],"d1":null}"#, "0", "-12.25", r#""1""#, "123456789012345"]
        {
            assert!(is_canonical(same.as_bytes()), "{same}");
        }
        for other in
            ["-629457177.0", "[1,-0.0]", "1e3", "1E3", "12345678901234567", r#"{"b":1,"10":2}"#, "\"a"]
        {
            assert!(!is_canonical(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn members_are_found_whatever_they_hold() {
        let text = br#" { "a" : 1 , "b":"x\"},{", "c\\":[1,{"d":"]"},[]],"e":{},"f":null}"#;
        let mut found = Vec::new();
        let whole = members(text, (0, text.len() as u32), |key, value| {
            let text = |span| String::from_utf8_lossy(slice(text, span)).into_owned();
            found.push((text(key), text(value)));
            Some(())
        });
        assert_eq!(whole, Some(()));
        let expected =
            [("a", "1"), ("b", r#""x\"},{""#), (r"c\\", r#"[1,{"d":"]"},[]]"#), ("e", "{}"), ("f", "null")];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn half_a_text_is_no_object() {
        let text = br#"{"a":{"b":"c"},"d":[1,2]}"#;
        for end in 0..text.len() {
            assert_eq!(members(&text[..end], (0, end as u32), |_, _| Some(())), None, "{end}");
        }
    }
}
