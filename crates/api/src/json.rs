//! Records as JSON text, keys in alphabetical order, straight into the caller's buffer.
//!
//! Most of the time of a busy worker goes by here, so what is written most (short texts that need no escape, whole
//! numbers, bodies in base64) has a short way.

use base64::{Engine, engine::general_purpose::STANDARD};
use kfl::{Record, Value};

/// Appends the JSON object of `record`.
pub fn write_record(out: &mut Vec<u8>, record: &dyn Record) {
    match record.json() {
        Some(json) => out.extend_from_slice(json),
        None => write_fields(out, record),
    }
}

/// Appends the JSON object of `record`, field by field.
pub(crate) fn write_fields(out: &mut Vec<u8>, record: &dyn Record) {
    let mut separator = b'{';
    record.each(&mut |key, value| {
        out.push(separator);
        separator = b',';
        write_text(out, key);
        out.push(b':');
        write_value(out, &value);
    });
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

fn write_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Float(number) => serialise(out, number),
        Value::Text(text) => write_text(out, text),
        Value::Base64(bytes) => write_base64(out, bytes),
        Value::List(list) => {
            out.push(b'[');
            for index in 0..list.len() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, &list.at(index).unwrap_or(Value::Null));
            }
            out.push(b']');
        }
        Value::Record(record) => write_record(out, &**record),
    }
}

/// Appends a JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    if needs_escape(text.as_bytes()) {
        serialise(out, text);
    } else {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

/// Whether a JSON string cannot hold these bytes as they are: quotes, backslashes and control characters (RFC 8259 §7).
fn needs_escape(bytes: &[u8]) -> bool {
    const fn every(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    /// The upper bit of every byte that is zero, and of no byte below the lowest such one.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(every(1)) & !word & every(0x80)
    }
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words = words.iter().any(|word| {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(every(0x20)) & !word & every(0x80);
        (control | zeros(word ^ every(b'"')) | zeros(word ^ every(b'\\'))) != 0
    });
    in_words || rest.iter().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'))
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("base64 has four characters for three bytes");
    out.push(b'"');
}

fn serialise<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value)
        .expect("numbers and texts always serialise, and a buffer always takes them");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_written_as_serde_writes_it() {
        for code in (0..0x2000).filter_map(char::from_u32) {
            for text in [
                format!("{code}"),
                format!("1234567{code}"),
                format!("12345678{code}12345678"),
                format!("ä{code}1234567ä"),
            ] {
                let mut written = Vec::new();
                write_text(&mut written, &text);
                assert_eq!(String::from_utf8(written).unwrap(), serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, expected) in
            [(&b""[..], "\"\""), (b"a", "\"YQ==\""), (b"ab", "\"YWI=\""), (b"abc", "\"YWJj\"")]
        {
            let mut written = Vec::new();
            write_base64(&mut written, bytes);
            assert_eq!(written, expected.as_bytes());
        }
    }
}
