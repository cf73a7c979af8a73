//! Whether the text of a field contains the given text.

use super::Function;
use crate::program::TextTest;

pub(super) const FUNCTION: Function = Function {
    name: "contains",
    signature: "field.contains(\"text\")",
    about: "whether the field contains the given text",
    compile: |compiler, used| used.text_test(compiler, TextTest::Contains),
};
