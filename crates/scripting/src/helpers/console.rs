//! `console.*`.

use boa_engine::{JsResult, JsValue};

use super::{Call, Helper};
use crate::wire::LineKind;

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "console.log",
        signature: "console.log(...args: any[]): void",
        doc: "Writes a line to the console: the arguments, joined with blanks.",
        call: |call| write(call, LineKind::Log),
    },
    Helper {
        name: "console.error",
        signature: "console.error(...args: any[]): void",
        doc: "Writes a line to the console, marked as an error.",
        call: |call| write(call, LineKind::Error),
    },
    Helper {
        name: "console.clear",
        signature: "console.clear(): void",
        doc: "Empties the console of everyone who watches it.",
        call: |call| {
            call.print(LineKind::Clear, "");
            Ok(JsValue::undefined())
        },
    },
];

fn write(call: &mut Call<'_>, kind: LineKind) -> JsResult<JsValue> {
    let words = (0..call.len()).map(|at| call.shown(at)).collect::<JsResult<Vec<_>>>()?;
    call.print(kind, &words.join(" "));
    Ok(JsValue::undefined())
}
