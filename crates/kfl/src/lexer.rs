//! Text in, tokens with byte spans out.
//!
//! The whole text is read before anything is parsed: an open quote is the likelier mistake than the words it swallows.

use crate::error::Fault;
use std::{iter::Peekable, ops::Range, str::CharIndices};

/// What a token is; its text is what its span covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A letter or `_`, then letters, digits and `_`.
    Name,
    /// Digits without a point or an exponent.
    Integer,
    /// Any other number.
    Decimal,
    /// `"text"`, `'text'` or `` `text` ``, quotes included.
    Text,
    /// Any other character. Operators are put together by the parser, because blanks may stand inside them (`! =`).
    Mark(char),
    /// The end of the text.
    End,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    start: u32,
    end: u32,
}

impl Token {
    fn new(kind: Kind, span: Range<usize>) -> Self {
        // A query is at most a MiB, so offsets fit.
        Token { kind, start: span.start as u32, end: span.end as u32 }
    }

    pub(crate) fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// What is done about backslashes in texts; neither way decodes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// They must be such as Go knows.
    Checked,
    /// They keep the character after them from ending the text.
    Kept,
}

/// The tokens of `text`, the last of which is [`Kind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    tokens_with(text, Escapes::Checked)
}

/// The tokens of `text`, with this care for backslashes.
pub(crate) fn tokens_with(text: &str, escapes: Escapes) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer { text, chars: text.char_indices().peekable(), escapes };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token()? {
        tokens.push(token);
    }
    tokens.push(Token::new(Kind::End, text.len()..text.len()));
    Ok(tokens)
}

struct Lexer<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
    escapes: Escapes,
}

impl Lexer<'_> {
    fn token(&mut self) -> Result<Option<Token>, Fault> {
        loop {
            let Some((start, first)) = self.chars.next() else { return Ok(None) };
            let kind = match first {
                ' ' | '\t' | '\r' | '\n' => continue,
                '/' if self.take('/') => {
                    self.skip_while(|c| c != '\n');
                    continue;
                }
                '/' if self.take('*') => {
                    self.block_comment()?;
                    continue;
                }
                '"' | '\'' => self.quoted(start, first)?,
                '`' => self.raw(start)?,
                '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => self.number(start)?,
                c if c.is_ascii_digit() => self.number(start)?,
                c if c == '_' || c.is_alphabetic() => {
                    self.skip_while(|c| c == '_' || c.is_alphanumeric());
                    Kind::Name
                }
                other => Kind::Mark(other),
            };
            return Ok(Some(Token::new(kind, start..self.offset())));
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    fn since(&self, start: usize) -> &str {
        self.text.get(start..).unwrap_or_default()
    }

    /// Where the next character starts.
    fn offset(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.chars.next_if(|(_, c)| *c == wanted).is_some()
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.chars.next_if(|(_, c)| wanted(*c)).is_some() {}
    }

    fn block_comment(&mut self) -> Result<(), Fault> {
        while let Some((_, c)) = self.chars.next() {
            if c == '*' && self.take('/') {
                return Ok(());
            }
        }
        let end = self.text.len();
        Err(Fault::new(end..end, "comment not terminated").suggest("close the comment with `*/`"))
    }

    fn quoted(&mut self, start: usize, quote: char) -> Result<Kind, Fault> {
        loop {
            match self.chars.next() {
                Some((_, c)) if c == quote => return Ok(Kind::Text),
                Some((_, '\\')) if self.escapes == Escapes::Kept => drop(self.chars.next()),
                Some((_, '\\')) => self.escape(quote)?,
                Some((at, '\n')) => return Err(open(at, self.since(start))),
                Some(_) => {}
                None => return Err(open(self.text.len(), self.since(start))),
            }
        }
    }

    fn raw(&mut self, start: usize) -> Result<Kind, Fault> {
        self.skip_while(|c| c != '`');
        if self.take('`') { Ok(Kind::Text) } else { Err(open(self.text.len(), self.since(start))) }
    }

    /// Escapes are checked and kept as they are: the language has never decoded them.
    fn escape(&mut self, quote: char) -> Result<(), Fault> {
        let (at, c) = self.chars.peek().copied().unwrap_or((self.text.len(), '\n'));
        let (radix, digits) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => (10, 0),
            c if c == quote => (10, 0),
            '0'..='7' => (8, 3),
            'x' => (16, 2),
            'u' => (16, 4),
            'U' => (16, 8),
            _ => return Err(bad_escape(at, c)),
        };
        if radix != 8 {
            self.chars.next();
        }
        for _ in 0..digits {
            let at = self.offset();
            if self.chars.next_if(|(_, c)| c.is_digit(radix)).is_none() {
                let c = self.peek().unwrap_or('\n');
                return Err(bad_escape(at, c));
            }
        }
        Ok(())
    }

    fn number(&mut self, start: usize) -> Result<Kind, Fault> {
        let mut kind = Kind::Integer;
        if self.since(start).starts_with('.') {
            kind = Kind::Decimal;
            self.digits()?;
        } else {
            if self.since(start).starts_with('0') && self.peek().is_some_and(|c| "xXbBoO".contains(c)) {
                let at = self.offset();
                return Err(
                    Fault::new(start..at + 1, "numbers are decimal").suggest("write the number in base 10")
                );
            }
            self.digits()?;
            if self.take('.') {
                kind = Kind::Decimal;
                self.digits()?;
            }
        }
        if self.chars.next_if(|(_, c)| matches!(c, 'e' | 'E')).is_some() {
            kind = Kind::Decimal;
            self.chars.next_if(|(_, c)| matches!(c, '+' | '-'));
            let at = self.offset();
            if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
                return Err(Fault::new(start..at, "exponent has no digits").suggest("write it like `1e3`"));
            }
            self.digits()?;
        }
        Ok(kind)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let mut separator = None;
        while let Some((at, c)) = self.chars.next_if(|(_, c)| c.is_ascii_digit() || *c == '_') {
            match (c, separator) {
                ('_', Some(_)) => return Err(bad_separator(at)),
                ('_', None) => separator = Some(at),
                _ => separator = None,
            }
        }
        separator.map_or(Ok(()), |at| Err(bad_separator(at)))
    }
}

