//! Just enough XML to find an element and to write the document back: elements, attributes, text, CDATA, the five
//! entities and character references. Comments, processing instructions and DTDs are skipped; no entity is ever
//! defined, so none can expand.

use crate::{limits, path::Step, redact::REDACTED};
use std::{borrow::Cow, fmt};

/// A document, read.
pub(crate) struct Xml {
    /// Whether the text began with an XML declaration.
    declared: bool,
    /// A nameless element around the root.
    outer: Element,
}

#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    /// The element's own text, without the blanks around it.
    text: String,
}

impl Xml {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text.trim_start_matches('\u{feff}').trim_start() };
        let declared = reader.rest.starts_with("<?xml");
        let mut open: Vec<Element> = vec![Element::default()];
        while !reader.rest.is_empty() {
            reader.content(&mut open)?;
        }
        let outer = open.pop().filter(|_| open.is_empty())?;
        (outer.children.len() == 1 && outer.text.trim().is_empty()).then_some(Xml { declared, outer })
    }

    /// The text of the first element that the steps lead to.
    pub(crate) fn text(&self, steps: &[Step]) -> Option<&str> {
        self.outer.find(steps).map(|element| element.text.trim())
    }

    /// Replaces what the steps lead to, and says whether there was anything.
    pub(crate) fn redact(&mut self, steps: &[Step]) -> bool {
        self.outer.redact(steps)
    }
}

impl Element {
    fn named<'e, 'n>(&'e self, name: &'n str) -> impl Iterator<Item = &'e Element> + use<'e, 'n> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn find<'e>(&'e self, steps: &[Step]) -> Option<&'e Element> {
        match steps {
            [] => Some(self),
            [Step::Key(name), Step::Index(index), rest @ ..] => self.named(name).nth(*index)?.find(rest),
            [Step::Key(name), rest @ ..] => self.named(name).find_map(|child| child.find(rest)),
            [Step::Any, rest @ ..] => self.children.iter().find_map(|child| child.find(rest)),
            [Step::Deep, rest @ ..] => {
                self.find(rest).or_else(|| self.children.iter().find_map(|child| child.find(steps)))
            }
            _ => None,
        }
    }

    /// A name without an index means the only element of that name: of several it redacts none.
    fn redact(&mut self, steps: &[Step]) -> bool {
        match steps {
            [] => {
                *self = Element {
                    name: std::mem::take(&mut self.name),
                    text: REDACTED.to_owned(),
                    ..Element::default()
                };
                true
            }
            [Step::Key(name), Step::Index(index), rest @ ..] => {
                let mut named = self.children.iter_mut().filter(|child| *child.name == **name);
                named.nth(*index).is_some_and(|child| child.redact(rest))
            }
            [Step::Key(name), rest @ ..] => {
                let mut named = self.children.iter_mut().filter(|child| *child.name == **name);
                match (named.next(), named.next()) {
                    (Some(only), None) => only.redact(rest),
                    _ => false,
                }
            }
            [Step::Any, rest @ ..] => {
                self.children.iter_mut().filter_map(|child| child.redact(rest).then_some(())).count() > 0
            }
            [Step::Deep, Step::Key(name), rest @ ..] => self.children.iter_mut().fold(false, |hit, child| {
                let here = *child.name == **name && child.redact(rest);
                child.redact(steps) || here || hit
            }),
            _ => false,
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// Reads one piece of markup, or the text before the next.
    fn content(&mut self, open: &mut Vec<Element>) -> Option<()> {
        if let Some(text) = self.between("<![CDATA[", "]]>") {
            open.last_mut()?.text.push_str(text);
        } else if self.between("<!--", "-->").is_some() || self.between("<?", "?>").is_some() {
        } else if self.rest.starts_with("<!") {
            self.doctype()?;
        } else if let Some(name) = self.between("</", ">") {
            let element = open.pop()?;
            if element.name != name.trim_end() {
                return None;
            }
            open.last_mut()?.children.push(element);
        } else if self.skip("<") {
            self.element(open)?;
        } else {
            let end = self.rest.find('<').unwrap_or(self.rest.len());
            let text = self.take(end);
            open.last_mut()?.text.push_str(&unescaped(text)?);
        }
        Some(())
    }

    fn element(&mut self, open: &mut Vec<Element>) -> Option<()> {
        if open.len() > limits::DOCUMENT_DEPTH {
            return None;
        }
        let mut element = Element { name: self.name()?.to_owned(), ..Element::default() };
        loop {
            self.blanks();
            if self.skip("/>") {
                open.last_mut()?.children.push(element);
                return Some(());
            }
            if self.skip(">") {
                open.push(element);
                return Some(());
            }
            let name = self.name()?;
            self.blanks();
            self.skip("=").then_some(())?;
            self.blanks();
            let value = self.between("\"", "\"").or_else(|| self.between("'", "'"))?;
            element.attributes.push((name.to_owned(), unescaped(value)?.into_owned()));
        }
    }

    /// `<!DOCTYPE …>`, whose internal subset has brackets of its own.
    fn doctype(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        let end = self.rest.find(|c| {
            match c {
                '<' | '[' => depth += 1,
                '>' | ']' => depth = depth.saturating_sub(1),
                _ => return false,
            }
            depth == 0
        })?;
        self.take(end + 1);
        Some(())
    }

    fn name(&mut self) -> Option<&'t str> {
        let end =
            self.rest.find(|c: char| c.is_whitespace() || "<>/='\"&".contains(c)).unwrap_or(self.rest.len());
        Some(self.take(end)).filter(|name| !name.is_empty())
    }

    fn between(&mut self, start: &str, end: &str) -> Option<&'t str> {
        let (inside, rest) = self.rest.strip_prefix(start)?.split_once(end)?;
        self.rest = rest;
        Some(inside)
    }

    fn skip(&mut self, wanted: &str) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('&') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, after) = after.split_once(';')?;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            reference => character(reference)?,
        });
        rest = after;
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

