//! The same packets behind other link layers.

use crate::pcap::Capture;

/// A name, and the capture of Ethernet frames told with another link layer.
type Form = (&'static str, Capture);

const ETHERNET_HEADER: usize = 14;

/// The capture as each link layer would have carried it.
pub fn all(ethernet: &Capture) -> Vec<Form> {
    assert_eq!(ethernet.link_type, 1, "a capture of Ethernet frames");
    let form = |name, link_type, header: &dyn Fn([u8; 12], [u8; 2]) -> Vec<u8>| {
        let mut capture = ethernet.clone();
        capture.link_type = link_type;
        for frame in &mut capture.frames {
            let addresses = frame.bytes[..12].try_into().expect("two addresses");
            let ether_type = frame.bytes[12..ETHERNET_HEADER].try_into().expect("a type");
            let header = header(addresses, ether_type);
            frame.bytes.splice(..ETHERNET_HEADER, header);
        }
        (name, capture)
    };
    vec![
        form("vlan", 1, &|addresses, kind| [&addresses[..], &[0x81, 0, 0, 42], &kind].concat()),
        form("qinq", 1, &|addresses, kind| {
            [&addresses[..], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 42], &kind].concat()
        }),
        form("raw", 101, &|_, _| Vec::new()),
        // The address family in the byte order of the machine that captured: 2 is IPv4, 30 is IPv6 on macOS.
        form("null", 0, &|_, kind| if kind == [8, 0] { vec![2, 0, 0, 0] } else { vec![30, 0, 0, 0] }),
        form("loop", 108, &|_, kind| if kind == [8, 0] { vec![0, 0, 0, 2] } else { vec![0, 0, 0, 24] }),
        form("sll", 113, &|addresses, kind| {
            [&[0, 0, 0, 1, 0, 6][..], &addresses[6..], &[0, 0], &kind].concat()
        }),
        form("sll2", 276, &|addresses, kind| {
            [&kind[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6], &addresses[6..], &[0, 0]].concat()
        }),
    ]
}
