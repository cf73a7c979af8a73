//! The files of scripts: paths go in, files of one directory come out, and never of another.
//!
//! A path is walked one name at a time, each opened beneath the one before, and no symbolic link is followed. So there
//! is no moment between a check and its use in which somebody could put a link in the way.

mod room;
pub mod tar;
#[cfg(test)]
mod tests;

use std::{
    ffi::CStr,
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat},
    io::Errno,
};
use thiserror::Error;

pub use room::Room;

/// Names at the top of the data directory that are the program's own.
const OWN: &[&str] = &["packets", "pcaps", "stream-high-water"];
/// Names of a path, one below the other.
const MAX_DEPTH: usize = 64;

/// Why a file can't be had.
#[derive(Debug, Error)]
pub enum FileError {
    /// The path leads out of the directory.
    #[error("{0:?} is not a path in the data directory: it must be relative, without `..`")]
    Outside(String),
    /// The path names something of the program's own.
    #[error("{0:?} belongs to the program; choose another name")]
    Own(String),
    /// Nothing is there.
    #[error("there is no {0:?}")]
    Missing(String),
    /// A part of the path is a symbolic link, or no directory.
    #[error("{0:?} leads through something that is no directory; symbolic links are not followed")]
    NotADirectory(String),
    /// It is a directory, or another thing that can't be read or written.
    #[error("{0:?} is no file")]
    NotAFile(String),
    /// Too much was written.
    #[error(
        "scripts may keep {} MiB in the data directory and keep {} already; delete files, or raise the limit", .limit >> 20, .used >> 20
    )]
    Full {
        /// Bytes that they may keep.
        limit: u64,
        /// Bytes that they keep.
        used: u64,
    },
    /// The system refuses.
    #[error("{path:?}: {cause}")]
    Io {
        /// What was to be read or written.
        path: String,
        /// The system's reason.
        cause: io::Error,
    },
}

/// The directory in which scripts may read and write. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Files {
    root: Arc<OwnedFd>,
    path: Arc<Path>,
    room: Arc<Room>,
}

