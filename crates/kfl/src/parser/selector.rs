//! Paths and calls.
//!
//! ```text
//! selector   = path [ call ] | call
//! path       = name { "." name | ".*" | "." "." name | bracket }
//! bracket    = "[" integer "]" [ "[" text "]" ] | "[" (text | "*") "]"
//! call       = [ "." ] name "(" [ argument { "," argument } ] ")" [ path ]
//! argument   = [ name ":" ] or
//! ```
//!
//! A bracket follows a name or `.*`, never a bracket, but for the text after an index, which is read and not used.

use super::Parser;
use crate::{
    ast::{Argument, Call, Expr, Kind as Node, Part, Selector},
    error::Fault,
    lexer::Kind,
    limits,
};

impl Parser<'_> {
    pub(super) fn selector(&mut self) -> Result<Expr, Fault> {
        let start = self.span().start;
        let mut path = Vec::new();
        let mut last = self.span();
        path.push(self.name()?);
        loop {
            if self.peek() == Kind::Mark('(') && matches!(path.last(), Some(Part::Name(_))) {
                let Some(Part::Name(name)) = path.pop() else { break };
                if path.last() == Some(&Part::Deep) {
                    return Err(Fault::new(last, format!("{name}() cannot follow `..`")));
                }
                let call = Some(self.call(name, last)?);
                return Ok(Expr {
                    kind: Node::Selector(Selector { path, call }),
                    span: start..self.behind(),
                });
            }
            let (here, before) = (self.span(), path.len());
            self.part(&mut path)?;
            if path.len() == before {
                break;
            }
            // The name alone, without its dot.
            last = self.behind().saturating_sub(name_length(path.last())).max(here.start)..self.behind();
        }
        Ok(Expr { kind: Node::Selector(Selector { path, call: None }), span: start..self.behind() })
    }

    /// Takes one more part of a path, if one stands here.
    fn part(&mut self, path: &mut Vec<Part>) -> Result<(), Fault> {
        if path.len() > limits::STEPS {
            return Err(Fault::new(self.span(), format!("path too long: more than {} steps", limits::STEPS)));
        }
        match self.peek() {
            Kind::Mark('.') => self.dotted(path),
            Kind::Mark('[') => match path.last() {
                Some(Part::Index(_)) if self.peek_after(1) != Kind::Integer => {
                    let part = self.bracket()?;
                    path.extend(if let Part::Key(typed) = part { Some(Part::Unused(typed)) } else { None });
                    Ok(())
                }
                Some(Part::Index(_) | Part::Key(_) | Part::Unused(_)) => Ok(()),
                _ => {
                    path.push(self.bracket()?);
                    Ok(())
                }
            },
            _ => Ok(()),
        }
    }

    fn dotted(&mut self, path: &mut Vec<Part>) -> Result<(), Fault> {
        self.next += 1;
        let mut deep = false;
        while self.peek() == Kind::Mark('.') {
            self.next += 1;
            deep = true;
        }
        if deep {
            if path.iter().filter(|part| **part == Part::Deep).count() == limits::DEEP {
                let message = format!("too many `..`: more than {} in one path", limits::DEEP);
                return Err(Fault::new(self.span(), message));
            }
            path.push(Part::Deep);
        }
        if self.peek() == Kind::Mark('*') {
            self.next += 1;
            path.push(Part::Any);
        } else {
            path.push(self.name()?);
        }
        Ok(())
    }

    fn name(&mut self) -> Result<Part, Fault> {
        let span = self.span();
        if self.peek() != Kind::Name {
            return Err(self.expected("the name of a field"));
        }
        self.next += 1;
        Ok(Part::Name(self.text_at(&span).to_owned()))
    }

    fn bracket(&mut self) -> Result<Part, Fault> {
        self.next += 1;
        let span = self.span();
        let typed = self.text_at(&span);
        let part = match self.peek() {
            Kind::Integer => {
                let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
                Part::Index(digits.parse().unwrap_or(u64::MAX))
            }
            Kind::Text | Kind::Mark('*') => Part::Key(typed.to_owned()),
            Kind::Name => {
                let fault = self.expected("an index from 0, or a key in quotes");
                return Err(fault.suggest(format!("write `[\"{typed}\"]`")));
            }
            _ => return Err(self.expected("an index from 0, or a key in quotes")),
        };
        self.next += 1;
        if self.peek() == Kind::Mark(':') {
            return Err(self.expected("`]`").suggest("there are no slices; take one item, or all with `.*`"));
        }
        self.require(']', "`]`")?;
        Ok(part)
    }

    fn call(&mut self, name: String, name_span: std::ops::Range<usize>) -> Result<Call, Fault> {
        self.next += 1;
        let mut arguments = Vec::new();
        if self.peek() == Kind::Mark(')') {
            self.next += 1;
        } else {
            loop {
                arguments.push(self.argument()?);
                if arguments.len() > limits::ARGUMENTS {
                    let message = format!("too many arguments: more than {}", limits::ARGUMENTS);
                    return Err(Fault::new(self.span(), message));
                }
                if self.peek() != Kind::Mark(',') {
                    break;
                }
                if self.peek_after(1) == Kind::Mark(')') {
                    return Err(self.expected("`)`").suggest("drop the comma"));
                }
                self.next += 1;
            }
            self.require(')', "`,` or `)`")?;
        }
        let tail_start = self.behind();
        let mut tail = Vec::new();
        loop {
            let before = tail.len();
            self.part(&mut tail)?;
            if tail.len() == before {
                break;
            }
        }
        if self.peek() == Kind::Mark('(')
            && let Some(Part::Name(helper)) = tail.last()
        {
            let fault = Fault::new(self.span(), format!("{helper}() cannot follow {name}()"));
            return Err(
                fault.suggest(format!("compare what {name}() finds, a part of it with a regex: == r\"…\""))
            );
        }
        Ok(Call { name, name_span, arguments, tail, tail_span: tail_start..self.behind() })
    }

    fn argument(&mut self) -> Result<Argument, Fault> {
        let named = self.peek() == Kind::Name && self.peek_after(1) == Kind::Mark(':');
        let name = named.then(|| self.text_at(&self.span()).to_owned());
        if named {
            self.next += 2;
        }
        Ok(Argument { name, value: self.deeper(Parser::or)? })
    }
}

fn name_length(part: Option<&Part>) -> usize {
    if let Some(Part::Name(name)) = part { name.len() } else { 0 }
}
