//! What the commands that run scripts share: where these come from.

use std::{env, path::PathBuf};

use hub::source::SourceConfig;
use tracing::warn;

/// The options of scripts.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Scripts")]
pub(crate) struct Args {
    /// A folder of scripts, every *.js in it; it is watched for changes. May be given again
    #[arg(long, value_name = "FOLDER", env = "KUBESHARK_SCRIPTS", value_delimiter = ',')]
    pub(crate) scripts: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) env: Env,
}

/// What scripts see as `env`.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Env {
    /// A variable that scripts see in `env`; may be given again
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) variables: Vec<(String, String)>,
    /// A file of such variables, NAME=VALUE a line or a JSON object; it is watched for changes
    #[arg(long, value_name = "FILE", env = "KUBESHARK_SCRIPTS_ENV_FILE")]
    pub(crate) env_file: Option<PathBuf>,
}

impl Args {
    /// As a hub wants it.
    pub(crate) fn source(&self) -> SourceConfig {
        self.env.source(self.scripts.clone())
    }
}

impl Env {
    /// The same, with these folders.
    pub(crate) fn source(&self, folders: Vec<PathBuf>) -> SourceConfig {
        SourceConfig { folders, env: self.variables.clone(), env_file: self.env_file.clone() }
    }
}

/// This program, which runs scripts as `script-host`.
pub(crate) fn host() -> Option<PathBuf> {
    match env::current_exe() {
        Ok(program) => Some(program),
        Err(error) => {
            warn!(%error, "Scripts cannot run: it is not known where this program lies");
            None
        }
    }
}

/// A variable as it is typed: the shell has taken away its quotes.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
