//! Parameters in a query string or a body: RFC 3986, the URL standard's `x-www-form-urlencoded`, RFC 7578.

/// One parameter of a posted form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Param {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) file_name: Option<String>,
    pub(super) content_type: Option<String>,
}

kfl::record! {
    impl Record for Param as param {
        "contentType" => param.content_type.as_deref().map(kfl::Value::text),
        "fileName" => param.file_name.as_deref().map(kfl::Value::text),
        "name" => kfl::Value::text(&param.name),
        "value" => param.value.as_deref().map(kfl::Value::text),
    }
}

impl Param {
    pub(super) fn heap_size(&self) -> usize {
        let optional = [&self.value, &self.file_name, &self.content_type];
        size_of::<Self>() + self.name.len() + optional.into_iter().flatten().map(String::len).sum::<usize>()
    }
}

/// The pairs of `a=1&b=2`, decoded, in the order of the text.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (plus_decoded(name), plus_decoded(value))
    })
}

fn plus_decoded(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    lossy(unescape(&text.replace('+', " ")).0)
}

/// A path without its escapes; `None` if one is not `%` and two hexadecimal digits.
pub(super) fn unescaped_path(text: &str) -> Option<String> {
    let (bytes, whole) = unescape(text);
    whole.then(|| lossy(bytes))
}

/// Replaces escapes; one that is none stays as it is, and the answer says so.
fn unescape(text: &str) -> (Vec<u8>, bool) {
    let (mut out, mut whole) = (Vec::with_capacity(text.len()), true);
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            out.push(*first);
        } else if let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high * 16 + low);
            rest = after;
        } else {
            whole = false;
            out.push(b'%');
        }
    }
    (out, whole)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The value of a parameter of a field: `boundary` of `multipart/form-data; boundary=x`.
pub(super) fn field_param<'a>(field: &'a str, wanted: &str) -> Option<&'a str> {
    field.split(';').skip(1).find_map(|param| {
        let (name, value) = param.split_once('=')?;
        let value = value.trim();
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
    })
}

/// The parts of a `multipart/form-data` body, at most `most`; whether that was all.
pub(super) fn multipart(body: &[u8], boundary: &str, most: usize) -> (Vec<Param>, bool) {
    let delimiter = format!("--{boundary}");
    let mut params = Vec::new();
    let mut rest = body;
    let mut at = find(rest, delimiter.as_bytes());
    while let Some(start) = at {
        rest = rest.get(start + delimiter.len()..).unwrap_or_default();
        let Some(part) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) else {
            break; // `--` after the last one.
        };
        if params.len() == most {
            return (params, false);
        }
        at = find(part, delimiter.as_bytes());
        let content = part.get(..at.unwrap_or(part.len())).unwrap_or_default();
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        params.push(self::part(content.strip_suffix(b"\r").unwrap_or(content)));
        rest = part;
    }
    (params, true)
}

fn part(content: &[u8]) -> Param {
    let (head, value) = match find(content, b"\r\n\r\n") {
        Some(end) => (content.get(..end), content.get(end + 4..)),
        None => (None, Some(content)),
    };
    let mut param =
        Param { value: value.map(|value| String::from_utf8_lossy(value).into_owned()), ..Param::default() };
    for line in String::from_utf8_lossy(head.unwrap_or_default()).lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("content-disposition") {
            field_param(value, "name").unwrap_or_default().clone_into(&mut param.name);
            param.file_name = field_param(value, "filename").map(str::to_owned);
        } else if name.trim().eq_ignore_ascii_case("content-type") {
            param.content_type = Some(value.trim().to_owned());
        }
    }
    param
}

/// Where `needle`, which is not empty, first stands. Linear for needles that begin with a rare byte, and bounded by
/// the product of both lengths, of which the needle's is at most a boundary's.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = 0;
    while let Some(found) = bytes.get(at..)?.iter().position(|byte| *byte == first) {
        at += found;
        if bytes.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Param, field_param, multipart, pairs, unescaped_path};

    #[test]
    fn decodes_pairs() {
        for (text, wanted) in [
            ("", vec![]),
            ("a=1&b=2&a=3", vec![("a", "1"), ("b", "2"), ("a", "3")]),
            ("q=a+b%20c&&x", vec![("q", "a b c"), ("x", "")]),
            ("%zz=%4&e=%C3%A9", vec![("%zz", "%4"), ("e", "é")]),
            ("k=a=b", vec![("k", "a=b")]),
        ] {
            let found: Vec<_> = pairs(text).collect();
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, wanted, "{text}");
        }
        assert_eq!(unescaped_path("/a%20b+c").as_deref(), Some("/a b+c"));
        assert_eq!(unescaped_path("/a%2"), None);
    }

    #[test]
    fn reads_multipart() {
        let body = b"preamble\r\n--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--X\r\n\
            Content-Disposition: form-data; name=f; filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\ntwo\r\nlines\r\n--X--\r\n";
        let one = Param { name: "a".into(), value: Some("one".into()), ..Param::default() };
        let two = Param {
            name: "f".into(),
            value: Some("two\r\nlines".into()),
            file_name: Some("f.txt".into()),
            content_type: Some("text/plain".into()),
        };
        assert_eq!(field_param("multipart/form-data; charset=x; Boundary=\"X\"", "boundary"), Some("X"));
        let (params, all) = multipart(body, "X", 10);
        assert!(all);
        assert_eq!(params, [one, two]);
        let (params, all) = multipart(body, "X", 1);
        assert_eq!((params.len(), all), (1, false));
    }
}
