//! Whether a text is a script.

use boa_engine::{Context, JsError, Script, Source};

/// Parses a script; the error says what is wrong with it, and in which line and column, where Boa tells (of a literal
/// that does not end it does not).
///
/// The parser follows the text's nesting on its stack: what is nested deeply enough ends the process. Call it where that
/// does no harm.
pub fn check(code: &str) -> Result<(), String> {
    let mut context = Context::default();
    let told = |error: JsError| match error.try_native(&mut Context::default()) {
        Ok(native) => native.message().to_string(),
        Err(_) => error.to_string(),
    };
    Script::parse(Source::from_bytes(code), None, &mut context).map(drop).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_its_place() {
        assert_eq!(check("// comment\nvar a = /x'/; function f() { return this }"), Ok(()));
        assert_eq!(check(""), Ok(()));
        for (code, line, column) in [("var a = 1;\nvar b = ;", 2, 9), ("function (", 1, 10)] {
            let error = check(code).unwrap_err();
            assert!(error.contains(&format!("line {line}, col {column}")), "{code}: {error}");
        }
        assert_eq!(check("'never closed"), Err("unterminated string literal".to_owned()));
    }
}
