//! What can go wrong between a capture and us; each message names the thing and the way out.

use std::{fmt, io};

use thiserror::Error;

/// A place in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes from its beginning, uncompressed.
    pub offset: u64,
    /// Whether it lies compressed on disk, where the offset is another.
    pub unpacked: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}{}", self.offset, if self.unpacked { " of the uncompressed capture" } else { "" })
    }
}

/// Why a source cannot be read, or not further.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The file does not open.
    #[error("cannot open {name}: {cause}; {}", advice(cause))]
    Open {
        /// The file.
        name: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// A directory was named.
    #[error("{name} is a directory; name a capture file in it")]
    Directory {
        /// The directory.
        name: String,
    },
    /// There is nothing in it.
    #[error("{name} is empty; a capture begins with a header even when it holds no packet")]
    Empty {
        /// The file.
        name: String,
    },
    /// It begins like nothing we know.
    #[error(
        "{name} is not a capture: it begins with {found}; pcap and pcapng are read, plain or compressed by gzip or zstd"
    )]
    NotACapture {
        /// The file.
        name: String,
        /// Its first bytes, in hexadecimal.
        found: String,
    },
    /// It ends in the middle of something.
    #[error("{name} is cut short: {what} at {place} is not complete; everything before it was read")]
    Truncated {
        /// The file.
        name: String,
        /// Where the incomplete thing begins.
        place: Place,
        /// What it is.
        what: &'static str,
    },
    /// It breaks its format.
    #[error("{name} is damaged at {place}: {what}; everything before it was read")]
    Corrupt {
        /// The file.
        name: String,
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
    },
    /// Reading fails.
    #[error("cannot read {name} at {place}; everything before it was read")]
    Read {
        /// The file.
        name: String,
        /// Where.
        place: Place,
        /// The system's reason.
        #[source]
        cause: io::Error,
    },
    /// The frames begin in a way that we don't decode.
    #[error("{name} has frames of link type {link_type}{}, which is not decoded; {SUPPORTED} are", told(*place))]
    LinkType {
        /// The file or the interface.
        name: String,
        /// A LINKTYPE_ number.
        link_type: u32,
        /// Where a file says so.
        place: Option<Place>,
    },
    /// The filter does not compile.
    #[error("the capture filter `{filter}` is not valid BPF: {reason}")]
    Filter {
        /// The filter.
        filter: String,
        /// libpcap's words.
        reason: String,
    },
    /// There is no such interface.
    #[error("there is no interface {name}; this machine has {present}")]
    NoInterface {
        /// The interface.
        name: String,
        /// Those that exist.
        present: String,
    },
    /// This process may not capture.
    #[error("not allowed to capture on {name}: {reason}")]
    NotAllowed {
        /// The interface.
        name: String,
        /// libpcap's words.
        reason: String,
    },
    /// libpcap fails.
    #[error("cannot capture on {name}: {reason}")]
    Interface {
        /// The interface.
        name: String,
        /// libpcap's words.
        reason: String,
    },
}

/// The link types of `flow`, for the message.
const SUPPORTED: &str = "Ethernet, Linux cooked (1 and 2), raw IP, loopback and PPP";

fn told(place: Option<Place>) -> String {
    place.map_or_else(String::new, |place| format!(" (it says so at {place})"))
}

/// What to do about a file that does not open.
fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound => "check its name, and the directory in which you are",
        io::ErrorKind::PermissionDenied => "let this user read it, or run as one who may",
        _ => "check that it can be read",
    }
}

impl CaptureError {
    /// For a decompressor, which passes on what it can't read.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Read { cause, .. } => cause,
            other => io::Error::other(other),
        }
    }
}