impl Files {
    /// That of `root`, which is made if it is not there. Scripts may keep `limit` bytes in it.
    pub fn open(root: &Path, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let directory =
            openat(CWD, root, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root: Arc::new(directory), path: root.into(), room: Arc::new(Room::new(limit)) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that `bytes` more may be written.
    pub fn admit(&self, bytes: u64) -> Result<(), FileError> {
        self.room.admit(bytes, || self.list("").map(|files| files.iter().map(|(_, size)| size).sum()))
    }

    /// Opens a file to read it.
    pub fn read(&self, path: &str) -> Result<File, FileError> {
        self.file(path, OFlags::RDONLY)
    }

    /// Makes a file, or makes an old one empty. Its directory must be there.
    pub fn create(&self, path: &str) -> Result<File, FileError> {
        self.admit(0)?;
        self.file(path, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC)
    }

    /// Makes a file that was not there; `None` if it was.
    pub fn create_new(&self, path: &str) -> Result<Option<File>, FileError> {
        self.admit(0)?;
        match self.file(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => Ok(Some(file)),
            Err(FileError::Io { cause, .. }) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a file to write behind its end; it is made if it is not there.
    pub fn append(&self, path: &str) -> Result<File, FileError> {
        self.admit(0)?;
        self.file(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
    }

    /// Opens a file that is there, to write to it.
    pub fn existing(&self, path: &str) -> Result<File, FileError> {
        self.file(path, OFlags::RDWR)
    }

    /// Makes a directory and those above it; one that is there stays.
    pub fn make_directory(&self, path: &str) -> Result<(), FileError> {
        self.admit(0)?;
        let names = names(path)?;
        self.walk(path, &names, true).map(drop)
    }

    /// Makes a directory that was not there; false if it was.
    pub fn make_new_directory(&self, path: &str) -> Result<bool, FileError> {
        self.admit(0)?;
        let (parent, name) = self.place(path)?;
        match mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(failed(path, errno)),
        }
    }

    /// Moves a file or a directory. Into a directory that is there, it keeps its name. Gives where it is then.
    pub fn rename(&self, from: &str, to: &str) -> Result<String, FileError> {
        let (old_parent, old_name) = self.place(from)?;
        let mut to = names(to)?.join("/");
        if self.is_directory(&to) {
            to = if to.is_empty() { old_name.to_owned() } else { format!("{to}/{old_name}") };
        }
        let (parent, name) = self.place(&to)?;
        renameat(&old_parent, old_name, &parent, name).map_err(|errno| failed(from, errno))?;
        Ok(to)
    }

    /// Removes a file, or a directory with all that is in it. What is not there is no error.
    pub fn remove(&self, path: &str) -> Result<(), FileError> {
        let (parent, name) = match self.place(path) {
            Err(FileError::Missing(_)) => return Ok(()),
            place => place?,
        };
        remove(&parent, name, MAX_DEPTH).map_err(|errno| failed(path, errno))
    }

    /// Whether there is a directory of that name.
    pub fn is_directory(&self, path: &str) -> bool {
        names(path).and_then(|names| self.walk(path, &names, false)).is_ok()
    }

    /// The files below a directory, those of its directories too, by their paths in it, and their lengths; in order.
    /// The program's own are left out.
    pub fn list(&self, directory: &str) -> Result<Vec<(String, u64)>, FileError> {
        let names = names(directory)?;
        let at = self.walk(directory, &names, false)?;
        let mut files = Vec::new();
        let own = if names.is_empty() { OWN } else { &[] };
        gather(&at, "", own, MAX_DEPTH, &mut files).map_err(|errno| failed(directory, errno))?;
        files.sort_unstable();
        Ok(files)
    }

    fn file(&self, path: &str, flags: OFlags) -> Result<File, FileError> {
        let (parent, name) = self.place(path)?;
        // A pipe must not make the caller wait.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file =
            openat(&parent, name, flags, Mode::from_raw_mode(0o600)).map_err(|errno| failed(path, errno))?;
        let file = File::from(file);
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(file),
            Ok(_) => Err(FileError::NotAFile(path.to_owned())),
            Err(cause) => Err(FileError::Io { path: path.to_owned(), cause }),
        }
    }

    /// The directory that something is in, and its name there.
    fn place<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), FileError> {
        let names = names(path)?;
        let Some((name, above)) = names.split_last() else {
            return Err(FileError::NotAFile(path.to_owned()));
        };
        Ok((self.walk(path, above, false)?, name))
    }

    fn walk(&self, path: &str, names: &[&str], make: bool) -> Result<OwnedFd, FileError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let failed = |errno| failed(path, errno);
        let mut at = openat(&*self.root, ".", flags, Mode::empty()).map_err(failed)?;
        for name in names {
            if make {
                match mkdirat(&at, *name, Mode::from_raw_mode(0o700)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(failed(errno)),
                }
            }
            at = openat(&at, *name, flags, Mode::empty()).map_err(failed)?;
        }
        Ok(at)
    }
}

/// The names of a path, from the top. `.` and empty names mean nothing.
fn names(path: &str) -> Result<Vec<&str>, FileError> {
    let names: Vec<_> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if path.starts_with('/') || path.contains('\0') || names.contains(&"..") || names.len() > MAX_DEPTH {
        return Err(FileError::Outside(path.to_owned()));
    }
    match names.first() {
        Some(first) if OWN.iter().any(|own| first == own || first.starts_with("stream-high-water")) => {
            Err(FileError::Own(path.to_owned()))
        }
        _ => Ok(names),
    }
}

fn failed(path: &str, errno: Errno) -> FileError {
    let path = path.to_owned();
    match errno {
        Errno::NOENT => FileError::Missing(path),
        Errno::NOTDIR | Errno::LOOP => FileError::NotADirectory(path),
        Errno::ISDIR | Errno::NXIO => FileError::NotAFile(path),
        errno => FileError::Io { path, cause: errno.into() },
    }
}

const OPEN_DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// What is in a directory, by name.
fn entries(directory: &OwnedFd) -> Result<Vec<(String, FileType)>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        // Names that are not UTF-8 are not of scripts.
        let Ok(name) = entry.file_name().to_str() else { continue };
        if matches!(name, "." | "..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => kind_of(directory, entry.file_name())?,
            kind => kind,
        };
        found.push((name.to_owned(), kind));
    }
    Ok(found)
}

fn kind_of(directory: &OwnedFd, name: &CStr) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
}

fn gather(
    directory: &OwnedFd,
    above: &str,
    leave_out: &[&str],
    depth: usize,
    files: &mut Vec<(String, u64)>,
) -> Result<(), Errno> {
    for (name, kind) in entries(directory)? {
        if leave_out.iter().any(|own| name.starts_with(own)) {
            continue;
        }
        let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
        // What was removed meanwhile is not there.
        match kind {
            FileType::Directory if depth > 0 => {
                match openat(directory, &*name, OPEN_DIRECTORY, Mode::empty()) {
                    Ok(below) => gather(&below, &path, &[], depth - 1, files)?,
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
            FileType::RegularFile => match statat(directory, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => files.push((path, stat.st_size as u64)),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            },
            _ => {}
        }
    }
    Ok(())
}

fn remove(parent: &OwnedFd, name: &str, depth: usize) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Linux says EISDIR, POSIX EPERM.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let directory = openat(parent, name, OPEN_DIRECTORY, Mode::empty())?;
    for (below, _) in entries(&directory)? {
        remove(&directory, &below, depth.checked_sub(1).ok_or(Errno::NAMETOOLONG)?)?;
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The name of the data directory's file of names, and of that in repositories.
pub const NAME_HISTORY: &str = "name_resolution_history.json";

/// Where a path that a helper gives leads, as people see it.
impl Files {
    /// The path of a file on disk, for clients that open it themselves.
    pub fn on_disk(&self, path: &str) -> Result<PathBuf, FileError> {
        Ok(names(path)?.iter().fold(self.path.to_path_buf(), |at, name| at.join(name)))
    }
}
