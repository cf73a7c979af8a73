//! What can be told of a script before it is run.

/// The title: the first comment's first line with something on it.
pub fn title(code: &str) -> String {
    let mut rest = code;
    while let Some(at) = rest.find(['/', '"', '\'', '`']) {
        rest = &rest[at..];
        let mut chars = rest.chars();
        let (first, second) = (chars.next(), chars.next());
        if first == Some('/') {
            let comment = match second {
                Some('/') => rest[2..].lines().next(),
                Some('*') => rest[2..].split("*/").next(),
                _ => None,
            };
            if let Some(comment) = comment {
                let lines = comment.lines().map(|line| line.trim().trim_start_matches('*').trim());
                return lines.into_iter().find(|line| !line.is_empty()).unwrap_or_default().to_owned();
            }
            rest = &rest[1..];
        } else if let Some(quote) = first {
            rest = behind_string(&rest[1..], quote);
        }
    }
    String::new()
}

/// The text behind the string that this is the inside of.
fn behind_string(text: &str, quote: char) -> &str {
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        if char == '\\' {
            chars.next();
        } else if char == quote || (char == '\n' && quote != '`') {
            return &text[at + char.len_utf8()..];
        }
    }
    ""
}

/// How deep brackets nest in a text, strings and comments included.
pub(crate) fn nesting(code: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in code.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_comment_is_the_title() {
        for (code, expected) in [
            ("// Alert on 5xx \nvar a;", "Alert on 5xx"),
            ("var url = 'http://x'; // Real", "Real"),
            ("/**\n * Block title\n * more\n */", "Block title"),
            ("var a = 'it\\'s // no';\n/* yes */", "yes"),
            ("a = 1 / 2;", ""),
            ("", ""),
            ("// ", ""),
            ("\"unended // x", ""),
        ] {
            assert_eq!(title(code), expected, "{code}");
        }
    }

    #[test]
    fn brackets_are_counted() {
        assert_eq!(nesting("f(a[{}])"), 3);
        assert_eq!(nesting(&"(".repeat(20_000)), 20_000);
        assert_eq!(nesting(")))("), 1);
    }
}
