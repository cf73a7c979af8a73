//! Ways down into a record, and walking them without building anything.

use crate::{
    ask::{Answer, Ask},
    ast::{Part, literal_value},
    key::{Name, Way},
    limits,
    record::{Record, Value},
};
use std::ops::ControlFlow;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Into the field of this name.
    Key(Name),
    /// To the item at this position.
    Index(usize),
    /// To every field or item.
    Any,
    /// The next step is taken here and everywhere below.
    Deep,
    /// Into the JSON that a text holds. Only in the paths of `redact`.
    Json,
    /// Into the XML that a text holds. Only in the paths of `redact`.
    Xml,
}

/// What a visitor answers: go on, or enough.
pub(crate) type Flow = ControlFlow<()>;

/// Ends a visit: whether the visitor had enough is its own business.
pub(crate) fn done(_: Flow) {}

/// The steps of a path as typed.
pub(crate) fn steps(parts: &[Part]) -> Box<[Step]> {
    parts
        .iter()
        .filter_map(|part| match part {
            Part::Name(name) => Some(Step::Key(name.as_str().into())),
            Part::Key(typed) => Some(Step::Key(literal_value(typed).into())),
            Part::Index(index) => Some(Step::Index(usize::try_from(*index).unwrap_or(usize::MAX))),
            Part::Any => Some(Step::Any),
            Part::Deep => Some(Step::Deep),
            Part::Unused(_) => None,
        })
        .collect()
}

/// The names of a path that has nothing else.
pub(crate) fn names(steps: &[Step]) -> Option<Box<[Name]>> {
    steps.iter().map(|step| if let Step::Key(name) = step { Some(name.clone()) } else { None }).collect()
}

/// What `judge` says of the only value that names can lead to.
pub(crate) fn single(
    record: &dyn Record,
    names: &[Name],
    judge: impl Fn(&Value<'_>) -> bool,
) -> Option<bool> {
    match record.find(Way(names), &mut Ask::look(&mut |value| judge(value))) {
        Answer::Missing => None,
        answer => Some(answer == Answer::Yes),
    }
}

/// Visits what `steps` lead to from `record`, in the order of the record.
pub(crate) fn visit_record(
    record: &dyn Record,
    steps: &[Step],
    depth: usize,
    visit: &mut dyn FnMut(&Value<'_>) -> Flow,
) -> Flow {
    match steps {
        [Step::Key(key), rest @ ..] => match record.field(key.key()) {
            Some(value) => visit_value(&value, rest, depth + 1, visit),
            None => Flow::Continue(()),
        },
        [Step::Any, rest @ ..] => each_field(record, &mut |value| visit_value(value, rest, depth + 1, visit)),
        [Step::Deep, rest @ ..] if depth < limits::DOCUMENT_DEPTH => {
            visit_record(record, rest, depth, visit)?;
            each_field(record, &mut |value| visit_value(value, steps, depth + 1, visit))
        }
        _ => Flow::Continue(()),
    }
}

/// Visits what `steps` lead to from `value`.
pub(crate) fn visit_value(
    value: &Value<'_>,
    steps: &[Step],
    depth: usize,
    visit: &mut dyn FnMut(&Value<'_>) -> Flow,
) -> Flow {
    match (steps, value) {
        ([], _) => visit(value),
        (_, Value::Record(record)) => visit_record(&**record, steps, depth, visit),
        ([Step::Index(index), rest @ ..], Value::List(list)) => match list.at(*index) {
            Some(item) => visit_value(&item, rest, depth + 1, visit),
            None => Flow::Continue(()),
        },
        ([Step::Any, rest @ ..], Value::List(list)) => {
            for item in (0..list.len()).filter_map(|index| list.at(index)) {
                visit_value(&item, rest, depth + 1, visit)?;
            }
            Flow::Continue(())
        }
        ([Step::Deep, rest @ ..], Value::List(list)) if depth < limits::DOCUMENT_DEPTH => {
            visit_value(value, rest, depth, visit)?;
            for item in (0..list.len()).filter_map(|index| list.at(index)) {
                visit_value(&item, steps, depth + 1, visit)?;
            }
            Flow::Continue(())
        }
        _ => Flow::Continue(()),
    }
}

fn each_field(record: &dyn Record, visit: &mut dyn FnMut(&Value<'_>) -> Flow) -> Flow {
    let mut flow = Flow::Continue(());
    record.each(&mut |_, value| {
        if flow.is_continue() {
            flow = visit(&value);
        }
    });
    flow
}
