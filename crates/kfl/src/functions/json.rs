//! A look into the JSON that a field holds, in base64 or plain.

use super::Function;
use crate::{document::Format, program::Node};

pub(super) const FUNCTION: Function = Function {
    name: "json",
    signature: "field.json().path.inside",
    about: "the first thing at the path inside the JSON that the field holds; false where there is none",
    compile: |compiler, used| {
        used.unused(compiler, 0)?;
        Ok(Node::Select(compiler.document(used.path, Format::Json, &used.call.tail)))
    },
};