fn character(reference: &str) -> Option<char> {
    let number = reference.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

/// The document again, in one canonical form: attributes and children by name, no blanks between elements.
impl fmt::Display for Xml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.declared {
            f.write_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")?;
        }
        self.outer.children.iter().try_for_each(|root| root.fmt(f))
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        let mut attributes: Vec<_> = self.attributes.iter().collect();
        attributes.sort_by_key(|(name, _)| name);
        for (name, value) in attributes {
            write!(f, " {name}=\"{}\"", escaped(value))?;
        }
        let text = self.text.trim();
        if self.children.is_empty() && text.is_empty() {
            return f.write_str("/>");
        }
        write!(f, ">{}", escaped(text))?;
        let mut children: Vec<_> = self.children.iter().collect();
        children.sort_by_key(|child| &child.name);
        children.iter().try_for_each(|child| child.fmt(f))?;
        write!(f, "</{}>", self.name)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Option<String> {
        Xml::parse(text).map(|xml| xml.to_string())
    }

    #[test]
    fn reads_and_writes() {
        for (text, expected) in [
            ("<a><c>2</c><b y='2' x=\"1\"/></a>", Some("<a><b x=\"1\" y=\"2\"/><c>2</c></a>")),
            ("<a> x &lt;&#65;&#x42; <![CDATA[<&]]></a >", Some("<a>x &lt;AB &lt;&amp;</a>")),
            ("<!DOCTYPE a [<!ENTITY e \"x\">]><!-- c --><a/>\n", Some("<a/>")),
            ("<a>&e;</a>", None),
            ("<a><b></a></b>", None),
            ("<a>", None),
            ("</a>", None),
            ("<a/><b/>", None),
            ("<a b></a>", None),
            ("text", None),
            ("", None),
        ] {
            assert_eq!(run(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_to_go_too_deep() {
        assert!(run(&"<a>".repeat(100_000)).is_none());
        assert!(run(&format!("{}{}", "<a>".repeat(100), "</a>".repeat(100))).is_some());
    }
}
