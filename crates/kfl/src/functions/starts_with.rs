//! Whether the text of a field starts with the given text.

use super::Function;
use crate::program::TextTest;

pub(super) const FUNCTION: Function = Function {
    name: "startsWith",
    signature: "field.startsWith(\"text\")",
    about: "whether the field starts with the given text",
    compile: |compiler, used| used.text_test(compiler, TextTest::StartsWith),
};
