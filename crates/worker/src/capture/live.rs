//! An interface, captured through libpcap.

use std::{
    os::fd::AsFd,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use flow::{Frame, Ordinal, Timestamp};
use pcap::{Active, Capture, Device, Precision};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    CaptureError, CaptureStats, PacketSource,
    attach::{self, Refused},
};
use crate::targets::filter::Program;

/// How long the kernel may fill a block of its ring before it hands it over, in milliseconds.
///
/// Immediate mode would cost several times the CPU and drop packets: libpcap then gives up the block ring.
const RING_TIMEOUT: i32 = 20;

/// How an interface is captured.
#[derive(Clone, Debug)]
pub(crate) struct LiveOptions {
    /// Bytes kept of each frame.
    pub(crate) snaplen: u32,
    /// Size of the kernel's ring, in bytes.
    pub(crate) buffer_bytes: u32,
    /// A BPF filter, run by the kernel.
    pub(crate) filter: Option<String>,
}

/// Why a filter is not in force.
#[derive(Debug)]
pub(crate) enum NotSet {
    /// The kernel does not take one so long.
    TooLong,
    /// It makes no sense, or the kernel refuses it.
    Failed(String),
}

/// An open interface.
pub(crate) struct LiveCapture {
    name: String,
    capture: Capture<Active>,
    link_type: u32,
    snaplen: u32,
    nanos_per_tick: i64,
    packets: u64,
    bytes: u64,
}

impl LiveCapture {
    /// Opens the interface called `name`; `any` is all of them.
    pub(crate) fn open(name: &str, options: &LiveOptions) -> Result<Self, CaptureError> {
        let failed = |error: pcap::Error| refusal(name, &error);
        let inactive = |precision| {
            Capture::from_device(Device::from(name)).map(|capture| {
                capture
                    .snaplen(options.snaplen as i32)
                    .buffer_size(options.buffer_bytes as i32)
                    .timeout(RING_TIMEOUT)
                    .precision(precision)
                    // What was sent to this machine's addresses is enough, and promiscuous mode shows in its logs.
                    .promisc(false)
                    .open()
            })
        };
        let (capture, nanos_per_tick) = match inactive(Precision::Nano).map_err(failed)? {
            Ok(capture) => (capture, 1),
            // Not every kind of interface knows nanoseconds; a real fault is met again.
            Err(_) => (inactive(Precision::Micro).map_err(failed)?.map_err(failed)?, 1_000),
        };
        let mut capture = capture.setnonblock().map_err(failed)?;
        // What the user typed, alone: what is wrong with it is told in the user's own words. And by libpcap, which applies
        // it to what was captured before too.
        if let Some(filter) = &options.filter {
            capture.filter(filter, true).map_err(|error| CaptureError::Filter {
                filter: filter.clone(),
                reason: error.to_string(),
            })?;
        }
        let link_type = link_type_of(capture.get_datalink().0);
        if !flow::Decoder::supports(link_type) {
            return Err(CaptureError::LinkType { name: name.to_owned(), link_type, place: None });
        }
        let (name, snaplen) = (name.to_owned(), options.snaplen);
        Ok(Self { name, capture, link_type, snaplen, nanos_per_tick, packets: 0, bytes: 0 })
    }

    /// Has the kernel let through only this from now on; gives the length of its program. What was captured before stays.
    pub(crate) fn set_filter(&mut self, program: &Program) -> Result<usize, NotSet> {
        let instructions = match program {
            Program::All => attach::constant(self.snaplen),
            Program::Nothing => attach::constant(0),
            Program::Text(text) => match self.capture.compile(text, true) {
                Ok(compiled) => match attach::program(&compiled, self.link_type, self.snaplen) {
                    Ok(instructions) => instructions,
                    // With a moment in which nothing is captured, but right.
                    Err(_) => return self.set_by_libpcap(text),
                },
                Err(error) if error.to_string().contains("rejects all packets") => attach::constant(0),
                Err(error) => return Err(NotSet::Failed(format!("`{text}` is not valid BPF: {error}"))),
            },
        };
        match attach::attach(&self.capture, &instructions) {
            Ok(()) => Ok(instructions.len()),
            Err(Refused::TooLong) => Err(NotSet::TooLong),
            Err(Refused::Kernel(error)) => {
                Err(NotSet::Failed(format!("the kernel refuses the filter: {error}")))
            }
            Err(Refused::Unknown) => Err(NotSet::Failed("the kernel has no such field".to_owned())),
        }
    }

    fn set_by_libpcap(&mut self, text: &str) -> Result<usize, NotSet> {
        self.capture.filter(text, true).map(|()| 0).map_err(|error| NotSet::Failed(error.to_string()))
    }

    /// Waits until there may be packets, at most so long.
    pub(crate) fn wait(&self, at_most: Duration) -> Result<(), CaptureError> {
        let timeout =
            Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: i64::from(at_most.subsec_nanos()) };
        match poll(&mut [PollFd::from_borrowed_fd(self.capture.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(CaptureError::Interface { name: self.name.clone(), reason: errno.to_string() }),
        }
    }

    /// Asks libpcap for the kernel's own counts.
    pub(crate) fn full_stats(&mut self) -> CaptureStats {
        let kernel = self.capture.stats().ok();
        CaptureStats {
            packets: self.packets,
            bytes: self.bytes,
            kernel_dropped: kernel.map_or(0, |stats| u64::from(stats.dropped)),
            interface_dropped: kernel.map_or(0, |stats| u64::from(stats.if_dropped)),
            ..CaptureStats::default()
        }
    }
}

impl PacketSource for LiveCapture {
    /// `None` here means that there is none at present.
    fn next_packet(&mut self, ordinal: Ordinal) -> Result<Option<Frame<'_>>, CaptureError> {
        match self.capture.next_packet() {
            Ok(packet) => {
                self.packets += 1;
                self.bytes += packet.data.len() as u64;
                Ok(Some(Frame {
                    ordinal,
                    at: Timestamp(
                        packet.header.ts.tv_sec * 1_000_000_000
                            + packet.header.ts.tv_usec * self.nanos_per_tick,
                    ),
                    interface: 0,
                    link_type: self.link_type,
                    wire_len: packet.header.len,
                    bytes: packet.data,
                }))
            }
            Err(pcap::Error::TimeoutExpired | pcap::Error::NoMorePackets) => Ok(None),
            Err(error) => Err(CaptureError::Interface { name: self.name.clone(), reason: error.to_string() }),
        }
    }

    fn stats(&self) -> CaptureStats {
        CaptureStats { packets: self.packets, bytes: self.bytes, ..CaptureStats::default() }
    }
}

/// libpcap's DLT_ number as a LINKTYPE_ number: they differ for raw IP only, of what we decode.
fn link_type_of(dlt: i32) -> u32 {
    match dlt {
        12 | 14 => 101,
        other => other as u32,
    }
}

/// The clock of the node, for the ticks of an idle interface.
pub(crate) fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}

/// libpcap says in words only why it refuses.
fn refusal(name: &str, error: &pcap::Error) -> CaptureError {
    let (name, reason) = (name.to_owned(), error.to_string());
    let lower = reason.to_lowercase();
    if lower.contains("permission") || lower.contains("not permitted") {
        return CaptureError::NotAllowed { name, reason };
    }
    if lower.contains("no such device") || lower.contains("doesn't exist") {
        let present = Device::list().unwrap_or_default();
        let present: Vec<_> = present.into_iter().map(|device| device.name).collect();
        return CaptureError::NoInterface { name, present: present.join(", ") };
    }
    CaptureError::Interface { name, reason }
}
