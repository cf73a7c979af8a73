//! The short way through a KFL2 query: as the first spelling has it, where every term is about one variable.
//!
//! No such term can fail to be computed, so that `&&` and `||` need no more than the terms up to the one that decides.

use super::{Binary, Bound, Expr, Function, Kind, Node2, Resolved, Source};
use crate::{
    ask::Question,
    ast::Operator,
    check::Check,
    code::{Code, Goals, Target},
    path,
    program::TextTest,
    record::Value,
    value::{Constant, Datum, Number},
};

/// The code of a checked query; `None` where it has anything else.
pub(super) fn code(root: &Expr, variables: &[Bound]) -> Option<Code> {
    Code::built(|code, goals| node(code, root, variables, goals))
}

fn node(code: &mut Code, expr: &Expr, variables: &[Bound], goals: Goals) -> Option<Target> {
    let turned = |turn: bool| if turn { goals.turned() } else { goals };
    match &expr.kind {
        Node2::Bool(truth) => Some(if *truth { goals.yes } else { goals.no }),
        Node2::Not(inner) => node(code, inner, variables, goals.turned()),
        Node2::And(terms) => terms
            .iter()
            .rev()
            .try_fold(goals.yes, |yes, term| node(code, term, variables, Goals { yes, ..goals })),
        Node2::Or(terms) => terms
            .iter()
            .rev()
            .try_fold(goals.no, |no, term| node(code, term, variables, Goals { no, ..goals })),
        Node2::Variable(place) => match &variables.get(*place)?.source {
            Resolved::Query(query) => code.node(query, Goals { missing: goals.no, ..goals }),
            Resolved::Paths(_) => None,
        },
        Node2::Binary(Binary::In, variable, list) => {
            let Node2::List(items) = &list.kind else { return None };
            let (field, kind) = field(variable, variables)?;
            let checks = items.iter().map(|item| Some((equal(kind, item)?, false))).collect::<Option<_>>()?;
            field.ask(code, Check::any(checks), goals)
        }
        Node2::Binary(operator, left, right) => {
            let operator = comparison(*operator)?;
            let (operator, variable, literal) = match left.kind {
                Node2::Variable(_) => (operator, left, right),
                _ => (operator.flipped(), right, left),
            };
            let (field, kind) = field(variable, variables)?;
            match operator {
                Operator::Equal => field.ask(code, equal(kind, literal)?, goals),
                Operator::Unequal => field.ask(code, equal(kind, literal)?, turned(true)),
                // Texts are ordered by their bytes, which the first spelling cannot.
                _ if kind == Kind::Text => None,
                _ => field.ask(code, Check::order(operator, number(literal)?), goals),
            }
        }
        Node2::Do(function, arguments) => {
            let test = match function {
                Function::Contains => TextTest::Contains,
                Function::StartsWith => TextTest::StartsWith,
                Function::EndsWith => TextTest::EndsWith,
                _ => return None,
            };
            let [variable, Expr { kind: Node2::Text(part), .. }] = arguments.as_slice() else { return None };
            text(variable, variables)?.ask(code, Check::text(test, part), goals)
        }
        Node2::Matches(variable, regex) => {
            text(variable, variables)?.ask(code, Check::Matches(regex.clone()), goals)
        }
        _ => None,
    }
}

/// A variable that one path of names leads to.
struct Field<'v> {
    bound: &'v Bound,
}

fn field<'v>(expr: &Expr, variables: &'v [Bound]) -> Option<(Field<'v>, Kind)> {
    let Node2::Variable(place) = expr.kind else { return None };
    let bound = variables.get(place)?;
    let kind = bound.variable.kind;
    let plain = matches!(bound.variable.source, Source::Paths(_)) && matches!(kind, Kind::Text | Kind::Int);
    plain.then_some((Field { bound }, kind))
}

fn text<'v>(expr: &Expr, variables: &'v [Bound]) -> Option<Field<'v>> {
    field(expr, variables).and_then(|(field, kind)| (kind == Kind::Text).then_some(field))
}

impl Field<'_> {
    fn ask(&self, code: &mut Code, check: Check, goals: Goals) -> Option<Target> {
        let Resolved::Paths(paths) = &self.bound.source else { return None };
        let [path] = paths.as_slice() else { return None };
        // A variable that the record has nothing for is its default.
        let missing = if check.of_flat(&Value::Null) { goals.yes } else { goals.no };
        code.ask(Question::flat(&path::names(path)?, check), Goals { missing, ..goals })
    }
}

/// Whether a variable of this kind is this literal.
fn equal(kind: Kind, literal: &Expr) -> Option<Check> {
    match (kind, &literal.kind) {
        (Kind::Text, Node2::Text(text)) => Some(Check::equal(Constant::new(Datum::Text(text.clone())))),
        (Kind::Int, _) => Some(Check::order(Operator::Equal, number(literal)?)),
        _ => None,
    }
}

fn number(literal: &Expr) -> Option<Number> {
    match &literal.kind {
        Node2::Int(int) => Some(Number::Int(*int)),
        Node2::Float(float) => Some(Number::Float(*float)),
        Node2::Negate(inner) => match number(inner)? {
            Number::Int(int) => int.checked_neg().map(Number::Int),
            Number::Float(float) => Some(Number::Float(-float)),
        },
        _ => None,
    }
}

fn comparison(operator: Binary) -> Option<Operator> {
    Some(match operator {
        Binary::Equal => Operator::Equal,
        Binary::Unequal => Operator::Unequal,
        Binary::Less => Operator::Less,
        Binary::LessOrEqual => Operator::LessOrEqual,
        Binary::Greater => Operator::Greater,
        Binary::GreaterOrEqual => Operator::GreaterOrEqual,
        _ => return None,
    })
}
