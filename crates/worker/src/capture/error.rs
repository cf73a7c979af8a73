//! What can go wrong between a capture and us; each message names the thing and the way out.

use std::io;

use thiserror::Error;

/// Why a source cannot be read, or not further.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The file does not open.
    #[error("cannot open {name}")]
    Open {
        /// The file.
        name: String,
        /// The system's reason.
        #[source]
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
    #[error("{name} is cut short: {what} at byte {offset} is not complete; everything before it was read")]
    Truncated {
        /// The file.
        name: String,
        /// Where the incomplete thing begins, in bytes of the uncompressed capture.
        offset: u64,
        /// What it is.
        what: &'static str,
    },
    /// It breaks its format.
    #[error("{name} is damaged at byte {offset}: {what}; everything before it was read")]
    Corrupt {
        /// The file.
        name: String,
        /// Where, in bytes of the uncompressed capture.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Reading fails.
    #[error("cannot read {name} at byte {offset}; everything before it was read")]
    Read {
        /// The file.
        name: String,
        /// Where, in bytes of the uncompressed capture.
        offset: u64,
        /// The system's or the decompressor's reason.
        #[source]
        cause: io::Error,
    },
    /// The frames begin in a way that we don't decode.
    #[error("{name} has frames of link type {link_type}, which is not decoded; {} are", SUPPORTED)]
    LinkType {
        /// The file or the interface.
        name: String,
        /// A LINKTYPE_ number.
        link_type: u32,
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
