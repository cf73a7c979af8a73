//! A filter put into the kernel while the capture runs.
//!
//! libpcap changes a filter in two steps, with one between them that lets nothing through, so that no packet that the new
//! filter refuses comes out. What would be lost meanwhile counts more here, and what the new filter refuses is refused again
//! by the verdict: so the new program takes the place of the old one at once (`SO_ATTACH_FILTER`, `socket(7)`).

use std::{io, mem, os::fd::AsRawFd};

use pcap::BpfProgram;

/// Instructions that a kernel takes (`BPF_MAXINSNS`).
const MAX_INSTRUCTIONS: usize = 4096;

/// Why a filter is not put into the kernel.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is longer than the kernel takes, or than the memory that it grants.
    TooLong,
    /// It looks at something that the kernel does not have.
    Unknown,
    /// The kernel's reason.
    Kernel(io::Error),
}

/// `BPF_CLASS`, `BPF_MODE` and `BPF_RVAL` of an instruction's code, and the values that matter
/// (`linux/bpf_common.h`).
mod code {
    pub(super) const LD: u16 = 0;
    pub(super) const LDX: u16 = 1;
    pub(super) const RET_K: u16 = 6;
    pub(super) const ABS: u16 = 0x20;
    pub(super) const IND: u16 = 0x40;
    pub(super) const MSH: u16 = 0xa0;

    pub(super) fn class(code: u16) -> u16 {
        code & 7
    }

    pub(super) fn mode(code: u16) -> u16 {
        code & 0xe0
    }
}

/// Offsets from here on are no bytes of a packet but what the kernel knows of it (`SKF_AD_OFF`, `linux/filter.h`).
const AUXILIARY: u32 = 0xffff_f000;

/// What the kernel knows of a packet: `SKF_AD_PROTOCOL`, `_PKTTYPE`, `_IFINDEX` and `_HATYPE`.
const PROTOCOL: u32 = AUXILIARY;
const PACKET_TYPE: u32 = AUXILIARY + 4;
const INTERFACE: u32 = AUXILIARY + 8;
const HARDWARE: u32 = AUXILIARY + 28;

/// Makes a program for the kernel of one that libpcap compiled for frames of this link type.
///
/// A cooked capture's header is made by libpcap above the kernel, which sees packets without it: so what the program
/// reads of that header is asked of the kernel, and what lies behind it lies nearer.
pub(crate) fn program(
    compiled: &BpfProgram,
    link_type: u32,
    snaplen: u32,
) -> Result<Vec<libc::sock_filter>, Refused> {
    let instructions = compiled.get_instructions();
    let program: Option<Vec<_>> = instructions
        .iter()
        .map(|instruction| translated(&instruction.to_string(), link_type, snaplen))
        .collect();
    program.ok_or(Refused::Unknown)
}

/// A program that lets everything through, or nothing.
pub(crate) fn constant(snaplen: u32) -> Vec<libc::sock_filter> {
    vec![libc::sock_filter { code: code::RET_K, jt: 0, jf: 0, k: snaplen }]
}

/// An instruction as libpcap shows it: code, the two jumps, and the number.
fn translated(instruction: &str, link_type: u32, snaplen: u32) -> Option<libc::sock_filter> {
    let mut words = instruction.split(' ');
    let mut word = || words.next()?.parse::<u32>().ok();
    let (code, jt, jf, k) = (word()? as u16, word()? as u8, word()? as u8, word()?);
    let loads = matches!(code::class(code), code::LD | code::LDX)
        && matches!(code::mode(code), code::ABS | code::IND | code::MSH);
    let k = match code {
        code::RET_K => k.min(1) * snaplen,
        _ if loads => offset(k, link_type)?,
        _ => k,
    };
    Some(libc::sock_filter { code, jt, jf, k })
}

fn offset(k: u32, link_type: u32) -> Option<u32> {
    const SLL: u32 = 113;
    const SLL2: u32 = 276;
    match (link_type, k) {
        (_, AUXILIARY..) => Some(k),
        (SLL, 16..) => Some(k - 16),
        (SLL, 14) | (SLL2, 0) => Some(PROTOCOL),
        (SLL, 0) | (SLL2, 10) => Some(PACKET_TYPE),
        (SLL2, 20..) => Some(k - 20),
        (SLL2, 4) => Some(INTERFACE),
        (SLL2, 8) => Some(HARDWARE),
        (SLL | SLL2, _) => None,
        _ => Some(k),
    }
}

/// Puts a program in the place of the one that the socket has.
#[expect(unsafe_code, reason = "no safe binding sets this option")]
pub(crate) fn attach(socket: &impl AsRawFd, program: &[libc::sock_filter]) -> Result<(), Refused> {
    if program.len() > MAX_INSTRUCTIONS {
        return Err(Refused::TooLong);
    }
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Refused::TooLong)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads the option, and as many instructions as it says, which live until the call is over; it
    // writes nothing.
    let told = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            mem::size_of_val(&program) as libc::socklen_t,
        )
    };
    if told == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOMEM) => Err(Refused::TooLong),
        _ => Err(Refused::Kernel(error)),
    }
}

#[cfg(test)]
mod tests {
    use pcap::{Capture, Linktype};

    use super::*;

    fn shown(program: &[libc::sock_filter]) -> Vec<(u16, u8, u8, u32)> {
        program.iter().map(|each| (each.code, each.jt, each.jf, each.k)).collect()
    }

    #[test]
    fn what_a_cooked_header_says_is_asked_of_the_kernel() {
        // Load the protocol, compare it with IPv4, load the destination's address, compare.
        let compiled = |link_type: i32| {
            let dead = Capture::dead(Linktype(link_type)).unwrap();
            program(&dead.compile("ip dst host 10.0.0.1", true).unwrap(), link_type as u32, 4321).unwrap()
        };
        let (load, compare, word) = (0x28, 0x15, 0x20);
        let body = |protocol, destination| {
            vec![
                (load, 0, 0, protocol),
                (compare, 0, 3, 0x800),
                (word, 0, 0, destination),
                (compare, 0, 1, 0x0a00_0001),
                (code::RET_K, 0, 0, 4321),
                (code::RET_K, 0, 0, 0),
            ]
        };
        assert_eq!(shown(&compiled(1)), body(12, 30));
        assert_eq!(shown(&compiled(113)), body(PROTOCOL, 16));
        assert_eq!(shown(&compiled(276)), body(PROTOCOL, 16));
    }

    #[test]
    fn what_only_libpcap_knows_is_refused() {
        let dead = Capture::dead(Linktype(113)).unwrap();
        let compiled = dead.compile("link[6] = 1", true).unwrap();
        assert!(matches!(program(&compiled, 113, 1), Err(Refused::Unknown)));
    }
}
