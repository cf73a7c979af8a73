//! Whether the text of a field ends with the given text.

use super::Function;
use crate::program::TextTest;

pub(super) const FUNCTION: Function = Function {
    name: "endsWith",
    signature: "field.endsWith(\"text\")",
    about: "whether the field ends with the given text",
    compile: |compiler, used| used.text_test(compiler, TextTest::EndsWith),
};
