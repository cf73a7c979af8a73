//! Scripts and their environment as they lie on disk, looked at again and again.
//!
//! Looking twice a second finds every kind of change, on any file system, also where Kubernetes swaps the links of a
//! mounted `ConfigMap`. A change counts once it has stood still from one look to the next, so that a file which is still
//! being written, or replaced, is not read half.

mod text;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use api::messages::Env;
use serde_json::Value;

pub use self::text::{variable, variables};

/// How long it is from one look to the next.
pub const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Largest file that is read, in bytes: more is no script, and no environment.
const MAX_FILE: u64 = 8 << 20;

/// Where scripts and their environment come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceConfig {
    /// Folders of scripts: every `*.js` in them, not in folders below.
    pub folders: Vec<PathBuf>,
    /// Variables; they win over those of the file.
    pub env: Vec<(String, String)>,
    /// A file of variables.
    pub env_file: Option<PathBuf>,
}

/// Why scripts cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A folder that was named is none.
    #[error("cannot read the scripts folder {path}")]
    Folder {
        /// Its path.
        path: String,
        /// The system's reason.
        #[source]
        cause: io::Error,
    },
    /// The file of variables cannot be read.
    #[error("cannot read the variables of scripts from {path}: {why}")]
    Env {
        /// Its path.
        path: String,
        /// Why.
        why: String,
    },
    /// The directory of a folder has gone, after it was read.
    #[error("{path} cannot be read, so its scripts stay as they are: {why}")]
    Gone {
        /// Its path.
        path: String,
        /// Why.
        why: String,
    },
}

/// What has changed.
#[derive(Debug)]
pub enum Change {
    /// A script is new, or has another text.
    Written {
        /// Its file.
        path: PathBuf,
        /// What people call it.
        title: String,
        /// Its text.
        code: String,
    },
    /// Its file has another name.
    Moved {
        /// Its old name.
        from: PathBuf,
        /// Its new name.
        to: PathBuf,
    },
    /// Its file is gone.
    Removed(PathBuf),
    /// The whole environment, anew.
    Env(Env),
    /// Something cannot be read; what was read of it before stands.
    Unreadable(SourceError),
}

/// Folders and a file of variables, as they were last seen.
#[derive(Debug)]
pub struct Sources {
    config: SourceConfig,
    scripts: BTreeMap<PathBuf, Seen>,
    env: Option<Seen>,
    /// Folders that could not be read at the last look: told once.
    gone: Vec<PathBuf>,
}

/// What a file looked like.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// When its text was last taken.
    taken: Option<Stamp>,
    /// At the last look.
    last: Option<Stamp>,
    /// The text that was taken.
    code: String,
}

/// Changes with the text of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Self { modified: (file.mtime(), file.mtime_nsec()), size: file.size(), inode: file.ino() })
    }
}

impl Sources {
    /// Reads everything for the first time.
    pub fn open(config: SourceConfig) -> Result<(Self, Vec<Change>), SourceError> {
        let mut sources = Self {
            scripts: BTreeMap::new(),
            env: config.env_file.as_ref().map(|_| Seen::default()),
            gone: Vec::new(),
            config,
        };
        for folder in &sources.config.folders {
            files(folder)
                .map_err(|cause| SourceError::Folder { path: folder.display().to_string(), cause })?;
        }
        let env = sources.read_env()?;
        if let (Some(seen), Some(path)) = (&mut sources.env, &sources.config.env_file) {
            seen.taken = Stamp::of(path);
            seen.last = seen.taken;
        }
        let mut changes = vec![Change::Env(env)];
        // What lies there before the start has stood still for long.
        sources.look_at_folders();
        changes.extend(sources.look_at_folders());
        Ok((sources, changes))
    }

    /// Whether nothing is there that could change.
    pub fn is_fixed(&self) -> bool {
        self.config.folders.is_empty() && self.config.env_file.is_none()
    }

    /// Looks again, and tells what has changed since.
    pub fn look(&mut self) -> Vec<Change> {
        let mut changes = self.look_at_folders();
        changes.extend(self.look_at_env());
        changes
    }

