//! JSON in and out of JavaScript.
//!
//! Boa's own `JSON.parse` compiles its text as a script and never frees the strings in it, so both functions are our
//! own: in one pass, bounded in depth, with the same results.

mod parse;
mod stringify;

use boa_engine::{Context, JsResult, NativeFunction, js_string, object::FunctionObjectBuilder};

pub(crate) use parse::{from_value, parse};
pub(crate) use stringify::{name, show, stringify};

/// Puts both functions where scripts find them.
pub(crate) fn install(context: &mut Context, nesting: usize) -> JsResult<()> {
    let json = context.global_object().get(js_string!("JSON"), context)?;
    let Some(json) = json.as_object() else { return Ok(()) };
    let parse = NativeFunction::from_fn_ptr(parse::native);
    let stringify =
        NativeFunction::from_copy_closure(move |_, args, context| stringify::native(nesting, args, context));
    for (name, length, function) in [(js_string!("parse"), 2, parse), (js_string!("stringify"), 3, stringify)]
    {
        let function = FunctionObjectBuilder::new(context.realm(), function)
            .name(name.clone())
            .length(length)
            .constructor(false)
            .build();
        json.set(name, function, true, context)?;
    }
    Ok(())
}
