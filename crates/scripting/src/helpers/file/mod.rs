//! `file.*`: files in the data directory, and in no other.

mod work;

use boa_engine::{JsResult, JsValue};

use super::{Call, Helper};

pub(super) use work::{
    archive, blocking, copy_stream, directory, flush, move_away, named_by_time, remove, selection, write,
};

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "file.write",
        signature: "file.write(path: string, content: string): void",
        doc: "Writes a file, anew if it was there. Paths are relative to the worker's data directory and cannot lead out \
              of it; an object is written as its JSON.",
        call: |call| {
            let (path, content) = (call.string(0)?, call.string(1)?);
            blocking(call, move |files| work::write(files, &path, content.as_bytes(), false))?;
            Ok(JsValue::undefined())
        },
    },
    Helper {
        name: "file.append",
        signature: "file.append(path: string, content: string): void",
        doc: "Writes to the end of a file, which is made if it was not there.",
        call: |call| {
            let (path, content) = (call.string(0)?, call.string(1)?);
            blocking(call, move |files| work::write(files, &path, content.as_bytes(), true))?;
            Ok(JsValue::undefined())
        },
    },
    Helper {
        name: "file.move",
        signature: "file.move(oldPath: string, newPath: string): void",
        doc: "Moves a file, or a directory with all that is in it. Into a directory that is there, it keeps its name. \
              Copies of streams in it go on.",
        call: |call| {
            let (from, to) = (call.string(0)?, call.string(1)?);
            move_away(call, &from, &to)?;
            Ok(JsValue::undefined())
        },
    },
    Helper {
        name: "file.copy",
        signature: "file.copy(srcPath: string, dstPath: string): void",
        doc: "Copies a file; into a directory that is there, under its own name. With `pcap.path(stream)` as the source, \
              the packets so far become a PCAP file, and those that come later are appended to it: it is complete when \
              `pcap.snapshot` or `file.tar` reads it. Throws if no packet of the stream is held any longer.",
        call: copy,
    },
    Helper {
        name: "file.delete",
        signature: "file.delete(path: string): void",
        doc: "Deletes a file, or a directory with all that is in it. What is not there is no error.",
        call: |call| {
            let path = call.string(0)?;
            remove(call, &path)?;
            Ok(JsValue::undefined())
        },
    },
    Helper {
        name: "file.mkdir",
        signature: "file.mkdir(path: string): void",
        doc: "Makes a directory, and those above it. One that is there stays as it is.",
        call: |call| {
            let path = call.string(0)?;
            directory(call, &path)?;
            Ok(JsValue::undefined())
        },
    },
    Helper {
        name: "file.mkdirTemp",
        signature: "file.mkdirTemp(name?: string, dir?: string): string",
        doc: "Makes a directory that was not there, in `dir` or at the top; its name is `name` with digits behind. \
              Returns its path.",
        call: |call| {
            let name = call.optional_string(0)?.unwrap_or_default();
            let dir = call.optional_string(1)?.unwrap_or_default();
            let made = blocking(call, move |files| {
                work::unused(&dir, &name, "", |path| files.make_new_directory(path))
            })?;
            Ok(call.text(&made))
        },
    },
    Helper {
        name: "file.temp",
        signature: "file.temp(name: string, dir: string, extension?: string): string",
        doc: "Makes an empty file that was not there, in `dir`; its name is `name` with digits and the extension (`txt` \
              unless named) behind. Returns its path.",
        call: |call| {
            let name = call.optional_string(0)?.unwrap_or_default();
            let dir = call.optional_string(1)?.unwrap_or_default();
            let extension = call.optional_string(2)?.unwrap_or_else(|| "txt".to_owned());
            let extension = format!(".{}", extension.trim_start_matches('.'));
            let made = blocking(call, move |files| {
                work::unused(&dir, &name, &extension, |path| Ok(files.create_new(path)?.is_some()))
            })?;
            Ok(call.text(&made))
        },
    },
    Helper {
        name: "file.tar",
        signature: "file.tar(dir: string): string",
        doc: "Packs the files of a directory, and of those in it, into `kubeshark_<unix seconds>.tar.gz`, with paths \
              relative to it. Returns its path.",
        call: |call| {
            let dir = call.string(0)?;
            work::flush(call, &dir);
            let now = call.now_millis() / 1000;
            let made = blocking(call, move |files| work::pack(files, &dir, now))?;
            Ok(call.text(&made))
        },
    },
];

fn copy(call: &mut Call<'_>) -> JsResult<JsValue> {
    let (from, to) = (call.string(0)?, call.string(1)?);
    let name = from.rsplit('/').next().unwrap_or_default().to_owned();
    let into = to.clone();
    // `recorded/` and a directory that is there both mean a file in it.
    let to = blocking(call, move |files| {
        Ok(if files.is_directory(&into) { format!("{into}/{name}") } else { into })
    })?;
    match super::pcap::stream_of(&from) {
        Some(stream) => work::copy_stream(call, stream, &to)?,
        None => blocking(call, move |files| work::duplicate(files, &from, &to))?,
    }
    Ok(JsValue::undefined())
}
