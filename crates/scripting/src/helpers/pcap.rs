//! `pcap.*`: packets of streams.

use std::path::PathBuf;

use boa_engine::JsResult;

use super::{
    Call, Helper,
    file::{blocking, named_by_time, remove},
};
use crate::Request;

/// The directory that `pcap.path` names: nothing lies there, it stands for the packets that the worker holds.
const PCAPS: &str = "pcaps/";

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "pcap.path",
        signature: "pcap.path(stream: string): string",
        doc: "Where the packets of a stream can be had, `data.stream` of an item: a path for `file.copy`. They are held \
              for some minutes only, so copy at once.",
        call: |call| {
            let stream = named(call, 0)?;
            Ok(call.text(&format!("{PCAPS}{stream}")))
        },
    },
    Helper {
        name: "pcap.snapshot",
        signature: "pcap.snapshot(selectedPcaps?: string[], pcapsDir?: string): string",
        doc: "Merges packets into one file, in the order of their times: those of the streams named, of the PCAP files \
              in `pcapsDir` (all of them, or the selected), or, without arguments, all that the worker holds. Streams \
              copied into the directory are complete in it. Returns its path, `<unix seconds>.pcap`: a pcap, or a \
              pcapng where packets differ in link type.",
        call: |call| {
            let made = snapshot(call)?;
            Ok(call.text(&made))
        },
    },
    Helper {
        name: "pcap.nameResolutionHistory",
        signature: "pcap.nameResolutionHistory(): Record<string, Record<string, { FullAddress: string, Namespace: string }>>",
        doc: "Which names addresses had since when: by Unix seconds, then by `ip` or `ip:port`. The file \
              `name_resolution_history.json` has the same.",
        call: |call| {
            let names = call.ask(Request::NameResolutionHistory)?;
            call.from_json(&names)
        },
    },
];

/// The stream that a path of `pcap.path` stands for.
pub(super) fn stream_of(path: &str) -> Option<&str> {
    path.trim_start_matches("./").strip_prefix(PCAPS)
}

fn named(call: &mut Call<'_>, at: usize) -> JsResult<String> {
    let name = call.string(at)?;
    let stream = name.parse::<api::Stream>().map_err(|error| call.error(error))?;
    Ok(stream.to_string())
}

fn snapshot(call: &mut Call<'_>) -> JsResult<String> {
    // Both orders of the arguments were documented: a lone text is a directory.
    let first = call.value(0);
    let (selected, directory) = if first.is_string() {
        (call.optional_strings(1)?.unwrap_or_default(), call.optional_string(0)?)
    } else {
        (call.optional_strings(0)?.unwrap_or_default(), call.optional_string(1)?)
    };
    let directory = directory.filter(|directory| !directory.is_empty());
    match directory {
        Some(directory) if !selected.is_empty() => {
            super::file::flush(call, &directory);
            let some = blocking(call, move |files| super::file::selection(files, &directory, &selected));
            let some = some?;
            let made = merged(call, Vec::new(), Some(&some));
            remove(call, &some)?;
            made
        }
        directory => {
            let streams = selected.iter().map(|path| stream_of(path).unwrap_or(path).to_owned()).collect();
            merged(call, streams, directory.as_deref())
        }
    }
}

/// Has the process behind the scripts merge them.
pub(super) fn merged(call: &mut Call<'_>, streams: Vec<String>, directory: Option<&str>) -> JsResult<String> {
    let now = call.now_millis() / 1000;
    // Taken first, so that two snapshots of one second do not meet.
    let path = blocking(call, move |files| {
        named_by_time(files, now, |seconds| format!("{seconds}.pcap")).map(|(path, _)| path)
    })?;
    let request = Request::Snapshot {
        streams,
        directory: directory.map(PathBuf::from),
        destination: PathBuf::from(&path),
    };
    match call.ask(request) {
        Ok(_) => Ok(path),
        Err(error) => {
            remove(call, &path)?;
            Err(error)
        }
    }
}
