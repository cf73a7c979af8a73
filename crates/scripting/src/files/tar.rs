//! `tar.gz`: files go in, an archive that every tar opens comes out.
//!
//! POSIX.1-1988 (`ustar`), with GNU's `@LongLink` for names that do not fit. Regular files only; times are 0, so that the
//! same files give the same archive.

use std::io::{self, Read, Write};

use flate2::{Compression, write::GzEncoder};

/// Headers and contents are padded to this.
const BLOCK: usize = 512;
/// The longest name of a header.
const NAME: usize = 100;

/// An archive being written.
pub struct Archive<W: Write> {
    out: GzEncoder<W>,
}

impl<W: Write> Archive<W> {
    /// One that goes to `out`.
    pub fn new(out: W) -> Self {
        Self { out: GzEncoder::new(out, Compression::default()) }
    }

    /// Adds a file of `size` bytes. What `content` has beyond is left out, what it lacks is filled with zeros: a file that
    /// changes meanwhile spoils nobody else's.
    pub fn add(&mut self, name: &str, size: u64, content: impl Read) -> io::Result<()> {
        if name.len() > NAME {
            let long = [name.as_bytes(), b"\0"].concat();
            self.out.write_all(&header("././@LongLink", long.len() as u64, b'L'))?;
            self.padded(long.len() as u64, &*long)?;
        }
        self.out.write_all(&header(name, size, b'0'))?;
        self.padded(size, content)
    }

    /// Writes the end.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.finish()
    }

    fn padded(&mut self, size: u64, content: impl Read) -> io::Result<()> {
        let written = io::copy(&mut content.take(size), &mut self.out)?;
        let missing = size.next_multiple_of(BLOCK as u64) - written;
        io::copy(&mut io::repeat(0).take(missing), &mut self.out).map(drop)
    }
}

fn header(name: &str, size: u64, kind: u8) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name.as_bytes()[..name.len().min(NAME)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, &octal(size));
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Eleven octal digits; of more than 8 GiB, the number in binary, as GNU writes it.
fn octal(size: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if size < 1 << 33 {
        field[..11].copy_from_slice(format!("{size:011o}").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&size.to_be_bytes());
    }
    field
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn tar_opens_what_was_written() {
        let long = format!("{}/file", "d".repeat(150));
        let files: &[(&str, &[u8])] =
            &[("a.txt", b"hello"), ("d/empty", b""), ("d/exact", &[7; 512]), (&long, b"long")];
        let mut archive = Archive::new(Vec::new());
        for (name, content) in files {
            archive.add(name, content.len() as u64, *content).unwrap();
        }
        archive.add("shrunk", 10, &b"abc"[..]).unwrap();
        archive.add("grown", 2, &b"abc"[..]).unwrap();
        let bytes = archive.finish().unwrap();
        let directory = std::env::temp_dir().join(format!("kubeshark-tar-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("a.tar.gz"), bytes).unwrap();
        let done = Command::new("tar").args(["xzf", "a.tar.gz"]).current_dir(&directory).output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
        for (name, content) in files {
            assert_eq!(fs::read(directory.join(name)).unwrap(), *content, "{name}");
        }
        assert_eq!(fs::read(directory.join("shrunk")).unwrap(), b"abc\0\0\0\0\0\0\0");
        assert_eq!(fs::read(directory.join("grown")).unwrap(), b"ab");
        fs::remove_dir_all(directory).unwrap();
    }
}
