use std::{
    env, fs,
    io::{Read, Write},
    os::unix::fs::symlink,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

static NEXT: AtomicU32 = AtomicU32::new(0);

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("kubeshark-files-{}-{number}", process::id()));
        fs::create_dir_all(path.join("data")).unwrap();
        Self(path)
    }

    fn files(&self, limit: u64) -> Files {
        Files::open(&self.0.join("data"), limit).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn put(files: &Files, path: &str, text: &str) {
    files.admit(text.len() as u64).unwrap();
    files.create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn text(files: &Files, path: &str) -> String {
    let mut text = String::new();
    files.read(path).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn no_path_leads_out() {
    let scratch = Scratch::new();
    let files = scratch.files(1 << 20);
    fs::write(scratch.0.join("secret"), "s").unwrap();
    fs::create_dir(scratch.0.join("elsewhere")).unwrap();
    fs::write(scratch.0.join("elsewhere/f"), "s").unwrap();
    symlink("../secret", scratch.0.join("data/link")).unwrap();
    symlink("../elsewhere", scratch.0.join("data/way")).unwrap();
    let root = scratch.0.to_str().unwrap().to_owned();
    for path in [
        "../secret",
        "a/../../secret",
        &format!("{root}/secret"),
        "link",
        "way/f",
        "way",
        "./way/./f",
        "",
        ".",
        "packets",
        "packets/1.segment",
        "./packets",
        "pcaps/000000000001.pcap",
        "stream-high-water.new",
        "nul\0",
    ] {
        assert!(files.read(path).is_err(), "read {path:?}");
        assert!(files.create(path).is_err(), "create {path:?}");
        assert!(files.append(path).is_err(), "append {path:?}");
        assert!(files.rename(path, "moved").is_err() || matches!(path, "link" | "way"), "rename {path:?}");
        assert!(
            files.rename("moved", path).is_err() || matches!(path, "" | "." | "link" | "way"),
            "{path:?}"
        );
        drop(files.remove("moved"));
        for way in ["link", "way"] {
            drop(fs::remove_file(scratch.0.join("data").join(way)));
        }
        symlink("../secret", scratch.0.join("data/link")).unwrap();
        symlink("../elsewhere", scratch.0.join("data/way")).unwrap();
    }
    // A link is removed itself, not what it leads to.
    files.remove("way").unwrap();
    files.remove("link").unwrap();
    assert_eq!(fs::read_to_string(scratch.0.join("elsewhere/f")).unwrap(), "s");
    assert_eq!(fs::read_to_string(scratch.0.join("secret")).unwrap(), "s");
    for outside in ["../x", "/x"] {
        assert!(files.make_directory(outside).is_err());
        assert!(files.remove(outside).is_err());
    }
}

#[test]
fn files_are_made_moved_and_removed() {
    let scratch = Scratch::new();
    let files = scratch.files(1 << 20);
    files.make_directory("a/b").unwrap();
    files.make_directory("a/b").unwrap();
    put(&files, "a/b/f", "one");
    files.append("a/b/f").unwrap().write_all(b" two").unwrap();
    assert_eq!(text(&files, "a/b/f"), "one two");
    assert_eq!(files.rename("a/b/f", "a").unwrap(), "a/f", "into a directory it keeps its name");
    assert_eq!(files.rename("a", "c").unwrap(), "c");
    assert_eq!(files.rename("c/f", ".").unwrap(), "f");
    put(&files, "c/b/g", "g");
    assert_eq!(files.list("").unwrap(), [("c/b/g".to_owned(), 1), ("f".to_owned(), 7)]);
    assert_eq!(files.list("c").unwrap(), [("b/g".to_owned(), 1)]);
    files.remove("c").unwrap();
    files.remove("c").unwrap();
    files.remove("no/such").unwrap();
    assert_eq!(files.list("").unwrap().len(), 1);
    assert!(matches!(files.read("c/b/g"), Err(FileError::Missing(_))));
    assert!(matches!(files.create("no/such"), Err(FileError::Missing(_))));
    assert!(matches!(files.make_directory("f/x"), Err(FileError::NotADirectory(_))));
    assert!(files.create_new("f").unwrap().is_none());
    assert!(files.create_new("n").unwrap().is_some());
    assert!(!files.make_new_directory("n").unwrap());
}

#[test]
fn what_scripts_keep_is_bounded() {
    let scratch = Scratch::new();
    let files = scratch.files(1000);
    put(&files, "a", &"x".repeat(600));
    let error = files.admit(600).unwrap_err();
    assert!(matches!(error, FileError::Full { limit: 1000, used: 600 }), "{error}");
    fs::create_dir(scratch.0.join("data/packets")).unwrap();
    fs::write(scratch.0.join("data/packets/x"), vec![0; 5000]).unwrap();
    files.remove("a").unwrap();
    let fresh = scratch.files(1000);
    fresh.admit(1000).unwrap();
    assert!(fresh.admit(1).is_err(), "what is taken is counted before it is written");
}
