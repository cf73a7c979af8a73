//! The settings of a cluster: the chart's values, from a file, from `--set` and from flags.
//!
//! They are looked for in `./kubeshark.yaml`, else in `~/.kubeshark/config.yaml`, and laid over the chart's own. Files that
//! were written for other releases are read: keys are found in any case, and those that were renamed have a table.

mod fit;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use tracing::warn;

use crate::{exit::Failure, kubernetes::chart};

/// Where a release lives unless it is told otherwise.
const NAMESPACE: &str = "kubeshark";

/// Settings from the command line.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Args {
    /// A setting, such as `tap.auth.enabled=false`; may be given again. One that is given twice makes a list
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// The namespace of the release [default: kubeshark]
    #[arg(short = 's', long, visible_alias = "selfnamespace", value_name = "NAMESPACE")]
    pub(crate) release_namespace: Option<String>,
}

/// What the chart is to be given, and what else the command line wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    values: Value,
}

impl Args {
    /// The settings, with what is wrong with them told as warnings.
    pub(crate) fn load(&self) -> Result<Settings, Failure> {
        let mut settings = match file() {
            Some(path) => Settings::read(&path)?,
            None => Settings::of(json!({})),
        };
        let (given, warnings) = parse_sets(&self.sets);
        for warning in warnings {
            warn!("{warning}");
        }
        settings.merge(given);
        if let Some(namespace) = &self.release_namespace {
            settings.set("tap.release.namespace", json!(namespace));
        }
        Ok(settings)
    }
}

impl Settings {
    fn of(given: Value) -> Self {
        let mut settings = Self { values: chart::values() };
        settings.merge(given);
        settings
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let cannot =
            |why: String| Failure::Failed(format!("cannot read the settings {}: {why}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
        let given = if text.trim().is_empty() { json!({}) } else { parse(&text).map_err(cannot)? };
        match given {
            Value::Object(_) => Ok(Self::of(given)),
            Value::Null => Ok(Self::of(json!({}))),
            _ => Err(cannot("it is no list of settings; `kubeshark config` prints one".into())),
        }
    }

    /// Lays these over what is there.
    fn merge(&mut self, given: Value) {
        let (fitting, warnings) = fit::fit(given, &chart::schema());
        for warning in warnings {
            warn!("{warning}");
        }
        lay_over(&mut self.values, fitting);
    }

    /// One setting, by its path: `tap.regex`.
    pub(crate) fn set(&mut self, path: &str, value: Value) {
        lay_over(&mut self.values, nested(path, value));
    }

    /// A variable of scripts, whose name may hold anything.
    pub(crate) fn set_variable(&mut self, name: &str, value: Value) {
        self.values["scripting"]["env"][name] = value;
    }

    /// All of them, as the chart takes them.
    pub(crate) fn values(&self) -> &Value {
        &self.values
    }

    fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.values, |value, key| value.get(key))
    }

    /// A text that is set and not empty.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.at(path).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Whether something is on.
    pub(crate) fn is_on(&self, path: &str) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A port that is set.
    pub(crate) fn port(&self, path: &str) -> Option<u16> {
        self.at(path).and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok())
    }

    /// The texts of a list.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        let items = self.at(path).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(|item| item.as_str().map(Into::into)).collect()
    }

    /// Where the release lives.
    pub(crate) fn namespace(&self) -> &str {
        self.text("tap.release.namespace").unwrap_or(NAMESPACE)
    }

    /// The folders of scripts.
    pub(crate) fn script_folders(&self) -> Vec<PathBuf> {
        let one = self.text("scripting.source").map(Into::into);
        one.into_iter().chain(self.list("scripting.sources")).map(PathBuf::from).collect()
    }
}

/// The user's own file: what `kubeshark config -r` writes.
pub(crate) fn own_file() -> Option<PathBuf> {
    Some(PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(".kubeshark/config.yaml"))
}

/// The file that is read, if there is one.
pub(crate) fn file() -> Option<PathBuf> {
    let here = PathBuf::from("kubeshark.yaml");
    [Some(here), own_file()].into_iter().flatten().find(|path| path.is_file())
}

/// Writes the chart's own settings, with their comments, to the user's file; one that is there is kept beside it.
pub(crate) fn regenerate() -> Result<PathBuf, Failure> {
    let path = own_file().ok_or_else(|| Failure::Failed("there is no HOME to write settings to".into()))?;
    let write = || -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if path.is_file() {
            fs::rename(&path, path.with_extension("yaml.old"))?;
        }
        fs::write(&path, chart::VALUES)
    };
    write().map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))?;
    Ok(path)
}

/// YAML 1.2, in which `y` and `no` are words.
fn parse(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// What `--set` says, as a tree; and what of it makes no sense.
fn parse_sets(sets: &[String]) -> (Value, Vec<String>) {
    let (mut tree, mut warnings) = (json!({}), Vec::new());
    for set in sets {
        let Some((path, text)) = set.split_once('=').filter(|(path, _)| !path.is_empty()) else {
            warnings.push(format!("--set {set} is ignored: write KEY=VALUE"));
            continue;
        };
        let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        let mut place = &mut tree;
        for key in path.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[key];
        }
        *place = match place.take() {
            Value::Null => value,
            Value::Array(mut list) => {
                list.push(value);
                list.into()
            }
            first => Value::Array(vec![first, value]),
        };
    }
    (tree, warnings)
}

/// The tree with this value alone, at a path such as `tap.regex`.
fn nested(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |value, key| json!({ key: value }))
}

/// Objects are merged; everything else is replaced.
fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_2023_is_understood() {
        let given = parse(
            "tap:\n  selfnamespace: sharks\n  storagelimit: 200MB\n  proxy: {worker: {srvport: 8897}}\n  \
             resources: {worker: {cpu-limit: 750m, memory-requests: 50Mi}}\n\
             scripting: {env: {Some_Key: 1}, watchScripts: false}\nresourceLabels: {Team: y}\n",
        )
        .unwrap();
        let settings = Settings::of(given);
        assert_eq!(settings.namespace(), "sharks");
        assert_eq!(settings.text("tap.storageLimit"), Some("200M"));
        assert_eq!(settings.port("tap.proxy.worker.srvPort"), Some(8897));
        assert_eq!(settings.text("tap.resources.worker.limits.cpu"), Some("750m"));
        assert_eq!(settings.text("tap.resources.worker.requests.memory"), Some("50Mi"));
        // Names that are the user's stay as they are.
        assert_eq!(settings.values()["scripting"]["env"], json!({"Some_Key": 1}));
        assert_eq!(settings.values()["resourceLabels"], json!({"Team": "y"}));
        assert!(!settings.is_on("scripting.watchScripts"));
    }

    #[test]
    fn what_is_set_lies_over_the_charts_own() {
        let sets =
            ["tap.regex=a.*", "tap.namespaces=x", "tap.namespaces=y", "tap.auth.enabled=false", "nonsense"];
        let (tree, warnings) = parse_sets(&sets.map(str::to_owned));
        assert_eq!(warnings, ["--set nonsense is ignored: write KEY=VALUE"]);
        let settings = Settings::of(tree);
        assert_eq!(settings.text("tap.regex"), Some("a.*"));
        assert_eq!(settings.list("tap.namespaces"), ["x", "y"]);
        assert!(!settings.is_on("tap.auth.enabled"));
        assert_eq!(settings.text("tap.docker.registry"), Some("docker.io/kubeshark"));
    }
}
