//! The chart, rendered by the real `helm`.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::Duration,
};

use serde_json::Value;
use support::{Scratch, program};

/// What makes the chart different as a whole: a setting, and the value that is not its default.
pub(crate) const SWITCHES: [(&str, &str); 7] = [
    ("tap.auth.enabled", "false"),
    ("tap.namespaceScoped", "true"),
    ("tap.workerNamespace", ""),
    ("tap.ingress.enabled", "true"),
    ("tap.networkPolicy.enabled", "false"),
    ("tap.persistentStorage", "true"),
    ("tap.metrics.serviceMonitor.enabled", "true"),
];

/// The chart's names for the keys, and where they are in the Secrets that it makes.
pub(crate) const KEYS: [(&str, &str, &str); 5] = [
    ("ca", "kubeshark-hub-keys", "ca.crt"),
    ("hubCert", "kubeshark-hub-keys", "tls.crt"),
    ("hubKey", "kubeshark-hub-keys", "tls.key"),
    ("workerCert", "kubeshark-worker-keys", "tls.crt"),
    ("workerKey", "kubeshark-worker-keys", "tls.key"),
];

/// The chart with some switches thrown.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// Which.
    pub(crate) switched: Vec<&'static str>,
    /// Its objects.
    pub(crate) objects: Vec<Value>,
}

impl Rendered {
    /// Whether a switch is thrown.
    pub(crate) fn is(&self, switch: &str) -> bool {
        self.switched.contains(&switch)
    }
}

/// Where the release is rendered into.
pub(crate) fn namespace() -> String {
    format!("chart-{}", std::process::id())
}

/// Where its workers are, if elsewhere.
pub(crate) fn worker_namespace() -> String {
    format!("chart-workers-{}", std::process::id())
}

/// The chart's directory.
pub(crate) fn chart() -> PathBuf {
    support::root().join("helm")
}

/// Where `helm` is, if anywhere; if not, that is noted.
pub(crate) fn helm() -> Option<PathBuf> {
    let places = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&places).map(|place| place.join("helm")).find(|path| path.is_file());
    if found.is_none() {
        program::note("chart: not run (there is no helm in PATH; `make test` builds one where Go is)");
    }
    found
}

/// `helm template` of the chart with these arguments more: the objects, or what helm says.
pub(crate) fn render(helm: &Path, arguments: &[String]) -> Result<Vec<Value>, String> {
    render_chart(helm, &chart(), arguments)
}

/// The same of another chart.
pub(crate) fn render_chart(helm: &Path, chart: &Path, arguments: &[String]) -> Result<Vec<Value>, String> {
    let mut command = Command::new(helm);
    command.args(["template", "kubeshark"]).arg(chart).args(["--namespace", &namespace()]);
    // Unless told, helm takes the version that it was built with.
    command.args(["--kube-version", "1.34.0"]).args(arguments);
    let ran = program::run(&mut command, b"", Duration::from_mins(1));
    if ran.code != Some(0) {
        return Err(ran.stderr);
    }
    let text = String::from_utf8(ran.stdout).expect("UTF-8");
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

/// `--set` for each.
pub(crate) fn set(settings: &[(&str, &str)]) -> Vec<String> {
    settings.iter().flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]).collect()
}

/// The data of a rendered or stored Secret, decoded.
pub(crate) fn secret(objects: &[Value], name: &str) -> BTreeMap<String, Vec<u8>> {
    let found =
        objects.iter().find(|object| object["kind"] == "Secret" && object["metadata"]["name"] == name);
    let data =
        found.and_then(|secret| secret["data"].as_object()).unwrap_or_else(|| panic!("no Secret {name}"));
    data.iter().map(|(key, value)| (key.clone(), decode(value.as_str().expect("text")))).collect()
}

/// Base64 as RFC 4648 §4 has it.
fn decode(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte| ALPHABET.iter().position(|&known| known == byte).expect("base64") as u32;
    let groups = text.trim_end_matches('=').as_bytes().chunks(4);
    let mut bytes = Vec::new();
    for group in groups {
        let bits = group.iter().fold(0, |bits, &byte| bits << 6 | digit(byte)) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}

/// `--set-file` for the keys that a rendering made, so that those after it need not make any.
pub(crate) fn given_keys(objects: &[Value], directory: &Path) -> Vec<String> {
    let mut arguments = Vec::new();
    for (setting, name, key) in KEYS {
        let file = directory.join(setting);
        fs::write(&file, &secret(objects, name)[key]).expect("a file");
        arguments.extend(["--set-file".to_owned(), format!("tap.keys.{setting}={}", file.display())]);
    }
    arguments
}

/// The chart with every combination of its switches; `None` without helm.
pub(crate) fn every_combination() -> Option<&'static [Rendered]> {
    static ALL: OnceLock<Option<Vec<Rendered>>> = OnceLock::new();
    ALL.get_or_init(|| Some(combine(&helm()?))).as_deref()
}

fn combine(helm: &Path) -> Vec<Rendered> {
    let scratch = Scratch::new();
    let plain = render(helm, &[]).unwrap_or_else(|error| panic!("{error}"));
    let keys = given_keys(&plain, scratch.path());
    let workers = worker_namespace();
    let one = |combination: usize| {
        let thrown = SWITCHES.iter().enumerate().filter(|(at, _)| combination & (1 << at) != 0);
        let thrown: Vec<_> = thrown.map(|(_, switch)| *switch).collect();
        let settings: Vec<_> = thrown
            .iter()
            .map(|&(key, value)| (key, if value.is_empty() { workers.as_str() } else { value }))
            .collect();
        let arguments: Vec<_> = keys.iter().cloned().chain(set(&settings)).collect();
        let objects = render(helm, &arguments).unwrap_or_else(|error| panic!("{settings:?}: {error}"));
        Rendered { switched: thrown.iter().map(|(key, _)| *key).collect(), objects }
    };
    let all = 1 << SWITCHES.len();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut rendered: Vec<_> = thread::scope(|scope| {
        let part = |first| scope.spawn(move || (first..all).step_by(threads).map(one).collect::<Vec<_>>());
        let parts: Vec<_> = (0..threads).map(part).collect();
        parts.into_iter().flat_map(|part| part.join().expect("no panic")).collect()
    });
    rendered.sort_by_key(|rendered| rendered.switched.len());
    rendered
}
