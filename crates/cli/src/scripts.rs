//! What the commands that run scripts share: where these come from.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    os::{fd::IntoRawFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use hub::source::SourceConfig;
use rustix::fs::{MemfdFlags, memfd_create};
use tracing::warn;

use crate::exit::Failure;

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

/// What scripts may reach, and whom they trust there.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Scripts")]
pub(crate) struct Reach {
    /// Let scripts reach addresses that give out the cloud's credentials, such as 169.254.169.254
    #[arg(long, env = "KUBESHARK_SCRIPTS_ALLOW_METADATA")]
    scripts_allow_metadata: bool,
    /// Authorities that scripts trust besides the system's: certificates in PEM
    #[arg(long, value_name = "FILE", env = "KUBESHARK_SCRIPTS_CA")]
    scripts_ca: Option<PathBuf>,
}

impl Reach {
    /// The same, as arguments of `script-host`.
    ///
    /// # Errors
    ///
    /// The file of authorities can't be read, or holds none.
    pub(crate) fn arguments(&self) -> Result<Vec<OsString>, Failure> {
        let mut arguments = Vec::new();
        if self.scripts_allow_metadata {
            arguments.push("--scripts-allow-metadata".into());
        }
        if let Some(file) = &self.scripts_ca {
            certificates(file)?;
            // The child may be started from elsewhere.
            let file = std::path::absolute(file).map_err(|error| Failure::of(&error))?;
            arguments.extend(["--scripts-ca".into(), file.into()]);
        }
        Ok(arguments)
    }

    /// Clients of services, for this process.
    ///
    /// # Errors
    ///
    /// The file of authorities can't be read, or an endpoint makes no sense.
    pub(crate) fn outlets(&self) -> Result<outlets::Outlets, Failure> {
        if let Some(file) = &self.scripts_ca {
            trust(file)?;
        }
        let endpoints = outlets::Endpoints::from_vars(|name| env::var(name).ok());
        let allow_metadata_address = self.scripts_allow_metadata;
        let config = outlets::Config { endpoints, allow_metadata_address, ..outlets::Config::default() };
        outlets::Outlets::new(config).map_err(|error| Failure::of(&error))
    }
}

/// Set once this process trusts the file that it names.
const TRUSTED: &str = "KUBESHARK_SCRIPTS_TRUSTED";

/// Where distributions keep the system's authorities.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Starts this program once more, with the same arguments, in this process, with `SSL_CERT_FILE` for a file in memory
/// that holds the system's authorities and these. Google's client takes its authorities from nowhere else.
fn trust(file: &Path) -> Result<(), Failure> {
    if env::var_os(TRUSTED).is_some_and(|trusted| trusted == file.as_os_str()) {
        return Ok(());
    }
    let own = certificates(file)?;
    let failed =
        |error: std::io::Error| Failure::Failed(format!("the authorities cannot be passed on: {error}"));
    let system = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut places = system.into_iter().chain(SYSTEM.map(PathBuf::from));
    let system = places.find_map(|place| fs::read(place).ok()).unwrap_or_default();
    // Without CLOEXEC, so that it outlives this program's image.
    let memory = memfd_create("authorities", MemfdFlags::empty()).map_err(|error| failed(error.into()))?;
    let mut memory = File::from(memory);
    memory
        .write_all(&[&system[..], b"\n", &own].concat())
        .and_then(|()| memory.seek(SeekFrom::Start(0)))
        .map_err(failed)?;
    let program = env::current_exe().map_err(failed)?;
    let mut again = Command::new(program);
    again.args(env::args_os().skip(1)).env(TRUSTED, file);
    again.env("SSL_CERT_FILE", format!("/proc/self/fd/{}", memory.into_raw_fd()));
    Err(failed(again.exec()))
}

/// What a file of authorities holds.
fn certificates(file: &Path) -> Result<Vec<u8>, Failure> {
    let name = file.display();
    let read = fs::read(file).map_err(|error| Failure::Failed(format!("--scripts-ca {name}: {error}")))?;
    if !String::from_utf8_lossy(&read).contains("-----BEGIN CERTIFICATE-----") {
        let why = format!("--scripts-ca {name} holds no certificate: give certificates in PEM");
        return Err(Failure::Failed(why));
    }
    Ok(read)
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
