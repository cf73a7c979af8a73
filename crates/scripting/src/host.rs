//! What helpers ask of the process that they serve.

use std::{future::Future, path::PathBuf, pin::Pin};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer that is on its way.
pub type Answer = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// The process behind the scripts: a worker, the hub, or a rehearsal over a capture file.
///
/// The script host speaks to its parent through a pipe; the parent implements this trait, and so does the pipe's other
/// end. An error is a sentence for the user's script.
pub trait Host: Send + Sync {
    /// Asks for something.
    fn ask(&self, request: Request) -> Answer;
}

/// Where scripts run: does not change while they do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct About {
    /// The node's name; `hub` at the hub.
    pub node: String,
    /// The node's address.
    pub ip: String,
    /// The Unix time of the process's start, in seconds: part of the names of uploads.
    pub run_id: u64,
    /// The directory that scripts' paths are relative to and confined to. It exists.
    pub data_dir: PathBuf,
}

/// What can be asked. Paths are relative to the data directory and were found to lie in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// The packets of a stream so far as a PCAP file, which the host keeps complete from then on. Answers `null`.
    CopyStream {
        /// The stream's name: `000000000007.pcap`.
        stream: String,
        /// The file to write.
        destination: PathBuf,
    },
    /// A file or a directory was moved; copies of streams in it are followed. Answers `null`.
    Moved {
        /// Where it was.
        from: PathBuf,
        /// Where it is.
        to: PathBuf,
    },
    /// A file or a directory was deleted; copies of streams in it are forgotten. Answers `null`.
    Deleted {
        /// Where it was.
        path: PathBuf,
    },
    /// Everything about the copies under this path that is still in memory is written. Answers `null`.
    Flush {
        /// A file or a directory.
        path: PathBuf,
    },
    /// One PCAP file, in the order of packets' times. Answers `null`.
    Snapshot {
        /// Streams to cut out of what is stored; empty: all.
        streams: Vec<String>,
        /// A directory of PCAP files to merge instead.
        directory: Option<PathBuf>,
        /// The file to write.
        destination: PathBuf,
    },
    /// Answers `{"<unix seconds>": {"<ip or ip:port>": {"FullAddress", "Namespace"}}}`.
    NameResolutionHistory,
    /// Answers `{"targets": […], "excluded": […]}`.
    Targets,
    /// Calls `onHubAction` at the hub. Answers `null`.
    HubAction {
        /// The action's name.
        action: String,
        /// What goes with it.
        object: Value,
    },
}
