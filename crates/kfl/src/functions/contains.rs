//! Whether the text of a field contains the given text.

use super::Function;

pub(super) const FUNCTION: Function = Function {
    name: "contains",
    signature: "field.contains(\"text\")",
    about: "whether the field contains the given text",
    compile: |compiler, used| used.text_test(compiler, |text, part| text.contains(part)),
};
