//! How many records a query asks for. The host counts them; as a term the helper is true.

use super::Function;
use crate::{compile::constant, value::Datum};

pub(super) const FUNCTION: Function = Function {
    name: "limit",
    signature: "limit(100)",
    about: "true; the query ends after so many records (0: no limit)",
    compile: |compiler, used| {
        used.no_tail()?;
        let asked = match used.constant(compiler)? {
            Datum::Int(int) if int >= 0 => int as u64,
            // A fraction is cut off, and so is what no counter reaches.
            Datum::Float(float) if float >= 0.0 => float as u64,
            _ => return Err(used.wrong("takes a number from 0")),
        };
        if compiler.limit.is_none() && asked > 0 {
            compiler.limit = Some(asked);
        }
        Ok(constant(Datum::Bool(true)))
    },
};
