//! Whether the text of a field ends with the given text.

use super::Function;

pub(super) const FUNCTION: Function = Function {
    name: "endsWith",
    signature: "field.endsWith(\"text\")",
    about: "whether the field ends with the given text",
    compile: |compiler, used| used.text_test(compiler, |text, end| text.ends_with(end)),
};
