//! What the helpers do, away from JavaScript.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use boa_engine::JsResult;

use crate::{
    Request,
    files::{FileError, Files, tar::Archive},
    helpers::Call,
};

/// Works on files, on a thread that may wait for the disk; other scripts run meanwhile.
pub(in crate::helpers) fn blocking<T: Send + 'static>(
    call: &mut Call<'_>,
    work: impl FnOnce(&Files) -> Result<T, FileError> + Send + 'static,
) -> JsResult<T> {
    let files = call.state::<Option<Files>>();
    let known = files.borrow().clone();
    let files = if let Some(files) = known {
        files
    } else {
        let data_dir = &call.about().data_dir;
        let opened = Files::open(data_dir, call.options().data_bytes).map_err(|error| {
            call.error(format_args!("the data directory {} can't be used: {error}", data_dir.display()))
        })?;
        *files.borrow_mut() = Some(opened.clone());
        opened
    };
    call.wait(async move {
        match tokio::task::spawn_blocking(move || work(&files)).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// Moves a file or a directory. The process behind does it, since it may be writing there; one that keeps no packets
/// does not.
pub(in crate::helpers) fn move_away(call: &mut Call<'_>, from: &str, to: &str) -> JsResult<()> {
    let request = Request::Moved { from: PathBuf::from(from), to: PathBuf::from(to) };
    if call.ask(request).is_ok() {
        return Ok(());
    }
    let (from, to) = (from.to_owned(), to.to_owned());
    blocking(call, move |files| files.rename(&from, &to).map(drop))
}

/// Removes a file or a directory, likewise.
pub(in crate::helpers) fn remove(call: &mut Call<'_>, path: &str) -> JsResult<()> {
    if call.ask(Request::Deleted { path: PathBuf::from(path) }).is_ok() {
        return Ok(());
    }
    let path = path.to_owned();
    blocking(call, move |files| files.remove(&path))
}

/// Makes a directory.
pub(in crate::helpers) fn directory(call: &mut Call<'_>, path: &str) -> JsResult<()> {
    let path = path.to_owned();
    blocking(call, move |files| files.make_directory(&path))
}

/// Copies a stream. Where it goes is looked at here first, so that a wrong path is told in the script's words.
pub(in crate::helpers) fn copy_stream(call: &mut Call<'_>, stream: &str, to: &str) -> JsResult<()> {
    let request = Request::CopyStream { stream: stream.to_owned(), destination: PathBuf::from(to) };
    call.ask(request).map(drop)
}

/// Makes sure that copies of streams are whole. A process without packets has none that could be otherwise.
pub(in crate::helpers) fn flush(call: &mut Call<'_>, path: &str) {
    drop(call.ask(Request::Flush { path: PathBuf::from(path) }));
}

/// Writes a file anew, or to its end.
pub(in crate::helpers) fn write(
    files: &Files,
    path: &str,
    content: &[u8],
    append: bool,
) -> Result<(), FileError> {
    files.admit(content.len() as u64)?;
    let mut file = if append { files.append(path)? } else { files.create(path)? };
    file.write_all(content).map_err(|cause| failed(path, cause))
}

pub(super) fn duplicate(files: &Files, from: &str, to: &str) -> Result<(), FileError> {
    let mut source = files.read(from)?;
    let size = source.metadata().map_err(|cause| failed(from, cause))?.len();
    files.admit(size)?;
    let mut target = files.create(to)?;
    // A file that grows meanwhile is copied as it was.
    io::copy(&mut Read::take(&mut source, size), &mut target).map(drop).map_err(|cause| failed(to, cause))
}

/// Makes something under a name that nothing has yet; `make` says whether it did.
pub(super) fn unused(
    dir: &str,
    name: &str,
    extension: &str,
    make: impl Fn(&str) -> Result<bool, FileError>,
) -> Result<String, FileError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if name.contains('/') || extension.contains('/') {
        return Err(FileError::Outside(format!("{name}{extension}")));
    }
    loop {
        // Digits that differ between processes and calls; what is there already is passed over.
        let digits = u64::from(std::process::id()) << 20 | NEXT.fetch_add(1, Relaxed) & 0xf_ffff;
        let path = format!("{name}{digits:010}{extension}");
        let path = if dir.is_empty() { path } else { format!("{}/{path}", dir.trim_end_matches('/')) };
        if make(&path)? {
            return Ok(path);
        }
    }
}

/// Copies of the selected files of a directory, in a directory of their own.
pub(in crate::helpers) fn selection(
    files: &Files,
    directory: &str,
    selected: &[String],
) -> Result<String, FileError> {
    let place = unused("", "selected", "", |path| files.make_new_directory(path))?;
    let copied = selected.iter().try_for_each(|name| {
        let name = name.rsplit('/').next().unwrap_or_default();
        duplicate(files, &format!("{directory}/{name}"), &format!("{place}/{name}"))
    });
    match copied {
        Ok(()) => Ok(place),
        Err(error) => {
            files.remove(&place)?;
            Err(error)
        }
    }
}

/// A new file at the top, named by the time; if there is one of this second, by the next.
pub(in crate::helpers) fn named_by_time(
    files: &Files,
    mut seconds: i64,
    name: impl Fn(i64) -> String,
) -> Result<(String, File), FileError> {
    loop {
        let path = name(seconds);
        if let Some(file) = files.create_new(&path)? {
            return Ok((path, file));
        }
        seconds += 1;
    }
}

pub(super) fn pack(files: &Files, dir: &str, now: i64) -> Result<String, FileError> {
    let inside = files.list(dir)?;
    let (path, file) = named_by_time(files, now, |seconds| format!("kubeshark_{seconds}.tar.gz"))?;
    let members =
        inside.iter().map(|(name, _)| (name.clone(), format!("{}/{name}", dir.trim_end_matches('/'))));
    match archive(files, file, members) {
        Ok(()) => Ok(path),
        Err(error) => {
            files.remove(&path)?;
            Err(error)
        }
    }
}

/// Packs files, each under a name of its own.
pub(in crate::helpers) fn archive(
    files: &Files,
    file: File,
    members: impl Iterator<Item = (String, String)>,
) -> Result<(), FileError> {
    let mut archive = Archive::new(io::BufWriter::new(file));
    for (name, path) in members {
        let path = path.trim_start_matches('/');
        let content = files.read(path)?;
        let size = content.metadata().map_err(|cause| failed(path, cause))?.len();
        // Packed it is hardly ever longer.
        files.admit(size)?;
        archive.add(&name, size, content).map_err(|cause| failed(path, cause))?;
    }
    let written = archive.finish().and_then(|mut out| out.flush());
    written.map_err(|cause| failed("the archive", cause))
}

fn failed(path: &str, cause: io::Error) -> FileError {
    FileError::Io { path: path.to_owned(), cause }
}
