//! The helpers of the language: one row in [`FUNCTIONS`], one file each.

mod contains;
mod datetime;
mod ends_with;
mod json;
mod limit;
mod now;
mod record;
mod redact;
mod starts_with;
mod units;
mod xml;

use crate::{
    ast::{Argument, Call, Part},
    compile::Compiler,
    error::Fault,
    nearest,
    program::{Node, Selection, TextTest},
    value::Datum,
};

pub(crate) use now::NAME as NOW;
pub(crate) use redact::{Path as RedactPath, path as redact_path};

/// A helper of the language.
pub struct Function {
    /// Its name, as it is called.
    pub name: &'static str,
    /// How it is written, for people.
    pub signature: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    pub(crate) compile: fn(&mut Compiler<'_>, &Use<'_>) -> Result<Node, Fault>,
}

/// Every helper, by name.
pub static FUNCTIONS: &[Function] = &[
    contains::FUNCTION,
    datetime::FUNCTION,
    units::DAYS,
    ends_with::FUNCTION,
    units::HOURS,
    json::FUNCTION,
    limit::FUNCTION,
    units::MINUTES,
    units::MONTHS,
    now::FUNCTION,
    record::FUNCTION,
    redact::FUNCTION,
    units::SECONDS,
    starts_with::FUNCTION,
    units::WEEKS,
    xml::FUNCTION,
    units::YEARS,
];

/// A call and the field it is called on.
pub(crate) struct Use<'a> {
    pub(crate) path: &'a [Part],
    pub(crate) call: &'a Call,
}

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

pub(crate) fn unknown(call: &Call) -> Fault {
    let fault = Fault::new(call.name_span.clone(), format!("unknown helper {}()", call.name));
    let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    let meant = nearest::nearest(&call.name, names.iter().copied());
    fault.suggest(match meant {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("the helpers are {}", names.join(", ")),
    })
}

impl Use<'_> {
    /// The first argument.
    fn first(&self) -> Result<&Argument, Fault> {
        self.call.arguments.first().ok_or_else(|| {
            let end = self.call.name_span.end;
            let message = format!("{}() lacks its argument", self.call.name);
            self.help(Fault::new(self.call.name_span.start..end, message))
        })
    }

    /// Finds the faults of the arguments from this one on, which are not used.
    fn unused(&self, compiler: &Compiler<'_>, from: usize) -> Result<(), Fault> {
        // What they ask for (a limit) is not heard.
        let mut aside = Compiler::new(compiler.options);
        let arguments = self.call.arguments.iter().skip(from);
        arguments.into_iter().try_for_each(|argument| aside.enclosed(&argument.value).map(drop))
    }

    /// The value of the first argument, which must not depend on the record.
    fn constant(&self, compiler: &mut Compiler<'_>) -> Result<Datum, Fault> {
        let argument = self.first()?;
        self.unused(compiler, 1)?;
        match compiler.enclosed(&argument.value)? {
            Node::Constant(constant) => Ok(constant.datum),
            _ => Err(self.wrong("takes a value that is written out, not a field")),
        }
    }

    /// The fault of a first argument that cannot be right.
    fn wrong(&self, why: &str) -> Fault {
        let span =
            self.call.arguments.first().map_or(self.call.name_span.clone(), |first| first.value.span.clone());
        self.help(Fault::new(span, format!("{}() {why}", self.call.name)))
    }

    fn help(&self, fault: Fault) -> Fault {
        match find(&self.call.name) {
            Some(function) => fault.suggest(format!("write `{}`", function.signature)),
            None => fault,
        }
    }

    /// Nothing can follow a helper that gives a plain value.
    fn no_tail(&self) -> Result<(), Fault> {
        if self.call.tail.is_empty() {
            return Ok(());
        }
        Err(Fault::new(self.call.tail_span.clone(), format!("nothing can follow {}()", self.call.name))
            .suggest("only json() and xml() are followed by a path"))
    }

    /// A helper that compares the text of its field with its argument.
    fn text_test(&self, compiler: &mut Compiler<'_>, test: TextTest) -> Result<Node, Fault> {
        self.no_tail()?;
        self.unused(compiler, 1)?;
        let argument = compiler.enclosed(&self.first()?.value)?;
        if let Node::Regex(_) = argument {
            return Err(self
                .wrong("takes a text, not a regex")
                .suggest("compare the field with the regex: == r\"…\""));
        }
        let selection = (!self.path.is_empty()).then(|| Selection::field(self.path));
        Ok(Node::Text(selection, test, Box::new(argument)))
    }
}
