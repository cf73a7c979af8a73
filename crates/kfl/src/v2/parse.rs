//! Tokens to a tree.
//!
//! ```text
//! expr      = or [ "?" or ":" expr ]
//! or        = and { "||" and }
//! and       = relation { "&&" relation }
//! relation  = sum { ( "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" ) sum }
//! sum       = product { ( "+" | "-" ) product }
//! product   = unary { ( "*" | "/" | "%" ) unary }
//! unary     = { "!" } member | { "-" } member
//! member    = primary { "." name [ "(" [ list ] ")" ] | "[" expr "]" }
//! primary   = name [ "(" [ list ] ")" ] | "(" expr ")" | "[" [ list ] "]" | "{" [ expr ":" expr { "," … } ] "}"
//!           | number | text | "r" text | "true" | "false" | "null"
//! list      = expr { "," expr }
//! ```

use super::{Binary, Expr, Node2};
use crate::{
    error::Fault,
    lexer::{self, Kind, Token},
    limits,
    parser::chain,
};
use std::ops::Range;

/// The tree of `text`, `None` for a text without any token, which lets everything through.
pub(crate) fn parse(text: &str) -> Result<Option<Expr>, Fault> {
    if text.len() > limits::TEXT {
        let message = format!("query too long: {} bytes, at most {}", text.len(), limits::TEXT);
        return Err(Fault::new(0..0, message));
    }
    let tokens = lexer::tokens_with(text, lexer::Escapes::Kept)?;
    let mut parser = Parser { text, tokens, next: 0, depth: 0 };
    if parser.peek() == Kind::End {
        return Ok(None);
    }
    let expr = parser.expr()?;
    match parser.peek() {
        Kind::End => Ok(Some(expr)),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn expr(&mut self) -> Result<Expr, Fault> {
        self.deeper(|parser| {
            let condition = parser.or()?;
            if !parser.take("?") {
                return Ok(condition);
            }
            let start = condition.span.start;
            let yes = parser.or()?;
            parser.require(":", "`:` of `condition ? this : that`")?;
            let no = parser.expr()?;
            Ok(parser.since(start, Node2::If(Box::new([condition, yes, no]))))
        })
    }

    fn or(&mut self) -> Result<Expr, Fault> {
        chain(self, "||", Parser::take, Parser::and, |parser, terms| parser.joined(terms, Node2::Or))
    }

    fn and(&mut self) -> Result<Expr, Fault> {
        chain(self, "&&", Parser::take, Parser::relation, |parser, terms| parser.joined(terms, Node2::And))
    }

    fn joined(&self, terms: Vec<Expr>, node: fn(Vec<Expr>) -> Node2) -> Expr {
        let start = terms.first().map_or(0, |first| first.span.start);
        self.since(start, node(terms))
    }

    fn relation(&mut self) -> Result<Expr, Fault> {
        const OPERATORS: &[(&str, Binary)] = &[
            ("==", Binary::Equal),
            ("!=", Binary::Unequal),
            ("<=", Binary::LessOrEqual),
            ("<", Binary::Less),
            (">=", Binary::GreaterOrEqual),
            (">", Binary::Greater),
        ];
        self.left(OPERATORS, true, Parser::sum)
    }

    fn sum(&mut self) -> Result<Expr, Fault> {
        self.left(&[("+", Binary::Add), ("-", Binary::Subtract)], false, Parser::product)
    }

    fn product(&mut self) -> Result<Expr, Fault> {
        let operators = &[("*", Binary::Multiply), ("/", Binary::Divide), ("%", Binary::Remainder)];
        self.left(operators, false, Parser::unary)
    }

    fn left(
        &mut self,
        operators: &[(&str, Binary)],
        relations: bool,
        operand: fn(&mut Self) -> Result<Expr, Fault>,
    ) -> Result<Expr, Fault> {
        let mut left = operand(self)?;
        let mut links = 0;
        loop {
            let operator =
                operators.iter().find(|(marks, _)| self.take(marks)).map(|(_, operator)| *operator);
            let operator = match operator {
                Some(operator) => operator,
                None if relations && self.take_word("in") => Binary::In,
                None => return Ok(left),
            };
            links += 1;
            if links > limits::DEPTH {
                return Err(self.too_deep());
            }
            let right = operand(self)?;
            let start = left.span.start;
            left = self.since(start, Node2::Binary(operator, Box::new(left), Box::new(right)));
        }
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let start = self.span().start;
        let node = match self.peek() {
            Kind::Mark('!') => Node2::Not,
            Kind::Mark('-') => Node2::Negate,
            _ => return self.member(),
        };
        self.next += 1;
        let operand = self.deeper(Parser::unary)?;
        Ok(self.since(start, node(Box::new(operand))))
    }

    fn member(&mut self) -> Result<Expr, Fault> {
        let mut expr = self.primary()?;
        let start = expr.span.start;
        let mut links = 0;
        loop {
            links += 1;
            if links > limits::DEPTH {
                return Err(self.too_deep());
            }
            expr = if self.take(".") {
                let name = self.name()?;
                let node = if self.take("(") {
                    Node2::Call(Some(Box::new(expr)), name, self.list(")")?)
                } else {
                    Node2::Member(Box::new(expr), name)
                };
                self.since(start, node)
            } else if self.take("[") {
                let index = self.expr()?;
                self.require("]", "`]`")?;
                self.since(start, Node2::Index(Box::new(expr), Box::new(index)))
            } else {
                return Ok(expr);
            };
        }
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let span = self.span();
        let typed = self.text.get(span.clone()).unwrap_or_default();
        let node = match self.peek() {
            Kind::Integer => Node2::Int(integer(typed, &span)?),
            Kind::Decimal => Node2::Float(decimal(typed, &span)?),
            Kind::Text => Node2::Text(unescaped(typed, &span)?),
            Kind::Name if typed == "r" && self.kind_at(1) == Kind::Text && self.touches_next() => {
                self.next += 1;
                let raw = self.text.get(self.span()).unwrap_or_default();
                Node2::Text(inside(raw).to_owned())
            }
            Kind::Name => match typed {
                "true" => Node2::Bool(true),
                "false" => Node2::Bool(false),
                "null" => Node2::Null,
                "in" => return Err(self.unexpected("a value")),
                name => {
                    self.next += 1;
                    let name = name.to_owned();
                    let node = if self.take("(") {
                        Node2::Call(None, name, self.list(")")?)
                    } else {
                        Node2::Name(name)
                    };
                    return Ok(self.since(span.start, node));
                }
            },
            Kind::Mark('(') => {
                self.next += 1;
                let mut inner = self.expr()?;
                self.require(")", "`)`")?;
                inner.span = span.start..self.behind();
                return Ok(inner);
            }
            Kind::Mark('[') => {
                self.next += 1;
                let items = self.list("]")?;
                return Ok(self.since(span.start, Node2::List(items)));
            }
            Kind::Mark('{') => {
                self.next += 1;
                let pairs = self.pairs()?;
                return Ok(self.since(span.start, Node2::Map(pairs)));
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        Ok(self.since(span.start, node))
    }

    fn list(&mut self, end: &str) -> Result<Vec<Expr>, Fault> {
        let mut items = Vec::new();
        while !self.take(end) {
            if !items.is_empty() {
                self.require(",", &format!("`,` or `{end}`"))?;
                // CEL allows a comma at the end.
                if self.take(end) {
                    break;
                }
            }
            items.push(self.expr()?);
        }
        Ok(items)
    }

    fn pairs(&mut self) -> Result<Vec<(Expr, Expr)>, Fault> {
        let mut pairs = Vec::new();
        while !self.take("}") {
            if !pairs.is_empty() {
                self.require(",", "`,` or `}`")?;
            }
            let key = self.expr()?;
            self.require(":", "`:` between a key and its value")?;
            pairs.push((key, self.expr()?));
        }
        Ok(pairs)
    }

    fn name(&mut self) -> Result<String, Fault> {
        if self.peek() != Kind::Name {
            return Err(self.unexpected("a name"));
        }
        let name = self.text.get(self.span()).unwrap_or_default().to_owned();
        self.next += 1;
        Ok(name)
    }

    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Result<Expr, Fault>) -> Result<Expr, Fault> {
        if self.depth == limits::DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn too_deep(&self) -> Fault {
        Fault::new(self.span(), format!("nested too deeply: more than {} levels", limits::DEPTH))
    }

    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.next + ahead).or(self.tokens.last())
    }

    fn kind_at(&self, ahead: usize) -> Kind {
        self.token(ahead).map_or(Kind::End, |token| token.kind)
    }

    fn peek(&self) -> Kind {
        self.kind_at(0)
    }

    fn span(&self) -> Range<usize> {
        self.token(0).map_or(0..0, Token::span)
    }

    fn touches_next(&self) -> bool {
        self.token(1).is_some_and(|next| next.span().start == self.span().end)
    }

    fn behind(&self) -> usize {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.span().end)
    }

    fn since(&self, start: usize, kind: Node2) -> Expr {
        Expr { kind, span: start..self.behind() }
    }

    /// Whether these marks stand here, nothing between them. `!` of `!=` and `<` of `<=` are no marks of their own.
    fn at(&self, marks: &str) -> bool {
        let mut end = None;
        let all = marks.chars().enumerate().all(|(index, mark)| {
            let token = self.token(index);
            let joined = token.is_some_and(|token| end.is_none_or(|end| end == token.span().start));
            end = token.map(|token| token.span().end);
            joined && self.kind_at(index) == Kind::Mark(mark)
        });
        all && !(matches!(marks, "<" | ">" | "!")
            && self.kind_at(1) == Kind::Mark('=')
            && self.touches_next())
    }

    fn take(&mut self, marks: &str) -> bool {
        let here = self.at(marks);
        if here {
            self.next += marks.len();
        }
        here
    }

    fn take_word(&mut self, word: &str) -> bool {
        let here = self.peek() == Kind::Name && self.text.get(self.span()) == Some(word);
        self.next += usize::from(here);
        here
    }

    fn require(&mut self, marks: &str, what: &str) -> Result<(), Fault> {
        if self.take(marks) { Ok(()) } else { Err(self.unexpected(what)) }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let typed = match self.peek() {
            Kind::End => "<EOF>",
            _ => self.text.get(self.span()).unwrap_or_default(),
        };
        Fault::new(self.span(), format!("unexpected token \"{typed}\" (expected {wanted})"))
    }
}

