//! The chart, which the program carries with it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../helm/", $name)))),*]
    };
}

/// Its files.
const FILES: &[(&str, &str)] = files![
    "Chart.yaml",
    "README.md",
    "values.yaml",
    "values.schema.json",
    "templates/NOTES.txt",
    "templates/_helpers.tpl",
    "templates/config-map.yaml",
    "templates/hub-deployment.yaml",
    "templates/hub-service.yaml",
    "templates/ingress.yaml",
    "templates/keys.yaml",
    "templates/network-policy.yaml",
    "templates/persistent-volume-claim.yaml",
    "templates/rbac.yaml",
    "templates/scripts-ca.yaml",
    "templates/secret.yaml",
    "templates/service-monitor.yaml",
    "templates/worker-daemon-set.yaml",
    "templates/worker-service.yaml",
];

/// Its settings, with comments.
pub(crate) const VALUES: &str = include_str!("../../../../helm/values.yaml");

const SCHEMA: &str = include_str!("../../../../helm/values.schema.json");

/// Its settings.
pub(crate) fn values() -> Value {
    serde_saphyr::from_str(VALUES).unwrap_or_default()
}

/// The settings that it knows, as a JSON schema.
pub(crate) fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap_or_default()
}

/// The chart as a directory that goes with its value.
#[derive(Debug)]
pub(crate) struct Unpacked(PathBuf);

impl Unpacked {
    /// Writes it where nobody else can change it.
    pub(crate) fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kubeshark-chart-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        // It fails where something is there already, a stranger's link included.
        fs::create_dir(&directory)?;
        let unpacked = Self(directory);
        fs::create_dir(unpacked.0.join("templates"))?;
        for (name, text) in FILES {
            fs::write(unpacked.0.join(name), text)?;
        }
        Ok(unpacked)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // What stays behind is a few files in a directory for such.
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_chart_is_carried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../helm");
        let listed = |directory: &Path| {
            fs::read_dir(directory)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_file())
                .count()
        };
        assert_eq!(FILES.len(), listed(&root) + listed(&root.join("templates")));
        assert!(values()["tap"].is_object() && schema()["properties"]["tap"].is_object());
        let unpacked = Unpacked::new().unwrap();
        assert_eq!(fs::read_to_string(unpacked.path().join("values.yaml")).unwrap(), VALUES);
    }
}
