//! Tokens to a tree, by recursive descent of bounded depth.
//!
//! ```text
//! query      = [ or ]
//! or         = and { "or" and }
//! and        = equality { "and" equality }
//! equality   = ordering [ ("==" | "!=") equality ]
//! ordering   = unary [ (">=" | ">" | "<=" | "<") ordering ]
//! unary      = ("!" | "-") unary | primary
//! primary    = number | text | "r" text | "true" | "false" | "nil" | "(" or ")" | selector
//! ```
//!
//! Selectors are read in [`selector`].

mod selector;

use crate::{
    ast::{Expr, Kind as Node, Operator},
    error::Fault,
    lexer::{self, Kind, Token},
    limits,
};
use std::ops::Range;

/// The tree of `text`, `None` for the empty text, which lets everything through.
pub(crate) fn parse(text: &str) -> Result<Option<Expr>, Fault> {
    if text.len() > limits::TEXT {
        let message = format!("query too long: {} bytes, at most {}", text.len(), limits::TEXT);
        return Err(Fault::new(0..0, message));
    }
    if text.is_empty() {
        return Ok(None);
    }
    let tokens = lexer::tokens(text)?;
    let mut parser = Parser { text, tokens: &tokens, next: 0, depth: 0 };
    let expr = parser.or()?;
    match parser.peek() {
        Kind::End => Ok(Some(expr)),
        _ => Err(parser.stray()),
    }
}

/// `operand { sign operand }` of either spelling as one node, however long: a tree of pairs would be as deep as the chain
/// is long.
pub(crate) fn chain<P, E>(
    parser: &mut P,
    sign: &str,
    take: fn(&mut P, &str) -> bool,
    operand: fn(&mut P) -> Result<E, Fault>,
    join: fn(&mut P, Vec<E>) -> E,
) -> Result<E, Fault> {
    let first = operand(parser)?;
    if !take(parser, sign) {
        return Ok(first);
    }
    let mut terms = vec![first, operand(parser)?];
    while take(parser, sign) {
        terms.push(operand(parser)?);
    }
    Ok(join(parser, terms))
}

struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Token],
    next: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn or(&mut self) -> Result<Expr, Fault> {
        chain(self, "or", Parser::take_word, Parser::and, |parser, terms| parser.joined(terms, Node::Or))
    }

    fn and(&mut self) -> Result<Expr, Fault> {
        chain(self, "and", Parser::take_word, Parser::equality, |parser, terms| {
            parser.joined(terms, Node::And)
        })
    }

    fn joined(&self, terms: Vec<Expr>, node: fn(Vec<Expr>) -> Node) -> Expr {
        let start = terms.first().map_or(0, |first| first.span.start);
        Expr { span: start..self.behind(), kind: node(terms) }
    }

    fn equality(&mut self) -> Result<Expr, Fault> {
        let left = self.ordering()?;
        let operator = if self.take_marks("==") {
            Operator::Equal
        } else if self.take_marks("!=") {
            Operator::Unequal
        } else {
            return Ok(left);
        };
        let right = self.deeper(Parser::equality)?;
        Ok(compare(operator, left, right))
    }

    fn ordering(&mut self) -> Result<Expr, Fault> {
        let left = self.unary()?;
        let operator = if self.take_marks(">=") {
            Operator::GreaterOrEqual
        } else if self.take_marks(">") {
            Operator::Greater
        } else if self.take_marks("<=") {
            Operator::LessOrEqual
        } else if self.take_marks("<") {
            Operator::Less
        } else {
            return Ok(left);
        };
        let right = self.deeper(Parser::ordering)?;
        Ok(compare(operator, left, right))
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let start = self.span().start;
        let node = match self.peek() {
            Kind::Mark('!') => Node::Not,
            Kind::Mark('-') => Node::Negate,
            _ => return self.primary(),
        };
        self.next += 1;
        let operand = self.deeper(Parser::unary)?;
        Ok(Expr { span: start..operand.span.end, kind: node(Box::new(operand)) })
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let span = self.span();
        let typed = self.text_at(&span);
        let kind = match self.peek() {
            Kind::Integer | Kind::Decimal => Node::Number(typed.to_owned()),
            Kind::Text => Node::Text(typed.to_owned()),
            Kind::Mark('(') => return self.group(),
            Kind::Name => match typed {
                "true" => Node::Bool(true),
                "false" => Node::Bool(false),
                "nil" => Node::Nil,
                "and" | "or" => return Err(self.expected("a value")),
                "r" if self.peek_after(1) == Kind::Text => return Ok(self.regex()),
                _ => return self.selector(),
            },
            _ => return Err(self.expected("a value")),
        };
        self.next += 1;
        Ok(Expr { kind, span })
    }

    fn group(&mut self) -> Result<Expr, Fault> {
        let start = self.span().start;
        self.next += 1;
        let inner = self.deeper(Parser::or)?;
        self.require(')', "`)`")?;
        Ok(Expr { kind: Node::Group(Box::new(inner)), span: start..self.behind() })
    }

    fn regex(&mut self) -> Expr {
        let start = self.span().start;
        self.next += 1;
        let typed = self.text_at(&self.span()).to_owned();
        self.next += 1;
        Expr { kind: Node::Regex(typed), span: start..self.behind() }
    }

    fn deeper(&mut self, parse: fn(&mut Self) -> Result<Expr, Fault>) -> Result<Expr, Fault> {
        if self.depth == limits::DEPTH {
            let message = format!("nested too deeply: more than {} levels", limits::DEPTH);
            return Err(Fault::new(self.span(), message));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn peek(&self) -> Kind {
        self.peek_after(0)
    }

    fn peek_after(&self, distance: usize) -> Kind {
        self.tokens.get(self.next + distance).map_or(Kind::End, |token| token.kind)
    }

    fn span(&self) -> Range<usize> {
        self.tokens.get(self.next).map_or(self.text.len()..self.text.len(), Token::span)
    }

    /// Where the last token taken ends.
    fn behind(&self) -> usize {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.span().end)
    }

    fn text_at(&self, span: &Range<usize>) -> &'t str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    fn at_word(&self, word: &str) -> bool {
        self.peek() == Kind::Name && self.text_at(&self.span()) == word
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        self.next += usize::from(found);
        found
    }

    /// Takes an operator; blanks may stand between its characters.
    fn take_marks(&mut self, marks: &str) -> bool {
        let found = marks.chars().enumerate().all(|(at, mark)| self.peek_after(at) == Kind::Mark(mark));
        self.next += if found { marks.len() } else { 0 };
        found
    }

    fn require(&mut self, mark: char, expected: &str) -> Result<(), Fault> {
        if self.peek() == Kind::Mark(mark) {
            self.next += 1;
            return Ok(());
        }
        Err(self.expected(expected))
    }

    fn unexpected(&self) -> Fault {
        let span = self.span();
        let token = if self.peek() == Kind::End { "<EOF>" } else { self.text_at(&span) };
        let mut shown: String = token.chars().take(40).collect();
        if shown.len() < token.len() {
            shown.push('…');
        }
        Fault::new(span, format!("unexpected token {shown:?}"))
    }

    fn expected(&self, expected: &str) -> Fault {
        let mut fault = self.unexpected();
        fault.message = format!("{} (expected {expected})", fault.message);
        match self.peek() {
            Kind::Mark('=') => fault.suggest("a comparison has a value on both sides of `==`"),
            Kind::Mark('.') => fault.suggest("a path starts with the name of a field"),
            Kind::Mark('[' | '{') => {
                fault.suggest("there are no lists or objects to write down; compare one field")
            }
            Kind::Mark('$' | '@') => {
                fault.suggest("a path starts with the name of a field, without `$` or `@`")
            }
            _ => fault,
        }
    }

    /// Something stands where the query could have ended.
    fn stray(&self) -> Fault {
        let mut fault = self.unexpected();
        fault.message.push_str(" (expected `and`, `or`, a comparison or the end)");
        let before = self.next.checked_sub(1).and_then(|last| self.tokens.get(last));
        let before = before.map(|token| self.text_at(&token.span())).unwrap_or_default();
        let doubled = |mark| self.peek_after(1) == Kind::Mark(mark);
        let word = self.text_at(&fault.span);
        match self.peek() {
            Kind::Mark('&') => fault.suggest("for `&&` write `and`"),
            Kind::Mark('|') => fault.suggest("for `||` write `or`"),
            Kind::Mark('=') if doubled('~') => fault.suggest("for a regex write `== r\"…\"`"),
            Kind::Mark('=') => fault.suggest("for equality write `==`"),
            Kind::Mark('-') => {
                fault.suggest("a name with a hyphen stands in brackets, as in `headers[\"x-y\"]`")
            }
            Kind::Mark('+' | '*' | '/' | '%') => {
                fault.suggest("there is no arithmetic; compare with the result")
            }
            Kind::Mark(')') => fault.suggest("this parenthesis was never opened"),
            Kind::Mark('[') if before == "]" => fault
                .suggest("a bracket cannot follow a bracket; put the second name after a dot: `a[\"x\"].y`"),
            Kind::Mark('.') if before.starts_with(['"', '\'', '`']) => {
                fault.suggest("helpers are called on fields, not on literal text")
            }
            Kind::Name if before == "not" => fault.suggest("for `not` write `!`"),
            Kind::Name if matches!(word, "contains" | "startsWith" | "endsWith") => {
                fault.suggest(format!("write `{before}.{word}(\"…\")`"))
            }
            Kind::Name if word == "matches" => fault.suggest("for a regex write `== r\"…\"`"),
            Kind::Name if word == "in" => fault.suggest("there is no `in`; join comparisons with `or`"),
            Kind::Name if matches!(word.to_ascii_lowercase().as_str(), "and" | "or") => {
                fault.suggest(format!("write `{}`", word.to_ascii_lowercase()))
            }
            Kind::Name | Kind::Text | Kind::Integer | Kind::Decimal | Kind::Mark('(') => {
                fault.suggest("put `and`, `or` or a comparison between the two")
            }
            _ => fault,
        }
    }
}

fn compare(operator: Operator, left: Expr, right: Expr) -> Expr {
    let span = left.span.start..right.span.end;
    Expr { kind: Node::Compare(operator, Box::new(left), Box::new(right)), span }
}