fn integer(typed: &str, span: &Range<usize>) -> Result<i64, Fault> {
    typed.replace('_', "").parse().map_err(|_| Fault::new(span.clone(), "the number does not fit 64 bits"))
}

fn decimal(typed: &str, span: &Range<usize>) -> Result<f64, Fault> {
    let float = typed.replace('_', "").parse().ok().filter(|float: &f64| float.is_finite());
    float.ok_or_else(|| Fault::new(span.clone(), "the number does not fit 64 bits"))
}

/// What stands between the quotes.
fn inside(typed: &str) -> &str {
    typed.get(1..typed.len().saturating_sub(1)).unwrap_or_default()
}

/// A text with its escapes decoded, as CEL has them.
fn unescaped(typed: &str, span: &Range<usize>) -> Result<String, Fault> {
    let raw = inside(typed);
    if !raw.contains('\\') {
        return Ok(raw.to_owned());
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let letter = escape.chars().next().unwrap_or('\\');
        let number = |from: usize, digits: usize, radix: u32| {
            let text = escape.get(from..from + digits)?;
            u32::from_str_radix(text, radix).ok().and_then(char::from_u32).map(|c| (c, from + digits))
        };
        let decoded = match letter {
            'a' => Some(('\u{7}', 1)),
            'b' => Some(('\u{8}', 1)),
            'f' => Some(('\u{c}', 1)),
            'n' => Some(('\n', 1)),
            'r' => Some(('\r', 1)),
            't' => Some(('\t', 1)),
            'v' => Some(('\u{b}', 1)),
            '\\' | '"' | '\'' | '`' | '?' => Some((letter, 1)),
            'x' | 'X' => number(1, 2, 16),
            'u' => number(1, 4, 16),
            'U' => number(1, 8, 16),
            '0'..='3' => number(0, 3, 8),
            _ => None,
        };
        let Some((c, length)) = decoded else {
            let at = span.start + 1 + (raw.len() - escape.len()) - 1;
            return Err(Fault::new(at..at + 1 + letter.len_utf8(), "invalid char escape")
                .suggest("write a backslash twice, or the text as r\"…\", where it stands for itself"));
        };
        out.push(c);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}
