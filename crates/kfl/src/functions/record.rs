//! The records of one recording. There are no recordings yet, so nothing is in one.

use super::Function;
use crate::{compile::constant, value::Datum};

pub(super) const FUNCTION: Function = Function {
    name: "record",
    signature: "record(\"name\")",
    about: "whether the record belongs to the recording of this name; false as long as there are no recordings",
    compile: |compiler, used| {
        used.no_tail()?;
        match used.constant(compiler)? {
            Datum::Text(_) => Ok(constant(Datum::Bool(false))),
            _ => Err(used.wrong("takes the name of a recording in quotes")),
        }
    },
};
