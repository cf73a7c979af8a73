//! What scripts ask of the worker, and its answers.

use std::{path::Path, sync::Arc};

use scripting::{Answer, Host, Request};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Outbox;
use crate::{NameHistory, Packets, What};

/// The worker, as helpers see it.
pub(crate) struct WorkerHost {
    pub(crate) packets: Option<Packets>,
    pub(crate) names: NameHistory,
    pub(crate) outbox: Arc<Outbox>,
}

impl Host for WorkerHost {
    fn ask(&self, request: Request) -> Answer {
        match request {
            Request::NameResolutionHistory => {
                let names = serde_json::from_str(&self.names.json()).map_err(|error| error.to_string());
                Box::pin(async { names })
            }
            // Outside a cluster nothing is chosen, and everything is looked at.
            Request::Targets => Box::pin(async { Ok(json!({ "excluded": [], "targets": [] })) }),
            Request::HubAction { action, object } => {
                let taken = self.outbox.action(0, action, object);
                let answer =
                    if taken { Ok(Value::Null) } else { Err("too many actions wait for the hub".to_owned()) };
                Box::pin(async { answer })
            }
            request => match self.packets.clone() {
                Some(packets) => Box::pin(async {
                    let asked = spawn_blocking(move || of_packets(&packets, request)).await;
                    asked.unwrap_or_else(|panic| Err(panic.to_string()))
                }),
                None => Box::pin(async {
                    Err("this worker keeps no packets: start it with --data-dir and --packets-mib".to_owned())
                }),
            },
        }
    }
}

/// Does what is asked of packets and their copies, on a thread that may wait.
fn of_packets(packets: &Packets, request: Request) -> Result<Value, String> {
    let done = match request {
        Request::CopyStream { stream, destination } => {
            let stream = stream.parse().map_err(|error: api::NotAStream| error.to_string())?;
            packets.copy(stream, text(&destination)?).map(drop)
        }
        Request::Moved { from, to } => packets.rename(text(&from)?, text(&to)?).map(drop),
        Request::Deleted { path } => packets.remove(text(&path)?),
        Request::Flush { .. } => packets.flush(),
        Request::Snapshot { streams, directory, destination } => {
            let directory = directory.as_deref().map(text).transpose()?;
            let streams = streams.iter().map(|name| name.parse()).collect::<Result<Vec<_>, _>>();
            let streams = streams.map_err(|error: api::NotAStream| error.to_string())?;
            let what = match directory {
                Some(directory) => What::Directory(directory),
                None if streams.is_empty() => What::All,
                None => What::Streams(&streams),
            };
            packets
                .snapshot(what)
                .and_then(|snapshot| packets.rename(&snapshot.path, text(&destination).unwrap_or_default()))
                .map(drop)
        }
        Request::NameResolutionHistory | Request::Targets | Request::HubAction { .. } => Ok(()),
    };
    done.map(|()| Value::Null).map_err(|error| error.to_string())
}

/// A path as the store takes it.
fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is no path in UTF-8", path.display()))
}
