//! Records as JSON text, keys in alphabetical order, straight into the caller's buffer.

use base64::{Engine, engine::general_purpose::STANDARD};
use kfl::{Record, Value};

/// Appends the JSON object of `record`.
pub fn write_record(out: &mut Vec<u8>, record: &dyn Record) {
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
        Value::Int(number) => serialise(out, number),
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
    serialise(out, text);
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
