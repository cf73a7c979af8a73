//! Records as JSON text, keys in their order, straight into the caller's buffer.
//!
//! Most of the time of a busy host goes by here, so what is written most has a short way: names of fields that are known
//! when compiling, short texts that need no escape, whole numbers, bytes in base64.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::record::{Record, Value};

/// Appends the JSON object of `record`. A float that JSON cannot write becomes null.
pub fn write_record(out: &mut Vec<u8>, record: &dyn Record) {
    record.write_json(out);
}

/// Appends a field whose name is written already, with the comma before it and the colon after it.
#[doc(hidden)]
#[inline]
pub fn field(out: &mut Vec<u8>, name: &'static str, value: &Value<'_>) {
    out.extend_from_slice(name.as_bytes());
    write_value(out, value);
}

/// Makes an object of the fields that were appended since `start`: the first comma becomes the brace.
#[doc(hidden)]
pub fn object(out: &mut Vec<u8>, start: usize) {
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

/// Appends the JSON object of a record whose names are not known when compiling.
pub(crate) fn write_fields(out: &mut Vec<u8>, each: impl FnOnce(&mut dyn FnMut(&str, &Value<'_>))) {
    let start = out.len();
    each(&mut |key, value| {
        out.push(b',');
        write_text(out, key);
        out.push(b':');
        write_value(out, value);
    });
    object(out, start);
}

#[inline]
pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => write_int(out, *number),
        Value::Text(text) => write_text(out, text),
        Value::Digits(number) => {
            out.push(b'"');
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            out.push(b'"');
        }
        Value::Address(address) => {
            out.push(b'"');
            write_address(out, **address);
            out.push(b'"');
        }
        Value::Base64(bytes) => write_base64(out, bytes),
        Value::Record(record) => record.write_json(out),
        Value::Float(number) => serialise(out, number),
        Value::List(list) => {
            out.push(b'[');
            for (index, item) in (0..list.len()).filter_map(|index| list.at(index)).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, &item);
            }
            out.push(b']');
        }
    }
}

/// As the standard library prints it, faster where it is of IPv4.
fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        return out.extend_from_slice(address.to_string().as_bytes());
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        write_int(out, octet.into());
    }
}

fn write_int(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
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
    let written =
        out.get_mut(start..).and_then(|room| STANDARD.encode_slice(bytes, room).ok()).unwrap_or_default();
    out.truncate(start + written);
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
    fn addresses_are_written_as_the_standard_library_writes_them() {
        for text in ["0.0.0.0", "10.0.41.65", "255.255.255.255", "::1", "fe80::1:2", "::ffff:1.2.3.4"] {
            let mut written = Vec::new();
            write_address(&mut written, text.parse().unwrap());
            assert_eq!(written, text.as_bytes());
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
