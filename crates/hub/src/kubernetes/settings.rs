//! What is captured, as people set it: by options, by the release's `ConfigMap`, by a request.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;

use super::{objects::Pod, selector::Selector};

/// Longest regular expression, in bytes of its text.
const REGEX: usize = 4096;

/// Most namespaces of a list.
const NAMESPACES: usize = 1024;

/// The keys of the `ConfigMap`.
pub(super) const POD_REGEX: &str = "POD_REGEX";
pub(super) const NAMES: &str = "NAMESPACES";
const EXCLUDED: &str = "EXCLUDED_NAMESPACES";
const LABELS: &str = "LABEL_SELECTOR";
const BPF: &str = "BPF_OVERRIDE";

/// By which label all pods of this program are known: they are never meant.
const OURS: (&str, &str) = ("app.kubernetes.io/name", "kubeshark");

/// Which pods are captured, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetConfig {
    /// Whose name matches this regular expression; empty is all.
    pub regex: String,
    /// Which are in one of these namespaces; none given is all.
    pub namespaces: Vec<String>,
    /// And not in one of these.
    pub excluded: Vec<String>,
    /// And have labels as this selector wants them (`app=web,tier!=test`); empty is all.
    pub labels: String,
    /// A BPF filter in the place of the one that is made of their addresses; empty is none.
    pub bpf: String,
}

/// Why a rule can't be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The expression is none.
    #[error("the pod regex {regex:?} is not a regular expression: {why}")]
    Regex {
        /// As it was given.
        regex: String,
        /// Why.
        why: String,
    },
    /// The selector is none.
    #[error(
        "the label selector {selector:?} makes no sense: {why}; write app=web,tier!=test or env in (a,b)"
    )]
    Labels {
        /// As it was given.
        selector: String,
        /// Why.
        why: String,
    },
    /// A name can't be that of a namespace.
    #[error("{0:?} is not the name of a namespace")]
    Namespace(String),
    /// There are too many namespaces.
    #[error("{0} namespaces are too many; {NAMESPACES} are the most")]
    Namespaces(usize),
}

/// The same, ready to be used.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    config: TargetConfig,
    regex: Option<Regex>,
    labels: Selector,
}

impl Default for Rule {
    fn default() -> Self {
        Self { config: TargetConfig::default(), regex: None, labels: Selector::default() }
    }
}

impl Rule {
    /// Reads it.
    pub(crate) fn new(mut config: TargetConfig) -> Result<Self, TargetError> {
        let text = config.regex.trim();
        let wrong = |why: String| TargetError::Regex { regex: config.regex.clone(), why };
        if text.len() > REGEX {
            return Err(wrong(format!("it has more than {REGEX} bytes")));
        }
        let regex = match text {
            "" | ".*" => None,
            // The last line of the error says what is wrong; those before show where.
            text => Some(Regex::new(text).map_err(|error| {
                wrong(error.to_string().lines().last().unwrap_or_default().trim().to_owned())
            })?),
        };
        config.namespaces = names(&config.namespaces)?;
        config.excluded = names(&config.excluded)?;
        let labels = Selector::parse(&config.labels)
            .map_err(|why| TargetError::Labels { selector: config.labels.clone(), why })?;
        Ok(Self { config, regex, labels })
    }

    /// As it was given.
    pub(crate) fn config(&self) -> &TargetConfig {
        &self.config
    }

    /// The filter in the place of the one that is made of addresses.
    pub(crate) fn bpf(&self) -> Option<String> {
        let bpf = self.config.bpf.trim();
        (!bpf.is_empty()).then(|| bpf.to_owned())
    }

    /// Whether nothing is left out.
    pub(crate) fn is_all(&self) -> bool {
        let TargetConfig { namespaces, excluded, .. } = &self.config;
        self.regex.is_none() && namespaces.is_empty() && excluded.is_empty() && self.labels.is_all()
    }

    /// Whether the pod is meant.
    pub(crate) fn takes(&self, pod: &Pod) -> bool {
        let TargetConfig { namespaces, excluded, .. } = &self.config;
        let namespace = &pod.key.namespace;
        !pod.over
            && !is_ours(&pod.labels)
            && (namespaces.is_empty() || namespaces.contains(namespace))
            && !excluded.contains(namespace)
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(&pod.key.name))
            && self.labels.takes(&pod.labels)
    }

    /// In words, for people.
    pub(crate) fn words(&self) -> String {
        let TargetConfig { regex, namespaces, excluded, labels, bpf } = &self.config;
        if !bpf.trim().is_empty() {
            return format!("what the BPF filter {:?} selects (tap.bpfOverride)", bpf.trim());
        }
        if self.is_all() {
            return "everything".into();
        }
        let mut parts = vec!["pods".to_owned()];
        if self.regex.is_some() {
            parts.push(format!("whose name matches {regex:?}"));
        }
        if !namespaces.is_empty() {
            parts.push(format!("in {}", namespaces.join(", ")));
        }
        if !excluded.is_empty() {
            parts.push(format!("not in {}", excluded.join(", ")));
        }
        if !self.labels.is_all() {
            parts.push(format!("labelled {labels}"));
        }
        parts.join(" ")
    }
}

fn is_ours(labels: &BTreeMap<String, String>) -> bool {
    labels.get(OURS.0).is_some_and(|value| value == OURS.1)
}

