//! The plainest evaluator of the first spelling: slow, short, and written from the manual alone. What it says of a query
//! and a record, the compiled filter must say too.

use serde_json::{Value, json};

/// A query as a tree.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    Literal(Value),
    Path(Vec<String>),
    Contains(Vec<String>, String),
    Matches(Box<Query>, String),
    Compare(Box<Query>, &'static str, Box<Query>),
    Not(Box<Query>),
    And(Vec<Query>),
    Or(Vec<Query>),
    Group(Box<Query>),
}

/// The query as typed; what binds looser than its place gets parentheses, and with them the tree does.
pub(crate) fn typed(query: &Query) -> String {
    let join = |terms: &[Query], word: &str| terms.iter().map(typed).collect::<Vec<_>>().join(word);
    match query {
        Query::Literal(Value::Null) => "nil".to_owned(),
        Query::Literal(literal) => literal.to_string(),
        Query::Path(steps) => steps.join("."),
        Query::Contains(steps, part) => format!("{}.contains(\"{part}\")", steps.join(".")),
        Query::Matches(side, pattern) => format!("{} == r\"{pattern}\"", typed(side)),
        Query::Compare(left, operator, right) => format!("{} {operator} {}", typed(left), typed(right)),
        Query::Not(inner) => format!("!{}", typed(inner)),
        Query::And(terms) => join(terms, " and "),
        Query::Or(terms) => join(terms, " or "),
        Query::Group(inner) => format!("({})", typed(inner)),
    }
}

/// The value of a query; `None` where a missing field ends the expression.
fn value(query: &Query, record: &Value) -> Option<Value> {
    Some(match query {
        Query::Literal(literal) => literal.clone(),
        Query::Path(steps) => match found(steps, record).as_slice() {
            [] => return None,
            [one] => one.clone(),
            several => json!(several),
        },
        Query::Contains(steps, part) => match found(steps, record).as_slice() {
            [] => "false".contains(part),
            [one] => text(one).contains(part),
            _ => part.is_empty(),
        }
        .into(),
        Query::Matches(side, pattern) => {
            let side = value(side, record)?;
            (!side.is_array() && regex::Regex::new(pattern).unwrap().is_match(&text(&side))).into()
        }
        Query::Compare(left, operator, right) => {
            compare(&value(left, record)?, operator, &value(right, record)?).into()
        }
        Query::Not(inner) => match value(inner, record)? {
            Value::Bool(truth) => (!truth).into(),
            other => other,
        },
        Query::And(terms) => {
            for term in terms {
                if !truth(&value(term, record)?) {
                    return Some(false.into());
                }
            }
            true.into()
        }
        Query::Or(terms) => {
            for term in terms {
                if truth(&value(term, record)?) {
                    return Some(true.into());
                }
            }
            false.into()
        }
        Query::Group(inner) => value(inner, record).unwrap_or(false.into()),
    })
}

fn found(steps: &[String], from: &Value) -> Vec<Value> {
    let Some((step, rest)) = steps.split_first() else { return vec![from.clone()] };
    let next: Vec<&Value> = match (step.as_str(), from) {
        ("*", Value::Object(fields)) => fields.values().collect(),
        ("*", Value::Array(items)) => items.iter().collect(),
        (name, Value::Object(fields)) => fields.get(name).into_iter().collect(),
        _ => vec![],
    };
    next.into_iter().flat_map(|value| found(rest, value)).collect()
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null | Value::Object(_) => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64().unwrap() > 0.0,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => String::new(),
        // The numbers of this test are so short that their six digits are all they have.
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        plain => plain.to_string(),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Number(number) => number.as_f64().unwrap(),
        Value::String(text) => text.parse().unwrap_or(0.0),
        _ => 0.0,
    }
}

fn compare(left: &Value, operator: &str, right: &Value) -> bool {
    match (left, right) {
        _ if operator == "!=" => !compare(left, "==", right),
        (Value::Array(left), Value::Array(right)) if operator == "==" => deep(&json!(left), &json!(right)),
        (Value::Array(left), Value::Array(right)) => {
            left.iter().all(|left| right.iter().all(|right| single(left, operator, right)))
        }
        (Value::Array(items), right) => items.iter().any(|item| single(item, operator, right)),
        (left, Value::Array(items)) => items.iter().any(|item| single(left, operator, item)),
        _ => single(left, operator, right),
    }
}

fn single(left: &Value, operator: &str, right: &Value) -> bool {
    match operator {
        "==" if left.is_number() && right.is_number() => left.as_f64() == right.as_f64(),
        "==" => text(left) == text(right),
        "<" => number(left) < number(right),
        "<=" => number(left) <= number(right),
        ">" => number(left) > number(right),
        _ => number(left) >= number(right),
    }
}

fn deep(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| deep(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| deep(left, right)))
        }
        (Value::Number(_), Value::Number(_)) => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

/// Whether the query lets the record through.
pub(crate) fn matches(query: &Query, record: &Value) -> bool {
    value(query, record).is_some_and(|value| truth(&value))
}