    fn look_at_folders(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut present = Vec::new();
        for folder in &self.config.folders {
            match files(folder) {
                Ok(files) => {
                    self.gone.retain(|gone| gone != folder);
                    present.extend(files);
                }
                Err(error) => {
                    if !self.gone.contains(folder) {
                        self.gone.push(folder.clone());
                        let path = folder.display().to_string();
                        changes.push(Change::Unreadable(SourceError::Gone { path, why: error.to_string() }));
                    }
                    // Its files are not gone, only out of sight.
                    present.extend(
                        self.scripts.keys().filter(|path| path.parent() == Some(folder.as_path())).cloned(),
                    );
                }
            }
        }
        for path in &present {
            self.scripts.entry(path.clone()).or_default();
        }
        let gone = std::mem::take(&mut self.gone);
        for (path, seen) in &mut self.scripts {
            if path.parent().is_some_and(|folder| gone.iter().any(|gone| gone == folder)) {
                continue;
            }
            let now = Stamp::of(path);
            let still = std::mem::replace(&mut seen.last, now) == now;
            if !still || now == seen.taken {
                continue;
            }
            seen.taken = now;
            if now.is_none() {
                changes.push(Change::Removed(path.clone()));
                continue;
            }
            match read(path) {
                // Touched, not changed.
                Ok(code) if code == seen.code => {}
                Ok(code) => {
                    seen.code.clone_from(&code);
                    let title = Some(scripting::title(&code)).filter(|title| !title.is_empty());
                    let title = title.unwrap_or_else(|| name(path));
                    changes.push(Change::Written { path: path.clone(), title, code });
                }
                Err(why) => {
                    let path = path.display().to_string();
                    changes.push(Change::Unreadable(SourceError::Gone { path, why }));
                }
            }
        }
        self.gone = gone;
        let changes = self.moved(changes);
        self.scripts.retain(|_, seen| seen.taken.is_some() || seen.last.is_some());
        changes
    }

    /// A file that went and one that came with the same text are one file.
    fn moved(&self, changes: Vec<Change>) -> Vec<Change> {
        let (mut removed, mut rest) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Removed(path) => removed.push(path),
                other => rest.push(other),
            }
        }
        for change in &mut rest {
            let Change::Written { path, code, .. } = change else { continue };
            let same = |from: &PathBuf| self.scripts.get(from).is_some_and(|seen| seen.code == *code);
            if let Some(at) = removed.iter().position(same) {
                *change = Change::Moved { from: removed.remove(at), to: path.clone() };
            }
        }
        removed.into_iter().map(Change::Removed).chain(rest).collect()
    }

    fn look_at_env(&mut self) -> Option<Change> {
        let (seen, path) = (self.env.as_mut()?, self.config.env_file.as_ref()?);
        let now = Stamp::of(path);
        let still = std::mem::replace(&mut seen.last, now) == now;
        if !still || now == seen.taken {
            return None;
        }
        seen.taken = now;
        Some(match self.read_env() {
            Ok(env) => Change::Env(env),
            Err(error) => Change::Unreadable(error),
        })
    }

    fn read_env(&self) -> Result<Env, SourceError> {
        let mut env = match &self.config.env_file {
            None => Env::new(),
            Some(path) => read(path)
                .and_then(|text| variables(&text))
                .map_err(|why| SourceError::Env { path: path.display().to_string(), why })?,
        };
        let given = self.config.env.iter().cloned().map(|(name, value)| (name, Value::String(value)));
        env.extend(given);
        Ok(env)
    }
}

fn read(path: &Path) -> Result<String, String> {
    match fs::metadata(path) {
        Ok(file) if file.len() > MAX_FILE => Err(format!("it is larger than {} MiB", MAX_FILE >> 20)),
        Ok(_) => fs::read_to_string(path).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// The scripts of a folder, by name. What editors leave there while they write is none.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
        let hidden = name.starts_with(b".") || name.starts_with(b"#");
        if !hidden && path.extension().is_some_and(|kind| kind == "js") && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// What a file is called, without its ending.
pub fn name(path: &Path) -> String {
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
