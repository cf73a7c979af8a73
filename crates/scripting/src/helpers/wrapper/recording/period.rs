//! One file's worth of streams.

use std::{collections::BTreeSet, io::Write, time::Instant};

use boa_engine::JsResult;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Request,
    files::{FileError, Files, NAME_HISTORY},
    helpers::{
        Call,
        file::{archive, blocking, directory, named_by_time, remove},
        pcap::merged,
    },
};

use super::upload::Packed;

/// The file that says what a period's directory is.
pub(super) const ABOUT: &str = "period.json";

/// Streams that match one query, as they come.
pub(super) struct Period {
    /// Its directory.
    pub(super) folder: String,
    pub(super) streams: BTreeSet<String>,
    /// When it began: milliseconds since the Unix epoch.
    pub(super) begun: i64,
    /// When it may be packed, likewise.
    pub(super) not_before: i64,
    index: usize,
    query: String,
}

#[derive(Serialize, Deserialize)]
struct About {
    begun: i64,
    kfl_index: usize,
    kfl_query: String,
}

impl Period {
    /// Begins one.
    pub(super) fn begin(call: &mut Call<'_>, home: &str, index: usize, query: &str) -> JsResult<Self> {
        let begun = call.now_millis();
        let folder = format!("{home}/open/{index}_{begun}");
        directory(call, &folder)?;
        let about = About { begun, kfl_index: index, kfl_query: query.to_owned() };
        let (path, text) = (format!("{folder}/{ABOUT}"), serde_json::to_vec(&about).unwrap_or_default());
        blocking(call, move |files| put(files, &path, &text))?;
        let query = query.to_owned();
        Ok(Self { folder, streams: BTreeSet::new(), begun, not_before: 0, index, query })
    }

    /// One that somebody else began; nothing if it has no streams.
    pub(super) fn found(
        call: &mut Call<'_>,
        folder: String,
        streams: BTreeSet<String>,
    ) -> JsResult<Option<Self>> {
        if streams.is_empty() {
            remove(call, &folder)?;
            return Ok(None);
        }
        let path = format!("{folder}/{ABOUT}");
        let text = blocking(call, move |files| text(files, &path))?;
        // What a crash left of it does not matter: the streams count.
        let about = serde_json::from_str(&text);
        let about = about.unwrap_or(About { begun: 0, kfl_index: 0, kfl_query: String::new() });
        let About { begun, kfl_index: index, kfl_query: query } = about;
        Ok(Some(Self { folder, streams, begun, not_before: 0, index, query }))
    }

    /// Merges its streams into one file and packs it with what belongs to it. Then its directory goes.
    pub(super) fn pack(&self, call: &mut Call<'_>, home: &str) -> JsResult<Packed> {
        let started = Instant::now();
        let pcap = merged(call, Vec::new(), Some(&self.folder))?;
        let snapshot_millis = started.elapsed().as_millis() as u64;
        let names = call.ask(Request::NameResolutionHistory).unwrap_or_else(|_| json!({}));
        let now = call.now_millis() / 1000;
        let content = json!({
            "kfl_index": self.index,
            "kfl_query": self.query,
            "l4_streams": self.streams,
            "pcap_file_name": pcap,
            "time": gmt(now),
        });
        let mut packed = Packed {
            path: String::new(),
            kfl_index: self.index,
            kfl_query: self.query.clone(),
            streams: self.streams.len(),
            snapshot_millis,
        };
        let (index, ready, merged) = (self.index, format!("{home}/ready"), pcap.clone());
        let made = blocking(call, move |files| {
            let name = |seconds: i64| format!("{ready}/kfl_{index}_kubeshark_{seconds}.tar.gz");
            let (path, file) = named_by_time(files, now, name)?;
            // Under a name that nobody takes for whole until it is.
            let beginning = path.replace(".tar.gz", ".part");
            files.rename(&path, &beginning)?;
            let done = pack(files, file, &ready, &merged, &content, &names).and_then(|()| {
                packed.path.clone_from(&path);
                put(files, &format!("{path}.json"), &serde_json::to_vec(&packed).unwrap_or_default())?;
                files.rename(&beginning, &path)
            });
            match done {
                Ok(_) => Ok(packed),
                Err(error) => {
                    files.remove(&beginning)?;
                    Err(error)
                }
            }
        });
        remove(call, &pcap)?;
        let packed = made?;
        remove(call, &self.folder)?;
        Ok(packed)
    }
}

fn pack(
    files: &Files,
    file: std::fs::File,
    ready: &str,
    pcap: &str,
    content: &Value,
    names: &Value,
) -> Result<(), FileError> {
    let (content_path, names_path) = (format!("{ready}/content.json"), format!("{ready}/{NAME_HISTORY}"));
    put(files, &content_path, &serde_json::to_vec_pretty(content).unwrap_or_default())?;
    put(files, &names_path, &serde_json::to_vec_pretty(names).unwrap_or_default())?;
    let members = [
        ("content.json".to_owned(), content_path.clone()),
        (NAME_HISTORY.to_owned(), names_path.clone()),
        (pcap.to_owned(), pcap.to_owned()),
    ];
    archive(files, file, members.into_iter())?;
    files.remove(&content_path)?;
    files.remove(&names_path)
}

pub(super) fn put(files: &Files, path: &str, text: &[u8]) -> Result<(), FileError> {
    files.admit(text.len() as u64)?;
    let failed = |cause| FileError::Io { path: path.to_owned(), cause };
    files.create(path)?.write_all(text).map_err(failed)
}

pub(super) fn text(files: &Files, path: &str) -> Result<String, FileError> {
    let failed = |cause| FileError::Io { path: path.to_owned(), cause };
    std::io::read_to_string(files.read(path)?).map_err(failed)
}

/// `Tue, 14 Mar 2023 15:38:26 GMT` (RFC 1123).
pub(super) fn gmt(seconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_those_of_the_internet() {
        assert_eq!(super::gmt(1_678_808_306), "Tue, 14 Mar 2023 15:38:26 GMT");
    }
}
