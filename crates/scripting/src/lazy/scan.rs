//! Where the members of an object's text are, without reading them.

use memchr::memchr2;

/// From, to.
pub(crate) type Span = (u32, u32);

pub(super) fn slice(text: &[u8], (from, to): Span) -> &[u8] {
    text.get(from as usize..to as usize).unwrap_or_default()
}

/// Walks the members of the object at this place. `key` is told where a key begins, at its opening quote, and tells what
/// is behind the closing one; `member` is told where the value is. `None` where the text is no object, or either has
/// enough.
pub(super) fn members(
    text: &[u8],
    at: Span,
    mut key: impl FnMut(usize) -> Option<usize>,
    mut member: impl FnMut(Span),
) -> Option<()> {
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
        at = blanks(text, key(at)?);
        if *text.get(at)? != b':' {
            return None;
        }
        at = blanks(text, at + 1);
        let end = value(text, at)?;
        member((at as u32, end as u32));
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

/// Strings are searched through byte by byte so far: most of them are keys and short values, and a search for long ones
/// takes as long to set up.
const SHORT: usize = 24;

/// Behind the string that begins here.
pub(super) fn string(text: &[u8], at: usize) -> Option<usize> {
    if *text.get(at)? != b'"' {
        return None;
    }
    let mut at = at + 1;
    loop {
        let rest = text.get(at..)?;
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\');
        at += match rest.iter().take(SHORT).position(is_end) {
            Some(short) => short,
            None => SHORT + memchr2(b'"', b'\\', rest.get(SHORT..)?)?,
        };
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
        b'{' | b'[' => container(text, at),
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

/// Behind the object or the array that begins here.
fn container(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_u32;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_whatever_they_hold() {
        let text = br#" { "a" : 1 , "b":"x\"},{", "c\\":[1,{"d":"]"},[]],"e":{},"f":null}"#;
        let cut = |span| String::from_utf8_lossy(slice(text, span)).into_owned();
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let key = |at| {
            let end = string(text, at)?;
            keys.push(cut((at as u32 + 1, end as u32 - 1)));
            Some(end)
        };
        let whole = members(text, (0, text.len() as u32), key, |value| values.push(cut(value)));
        assert_eq!(whole, Some(()));
        let found: Vec<_> = keys.into_iter().zip(values).collect();
        let expected =
            [("a", "1"), ("b", r#""x\"},{""#), (r"c\\", r#"[1,{"d":"]"},[]]"#), ("e", "{}"), ("f", "null")];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn half_a_text_is_no_object() {
        let text = br#"{"a":{"b":"c"},"d":[1,2]}"#;
        for end in 0..text.len() {
            let text = &text[..end];
            assert_eq!(members(text, (0, end as u32), |at| string(text, at), |_| {}), None, "{end}");
        }
    }

    #[test]
    fn strings_end_where_they_end_however_long_they_are() {
        for len in 0..3 * SHORT {
            for inside in ["", "\\\"", "\\\\"] {
                let text = format!("\"{}{inside}\"}}\"", "x".repeat(len));
                assert_eq!(string(text.as_bytes(), 0), Some(text.len() - 2), "{text}");
            }
        }
    }
}
