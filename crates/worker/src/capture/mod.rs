//! Where packets come from. I/O stays on this side.
//!
//! A file waits for its consumers and loses nothing. A live capture waits for nobody: what [`live`] does
//! not read in time the kernel drops, and counts.

pub(crate) mod attach;
mod bpf;
mod error;
mod file;
mod live;
mod pcap;
mod pcapng;
mod records;
#[cfg(test)]
mod tests;
mod unpack;

use std::path::PathBuf;

use flow::{Frame, Ordinal};

pub(crate) use bpf::FileFilter;
pub use error::{CaptureError, Place};
pub(crate) use file::{CaptureFile, Position};
pub(crate) use live::{LiveCapture, LiveOptions, NotSet, wall_clock};

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A pcap or pcapng file, plain, gzip or zstd.
    File(PathBuf),
    /// The same, from standard input.
    Stdin,
    /// A network interface of this machine; `any` is all of them.
    Interface(String),
}

/// A capture point's own account of what it saw and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureStats {
    /// Frames handed on.
    pub packets: u64,
    /// Bytes of them that were captured.
    pub bytes: u64,
    /// Frames that the BPF filter of a file refused; a live capture's filter refuses in the kernel, uncounted.
    pub filtered: u64,
    /// Frames that the kernel dropped because its ring was full.
    pub kernel_dropped: u64,
    /// Frames that the interface or its driver dropped.
    pub interface_dropped: u64,
    /// Frames whose interface was never described (pcapng).
    pub undescribed: u64,
    /// Frames of our own connections, which the program that captures has itself: they are not looked at further.
    pub own: u64,
    /// Frames that reached the program and belong to no targeted pod, likewise. Most such are refused in the kernel.
    pub not_targeted: u64,
}

/// Lends frames one by one.
pub(crate) trait PacketSource {
    /// The next frame, numbered `ordinal`; `None` at the end of the input.
    fn next_packet(&mut self, ordinal: Ordinal) -> Result<Option<Frame<'_>>, CaptureError>;

    /// What was seen and lost so far.
    fn stats(&self) -> CaptureStats;
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("standard input"),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

impl CaptureStats {
    /// Adds another capture point's account.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.filtered += other.filtered;
        self.kernel_dropped += other.kernel_dropped;
        self.interface_dropped += other.interface_dropped;
        self.undescribed += other.undescribed;
        self.own += other.own;
        self.not_targeted += other.not_targeted;
    }

    /// Visits every row by its name.
    pub fn each(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        visit("packets", self.packets);
        visit("bytes", self.bytes);
        visit("filtered", self.filtered);
        visit("kernelDropped", self.kernel_dropped);
        visit("interfaceDropped", self.interface_dropped);
        visit("undescribedInterface", self.undescribed);
        visit("own", self.own);
        visit("notTargeted", self.not_targeted);
    }
}