/// Names without blanks, sorted, each once.
fn names(given: &[String]) -> Result<Vec<String>, TargetError> {
    let mut names: Vec<_> =
        given.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    if names.len() > NAMESPACES {
        return Err(TargetError::Namespaces(names.len()));
    }
    let is_label = |name: &String| {
        name.len() <= 63
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    match names.iter().find(|name| !is_label(name)) {
        Some(name) => Err(TargetError::Namespace(name.clone())),
        None => Ok(names),
    }
}

/// What the `ConfigMap` says of targets; a key that it has not is as in `otherwise`.
pub(super) fn targets(data: &BTreeMap<String, String>, otherwise: &TargetConfig) -> TargetConfig {
    let text = |key: &str, otherwise: &str| data.get(key).map_or(otherwise, |text| text.trim()).to_owned();
    let list = |key: &str, otherwise: &[String]| match data.get(key) {
        Some(text) => {
            text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        }
        None => otherwise.to_vec(),
    };
    TargetConfig {
        regex: text(POD_REGEX, &otherwise.regex),
        namespaces: list(NAMES, &otherwise.namespaces),
        excluded: list(EXCLUDED, &otherwise.excluded),
        labels: text(LABELS, &otherwise.labels),
        bpf: text(BPF, &otherwise.bpf),
    }
}

/// What a request may change of the rule; what it does not name stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wish {
    pub(crate) regex: Option<String>,
    pub(crate) namespaces: Option<Vec<String>>,
    pub(crate) excluded_namespaces: Option<Vec<String>>,
    pub(crate) label_selector: Option<String>,
}

impl Wish {
    /// The rule with it.
    pub(crate) fn on(&self, config: &TargetConfig) -> TargetConfig {
        let config = config.clone();
        TargetConfig {
            regex: self.regex.clone().unwrap_or(config.regex),
            namespaces: self.namespaces.clone().unwrap_or(config.namespaces),
            excluded: self.excluded_namespaces.clone().unwrap_or(config.excluded),
            labels: self.label_selector.clone().unwrap_or(config.labels),
            bpf: config.bpf,
        }
    }
}

/// Puts a rule into the data of the `ConfigMap`.
pub(super) fn write(config: &TargetConfig, data: &mut BTreeMap<String, String>) {
    for (key, text) in [
        (POD_REGEX, config.regex.clone()),
        (NAMES, config.namespaces.join(",")),
        (EXCLUDED, config.excluded.join(",")),
        (LABELS, config.labels.clone()),
        (BPF, config.bpf.clone()),
    ] {
        data.insert(key.to_owned(), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, name: &str, labels: &[(&str, &str)]) -> Pod {
        let key = super::super::objects::Key { namespace: namespace.into(), name: name.into() };
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Pod { key, labels, ..Pod::default() }
    }

    fn rule(regex: &str, namespaces: &[&str], excluded: &[&str], labels: &str) -> Result<Rule, TargetError> {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Rule::new(TargetConfig {
            regex: regex.into(),
            namespaces: list(namespaces),
            excluded: list(excluded),
            labels: labels.into(),
            bpf: String::new(),
        })
    }

    #[test]
    fn a_rule_takes_the_pods_that_it_means() {
        let pods = [
            pod("shop", "web-1", &[("app", "web")]),
            pod("shop", "db-1", &[("app", "db")]),
            pod("test", "web-2", &[("app", "web"), ("env", "test")]),
            pod("kube-system", "dns-1", &[]),
            pod("shop", "kubeshark-worker-x", &[("app.kubernetes.io/name", "kubeshark")]),
        ];
        let taken = |rule: Rule| {
            pods.iter().filter(|pod| rule.takes(pod)).map(|pod| &*pod.key.name).collect::<Vec<_>>().join(" ")
        };
        for (rule, expected, words) in [
            (rule("", &[], &[], ""), "web-1 db-1 web-2 dns-1", "everything"),
            (rule(".*", &[], &[], ""), "web-1 db-1 web-2 dns-1", "everything"),
            (rule("^web", &[], &[], ""), "web-1 web-2", r#"pods whose name matches "^web""#),
            (rule("", &["shop", " shop"], &[], ""), "web-1 db-1", "pods in shop"),
            (rule("", &[], &["kube-system", "test"], ""), "web-1 db-1", "pods not in kube-system, test"),
            (
                rule("1$", &["shop", "test"], &[], "app=web,env!=test"),
                "web-1",
                r#"pods whose name matches "1$" in shop, test labelled app=web,env!=test"#,
            ),
        ] {
            let rule = rule.unwrap();
            assert_eq!((&*rule.words(), rule.is_all()), (words, words == "everything"));
            assert_eq!(taken(rule), expected);
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (rule, expected) in [
            (
                rule("(web", &[], &[], ""),
                "the pod regex \"(web\" is not a regular expression: error: unclosed group",
            ),
            (rule("", &["a b"], &[], ""), "\"a b\" is not the name of a namespace"),
            (rule("", &[], &[], "a in b"), "the label selector \"a in b\" makes no sense"),
        ] {
            let error = rule.unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_config_map_is_read_and_written() {
        let otherwise = TargetConfig { regex: "^a".into(), ..TargetConfig::default() };
        assert_eq!(targets(&BTreeMap::new(), &otherwise), otherwise);
        let config = TargetConfig {
            regex: "web".into(),
            namespaces: vec!["a".into(), "b".into()],
            excluded: Vec::new(),
            labels: "app=web".into(),
            bpf: "tcp".into(),
        };
        let mut data = BTreeMap::new();
        write(&config, &mut data);
        assert_eq!(data[NAMES], "a,b");
        assert_eq!(targets(&data, &otherwise), config);
        let wish: Wish = serde_json::from_str(r#"{"regex": "db", "namespaces": []}"#).unwrap();
        let wanted = wish.on(&config);
        assert_eq!((&*wanted.regex, wanted.namespaces.len(), &*wanted.labels), ("db", 0, "app=web"));
    }
}
