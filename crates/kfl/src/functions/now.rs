//! The moment at which the query was made, the same for every record.

use super::Function;
use crate::{compile::constant, error::Fault, value::Datum};

/// The only helper that may be written without parentheses.
pub(crate) const NAME: &str = "now";

pub(super) const FUNCTION: Function = Function {
    name: NAME,
    signature: "now()",
    about: "the moment the query was made, in milliseconds since 1970",
    compile: |compiler, used| {
        used.no_tail()?;
        if let Some(argument) = used.call.arguments.first() {
            let fault = Fault::new(argument.value.span.clone(), "now() takes no argument");
            return Err(
                fault.suggest("for another moment write seconds(-5), minutes(-5), hours(-5), days(-5)")
            );
        }
        Ok(constant(Datum::Int(compiler.now())))
    },
};
