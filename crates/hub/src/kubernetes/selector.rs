//! Label selectors as `kubectl` writes them: `app=web,tier!=test,env in (a,b),track notin (c),canary,!old`.

use std::collections::BTreeMap;

/// Most requirements of one selector.
const REQUIREMENTS: usize = 64;

/// What labels must be like; without a requirement any will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Present,
    Absent,
    In(Vec<String>),
    /// Also where the label is missing, as Kubernetes has it.
    NotIn(Vec<String>),
}

impl Selector {
    /// Reads it; the error says why it makes no sense.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for part in parts(text)? {
            requirements.push(requirement(part)?);
            if requirements.len() > REQUIREMENTS {
                return Err(format!("it has more than {REQUIREMENTS} parts"));
            }
        }
        Ok(Self(requirements))
    }

    /// Whether any labels will do.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these will.
    pub(crate) fn takes(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|Requirement { key, test }| {
            let value = labels.get(key);
            match test {
                Test::Present => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            }
        })
    }
}

/// Cut at the commas that are outside of parentheses.
fn parts(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let mut inside = false;
        let end = rest.find(|c| {
            inside = (inside || c == '(') && c != ')';
            c == ',' && !inside
        });
        let (part, more) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end + 1..]));
        if part.trim().is_empty() {
            return Err("there is nothing between two commas".into());
        }
        parts.push(part.trim());
        rest = more.trim();
    }
    Ok(parts)
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let (key, test) = if let Some(key) = part.strip_prefix('!') {
        (key, Test::Absent)
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, Test::NotIn(vec![checked(value)?]))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Test::In(vec![checked(value)?]))
    } else if let Some((key, rest)) = part.split_once(char::is_whitespace) {
        let rest = rest.trim();
        if let Some(values) = rest.strip_prefix("notin") {
            (key, Test::NotIn(list(values)?))
        } else if let Some(values) = rest.strip_prefix("in") {
            (key, Test::In(list(values)?))
        } else {
            return Err(format!("{rest:?} is neither in (…) nor notin (…)"));
        }
    } else {
        (part, Test::Present)
    };
    let key = key.trim();
    if key.is_empty() {
        return Err(format!("{part:?} names no label"));
    }
    Ok(Requirement { key: checked(key)?, test })
}

fn list(values: &str) -> Result<Vec<String>, String> {
    let inner = values.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.ok_or_else(|| format!("{:?} is no list in parentheses", values.trim()))?;
    inner.split(',').map(checked).collect()
}

/// A label, or a value of one: what of Kubernetes' grammar is needed to find mistakes.
fn checked(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_./".contains(*c))) {
        Some(strange) => Err(format!("{strange:?} cannot be in a label")),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_selected() {
        let labels = BTreeMap::from([("app", "web"), ("env", "a"), ("example.com/x", "")])
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        for (text, expected) in [
            ("", true),
            (" ", true),
            ("app=web", true),
            ("app == web , env!=b", true),
            ("app=db", false),
            ("env in (a, b)", true),
            ("env in(b)", false),
            ("env notin (a)", false),
            ("other notin (a),other!=b", true),
            ("example.com/x", true),
            ("example.com/x=", true),
            ("!other", true),
            ("!app", false),
            ("app,env in (a,b),!other", true),
        ] {
            assert_eq!(Selector::parse(text).unwrap().takes(&labels), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_told() {
        for (text, expected) in [
            ("a,,b", "nothing between"),
            ("=b", "names no label"),
            ("a in b", "no list in parentheses"),
            ("a of (b)", "neither in"),
            ("a=b c", "cannot be in a label"),
        ] {
            let error = Selector::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
