//! `kubeshark logs`

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    time::SystemTime,
};

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, LogParams};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    exit::{Failure, Outcome},
    kubernetes::Cluster,
    serving, settings,
};

/// Bytes that are asked for of one container, the last ones.
const MOST: i64 = 16 << 20;

/// Gather what Kubeshark's pods in a cluster said, and the events, into a zip file
///
/// Settings are in it without the variables of scripts, which may be secret.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: settings::Args,
    /// The file [default: one that is called by the time]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only lines that this regular expression finds
    #[arg(short, long, value_name = "REGEX")]
    grep: Option<String>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut settings = args.settings.load()?;
    let typed = args.grep.as_deref().or_else(|| settings.text("logs.grep"));
    let grep = typed.map(regex::Regex::new).transpose();
    let grep = grep.map_err(|error| Failure::Usage(format!("--grep: {error}")))?;
    let path = args.file.clone().or_else(|| settings.text("logs.file").map(PathBuf::from));
    let path = path.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        PathBuf::from(format!("kubeshark_logs_{now}.zip"))
    });
    let parts = serving::run(async {
        let cluster = Cluster::connect(&settings).await?;
        gather(&cluster, grep.as_ref()).await
    })?;
    settings.set("scripting.env", serde_json::Value::Null);
    let settings = ("config.yaml".to_owned(), scripting::yaml(settings.values()));
    let written = write(&path, parts.iter().chain([&settings]));
    written.map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))?;
    writeln!(io::stdout(), "{}", path.display())?;
    Ok(())
}

/// Names and texts.
async fn gather(cluster: &Cluster, grep: Option<&regex::Regex>) -> Result<Vec<(String, String)>, Failure> {
    let pods = cluster.pods("app.kubernetes.io/name=kubeshark").await?;
    if pods.is_empty() {
        return Err(Failure::Failed(format!(
            "there is no Kubeshark in namespace {}; -s names another",
            cluster.namespace
        )));
    }
    let mut parts = Vec::new();
    for pod in pods {
        let name = pod.metadata.name.clone().unwrap_or_default();
        for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
            for previous in [false, true] {
                let params = LogParams {
                    container: Some(container.name.clone()),
                    limit_bytes: Some(MOST),
                    previous,
                    timestamps: true,
                    ..LogParams::default()
                };
                let log = match cluster.api::<Pod>().logs(&name, &params).await {
                    Ok(log) => log,
                    // A container that never ended has no previous one.
                    Err(_) if previous => continue,
                    Err(error) => format!("no log: {}\n", crate::exit::chain(&error)),
                };
                let kept = log.lines().filter(|line| grep.is_none_or(|grep| grep.is_match(line)));
                let text = kept.flat_map(|line| [line, "\n"]).collect();
                let which = if previous { ".previous" } else { "" };
                parts.push((format!("{name}.{}{which}.log", container.name), text));
            }
        }
    }
    let events = cluster.api::<Event>().list(&ListParams::default()).await;
    let events = events.map_err(|error| cluster.failure(&error))?;
    let lines = events.items.iter().map(|event| {
        let when = event.last_timestamp.as_ref().map(|at| at.0.to_string()).unwrap_or_default();
        let about = event.involved_object.name.as_deref().unwrap_or_default();
        let (reason, message) = (event.reason.as_deref(), event.message.as_deref());
        format!("{when} {about} {} {}\n", reason.unwrap_or_default(), message.unwrap_or_default())
    });
    parts.push(("events.log".to_owned(), lines.collect()));
    Ok(parts)
}

fn write<'a>(path: &PathBuf, parts: impl Iterator<Item = &'a (String, String)>) -> io::Result<()> {
    let mut zip = ZipWriter::new(File::create(path)?);
    for (name, text) in parts {
        zip.start_file(name.as_str(), SimpleFileOptions::default())?;
        zip.write_all(text.as_bytes())?;
    }
    zip.finish()?.sync_all()
}
