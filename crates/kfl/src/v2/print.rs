//! A query again, with every pair of parentheses that it implies.

use super::{Binary, Expr, Node2};

impl Binary {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Binary::Equal => "==",
            Binary::Unequal => "!=",
            Binary::Less => "<",
            Binary::LessOrEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterOrEqual => ">=",
            Binary::In => "in",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "%",
        }
    }
}

/// As it was parsed; parsing what is printed gives the same tree.
pub(super) fn grouped(expr: &Expr) -> String {
    let join = |items: &[Expr], by: &str| items.iter().map(operand).collect::<Vec<_>>().join(by);
    let list = |items: &[Expr]| items.iter().map(grouped).collect::<Vec<_>>().join(", ");
    match &expr.kind {
        Node2::Null => "null".to_owned(),
        Node2::Bool(truth) => truth.to_string(),
        Node2::Int(int) => int.to_string(),
        Node2::Float(float) => format!("{float:?}"),
        Node2::Text(text) => quoted(text),
        Node2::List(items) => format!("[{}]", list(items)),
        Node2::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{}: {}", grouped(key), grouped(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Node2::Name(name) => name.clone(),
        Node2::Member(object, name) => format!("{}.{name}", operand(object)),
        Node2::Index(object, index) => format!("{}[{}]", operand(object), grouped(index)),
        Node2::Call(None, name, arguments) => format!("{name}({})", list(arguments)),
        Node2::Call(Some(object), name, arguments) => {
            format!("{}.{name}({})", operand(object), list(arguments))
        }
        Node2::Not(inner) => format!("!{}", operand(inner)),
        Node2::Negate(inner) => format!("-{}", operand(inner)),
        Node2::And(terms) => join(terms, " && "),
        Node2::Or(terms) => join(terms, " || "),
        Node2::Binary(operator, left, right) => {
            format!("{} {} {}", operand(left), operator.symbol(), operand(right))
        }
        Node2::If(parts) => {
            let [condition, yes, no] = &**parts;
            format!("{} ? {} : {}", operand(condition), operand(yes), operand(no))
        }
        // What only a checked tree has.
        Node2::Variable(_) | Node2::Bound(_) | Node2::Do(..) | Node2::Each(..) | Node2::Matches(..) => {
            String::new()
        }
    }
}

/// The text as it can be typed.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let digits = format!("{:08x}", u32::from(c));
                out.push_str("\\U");
                out.push_str(&digits);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn operand(expr: &Expr) -> String {
    match &expr.kind {
        Node2::And(_)
        | Node2::Or(_)
        | Node2::Binary(..)
        | Node2::If(_)
        | Node2::Negate(_)
        | Node2::Not(_) => format!("({})", grouped(expr)),
        _ => grouped(expr),
    }
}