fn bad_separator(at: usize) -> Fault {
    Fault::new(at..at + 1, "'_' must separate successive digits").suggest("write it like `1_000`")
}

fn open(at: usize, literal: &str) -> Fault {
    let quote = literal.chars().next().unwrap_or('"');
    let opened: String = literal.chars().take_while(|c| *c != '\n').take(20).collect();
    Fault::new(at..at, "literal not terminated")
        .suggest(format!("close the text `{opened}` with {quote} on its line"))
}

fn bad_escape(at: usize, c: char) -> Fault {
    let fault = Fault::new(at..at + if c == '\n' { 0 } else { c.len_utf8() }, "invalid char escape");
    match c {
        'd' => fault.suggest("for a digit in a regex write [0-9]"),
        'w' => fault.suggest("for a letter in a regex write [0-9A-Za-z_]"),
        's' => fault.suggest("for a blank in a regex write [ \\t\\n]"),
        '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' | '/' => {
            fault.suggest(format!("for a plain {c} in a regex write [{c}], or [\\x{:02x}]", c as u32))
        }
        _ => fault.suggest(
            "after \\ may stand: a b f n r t v \\ a quote, three octal digits, x, u or U and hex digits",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> String {
        match tokens(text) {
            Ok(tokens) => {
                tokens.iter().map(|t| format!("{:?}", &text[t.span()])).collect::<Vec<_>>().join(" ")
            }
            Err(fault) => format!("{} {}", fault.span.start, fault.message),
        }
    }

    #[test]
    fn splits() {
        for (text, expected) in [
            ("a.b==5", r#""a" "." "b" "=" "=" "5" """#),
            ("1_000 .5 1e3 3.14", r#""1_000" ".5" "1e3" "3.14" """#),
            ("x // c\ny /* z */", r#""x" "y" """#),
            ("é_1", r#""é_1" """#),
            ("'a' `b\nc`", r#""'a'" "`b\nc`" """#),
            ("\"\\u00e9\\101\\x41\\\\\"", r#""\"\\u00e9\\101\\x41\\\\\"" """#),
        ] {
            assert_eq!(run(text), expected, "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (text, expected) in [
            ("\"a", "2 literal not terminated"),
            ("\"a\nb\"", "2 literal not terminated"),
            ("'a", "2 literal not terminated"),
            ("`a", "2 literal not terminated"),
            ("/* a", "4 comment not terminated"),
            ("\"\\d\"", "2 invalid char escape"),
            ("\"\\x4\"", "4 invalid char escape"),
            ("\"\\08\"", "3 invalid char escape"),
            ("\"\\", "2 invalid char escape"),
            ("0x10", "0 numbers are decimal"),
            ("1e", "0 exponent has no digits"),
            ("1__0", "2 '_' must separate successive digits"),
            ("1_", "1 '_' must separate successive digits"),
        ] {
            assert_eq!(run(text), expected, "{text}");
        }
    }
}
