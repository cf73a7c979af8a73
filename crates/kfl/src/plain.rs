//! The short way through a program: terms about single fields, joined by `and`, `or` and `!`. Nearly every query is no
//! more than that, and needs none of what a [`Run`](crate::program::Run) keeps.

use crate::{
    ast::Operator,
    path::single,
    program::{Node, Selection, Test, any_item, holds},
    record::{Record, Value},
    value::{self, Number},
};

/// Whether [`truth`] knows every node below this one.
pub(crate) fn is_plain(node: &Node) -> bool {
    match node {
        Node::Constant(_) => true,
        Node::Or(terms) | Node::And(terms) => terms.iter().all(is_plain),
        Node::Group(inner) => is_plain(inner),
        Node::Not(inner) => matches!(**inner, Node::Or(_) | Node::And(_) | Node::Test(..)) && is_plain(inner),
        Node::Select(selection) | Node::Test(selection, _) => selection.names,
        Node::Text(Some(selection), _, argument) => {
            selection.names && matches!(**argument, Node::Constant(_))
        }
        _ => false,
    }
}

/// What [`Run::truth`](crate::program::Run::truth) says of a plain node.
pub(crate) fn truth(node: &Node, record: &dyn Record) -> Option<bool> {
    match node {
        Node::Test(selection, test) => judge(selection, test, record),
        Node::And(terms) => {
            for term in terms {
                if !truth(term, record)? {
                    return Some(false);
                }
            }
            Some(true)
        }
        Node::Or(terms) => {
            for term in terms {
                if truth(term, record)? {
                    return Some(true);
                }
            }
            Some(false)
        }
        Node::Group(inner) => Some(truth(inner, record).unwrap_or(false)),
        Node::Not(inner) => truth(inner, record).map(|truth| !truth),
        Node::Text(Some(selection), test, argument) => {
            let Node::Constant(argument) = &**argument else { return None };
            let found = single(record, &selection.path, |value| match value {
                Value::Text(text) => test(text, argument.form()),
                other => test(&value::form(other), argument.form()),
            });
            Some(found.unwrap_or_else(|| test("false", argument.form())))
        }
        Node::Select(selection) => single(record, &selection.path, value::truth),
        Node::Constant(constant) => Some(constant.datum.truth()),
        _ => None,
    }
}

#[inline]
fn judge(selection: &Selection, test: &Test, record: &dyn Record) -> Option<bool> {
    match test {
        Test::Compare(operator @ (Operator::Equal | Operator::Unequal), constant) => {
            let equal = single(record, &selection.path, |value| match value {
                Value::List(_) => any_item(value, |item| value::equals(item, constant)),
                item => value::equals(item, constant),
            })?;
            Some(equal == (*operator == Operator::Equal))
        }
        Test::Compare(operator, constant) => {
            let right = constant.number();
            let one = |value: &Value<'_>| {
                let order = match (value, right) {
                    (Value::Int(left), Number::Int(right)) => Some(left.cmp(&right)),
                    (value, right) => value::number(value).compare(right),
                };
                order.is_some_and(|order| holds(*operator)(order))
            };
            single(record, &selection.path, |value| match value {
                Value::List(_) => any_item(value, one),
                item => one(item),
            })
        }
        Test::Matches(regex, negated) => single(record, &selection.path, |value| match value {
            Value::List(_) => *negated,
            item => regex.is_match(&value::form(item)) != *negated,
        }),
    }
}
