//! What the kernel is asked to refuse, as a BPF filter in libpcap's words (`pcap-filter(7)`).
//!
//! A kernel takes 4,096 instructions, and less where little memory is granted to a socket (`net.core.optmem_max`). An IPv4
//! address costs two instructions, an IPv6 address sixteen. Where there are more addresses than fit, networks around them
//! stand in their place; whoever then comes through is refused by the verdict.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use api::messages::{Port, Transport};

use super::{Pods, Rules, Wanted};

/// Most IPv4 addresses of a filter; of IPv6 a fourth of it.
pub(crate) const MAX_TERMS: usize = 256;

/// A filter for the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) program: Program,
    /// Whether it lets through more than the rules do.
    pub(crate) coarse: bool,
}

/// What it lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Everything.
    All,
    /// Nothing.
    Nothing,
    /// What these words say.
    Text(String),
}

/// The filter for a source of which the user typed `typed`, that leaves out the servers `own`, with at most `terms`
/// addresses.
pub(crate) fn of(typed: Option<&str>, own: &[SocketAddr], rules: &Rules, terms: usize) -> Filter {
    let mut parts: Vec<String> = typed.iter().map(|typed| format!("({typed})")).collect();
    let mut coarse = false;
    let mut nothing = false;
    match &*rules.wanted {
        Wanted::All => {}
        Wanted::Nothing => nothing = true,
        Wanted::Filter(filter) => parts.push(format!("({filter})")),
        Wanted::Pods(pods) => match of_pods(pods, terms) {
            Some((text, exact)) => {
                coarse = !exact;
                if text.is_empty() {
                    nothing = true;
                } else {
                    parts.push(format!("({text})"));
                }
            }
            None => coarse = true,
        },
    }
    parts.extend(own.iter().copied().map(leave_out));
    let test = rules.test.as_ref().map(|test| format!("udp port {}", test.port));
    let program = match (nothing, parts.is_empty(), test) {
        (true, _, None) => Program::Nothing,
        (true, _, Some(test)) => Program::Text(test),
        (false, true, _) => Program::All,
        (false, false, None) => Program::Text(parts.join(" and ")),
        (false, false, Some(test)) => Program::Text(format!("({}) or {test}", parts.join(" and "))),
    };
    Filter { program, coarse }
}

/// All but what one of our servers says and hears.
pub(crate) fn leave_out(server: SocketAddr) -> String {
    let (ip, port) = (server.ip(), server.port());
    if ip.is_unspecified() {
        // Whoever listens everywhere has no address of its own.
        return format!("not tcp port {port}");
    }
    format!("not ((src host {ip} and tcp src port {port}) or (dst host {ip} and tcp dst port {port}))")
}

/// The pods, and whether nobody else is let through; nothing where no filter that helps is short enough.
fn of_pods(pods: &Pods, terms: usize) -> Option<(String, bool)> {
    let (mut v4, mut v6) = (BTreeSet::new(), BTreeSet::new());
    for ip in &pods.addresses {
        match ip {
            IpAddr::V4(ip) => drop(v4.insert(u128::from(u32::from(*ip)))),
            IpAddr::V6(ip) => drop(v6.insert(u128::from(*ip))),
        }
    }
    let (v4, length4) = covering(&v4, 32, terms)?;
    let (v6, length6) = covering(&v6, 128, terms / 4)?;
    let mut exact = length4 == 32 && length6 == 128;
    let mut words = Vec::new();
    words.extend(v4.into_iter().map(|network| {
        let ip = Ipv4Addr::from(network as u32);
        if length4 == 32 { format!("ip host {ip}") } else { format!("ip net {ip}/{length4}") }
    }));
    words.extend(v6.into_iter().map(|network| {
        let ip = Ipv6Addr::from(network);
        if length6 == 128 { format!("ip6 host {ip}") } else { format!("ip6 net {ip}/{length6}") }
    }));
    for (ip, ports) in pods.ports.iter().filter(|(_, ports)| !ports.is_empty()) {
        let host = format!("{} host {ip}", if ip.is_ipv4() { "ip" } else { "ip6" });
        if ports.len() > terms {
            exact = false;
            words.push(host);
        } else {
            let ports: Vec<_> = ports.iter().map(|port| of_port(*port)).collect();
            words.push(format!("({host} and ({}))", ports.join(" or ")));
        }
    }
    Some((words.join(" or "), exact))
}

fn of_port(port: Port) -> String {
    let transport = match port.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Sctp => "sctp",
    };
    format!("{transport} port {}", port.number)
}

/// At most `most` networks of one length, the longest that will do, in which all these addresses of `bits` bits are; nothing
/// where only the whole address space would do.
fn covering(addresses: &BTreeSet<u128>, bits: u32, most: usize) -> Option<(BTreeSet<u128>, u32)> {
    if addresses.is_empty() {
        return Some((BTreeSet::new(), bits));
    }
    (1..=bits).rev().find_map(|length| {
        let below = bits - length;
        let networks: BTreeSet<_> = addresses.iter().map(|address| address >> below << below).collect();
        (networks.len() <= most).then_some((networks, length))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pcap::{Capture, Linktype};
    use proptest::prelude::*;

    use super::*;
    use crate::targets::Test;

    fn rules(wanted: Wanted) -> Rules {
        Rules { wanted: Arc::new(wanted), ..Rules::default() }
    }

    fn pods<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Pods {
        let addresses = addresses.into_iter().map(|ip| ip.parse().unwrap()).collect();
        Pods { addresses, ..Pods::default() }
    }

    fn text(typed: Option<&str>, own: &[&str], rules: &Rules) -> String {
        let own: Vec<_> = own.iter().map(|address| address.parse().unwrap()).collect();
        match of(typed, &own, rules, 2).program {
            Program::All => "*".into(),
            Program::Nothing => "-".into(),
            Program::Text(text) => text,
        }
    }

    #[test]
    fn words_for_each_case() {
        let own =
            "not ((src host 10.1.2.3 and tcp src port 8899) or (dst host 10.1.2.3 and tcp dst port 8899))";
        let mut tested = rules(Wanted::Nothing);
        tested.test = Some(Test { port: 9, token: [0; 16] });
        let mut shared = pods(["10.0.0.1"]);
        let ports = [(Transport::Tcp, 80), (Transport::Udp, 53)];
        let ports = ports.map(|(transport, number)| Port { transport, number });
        shared.ports = [("10.9.0.1".parse().unwrap(), ports.into())].into();
        for (typed, servers, rules, expected) in [
            (None, &[][..], &rules(Wanted::All), "*"),
            (
                Some("udp or tcp"),
                &["10.1.2.3:8899"],
                &rules(Wanted::All),
                &*format!("(udp or tcp) and {own}"),
            ),
            (
                None,
                &["0.0.0.0:30001", "[::]:2"],
                &rules(Wanted::All),
                "not tcp port 30001 and not tcp port 2",
            ),
            (None, &["10.1.2.3:8899"], &rules(Wanted::Nothing), "-"),
            (None, &["10.1.2.3:8899"], &tested, "udp port 9"),
            (None, &[], &rules(Wanted::Pods(Pods::default())), "-"),
            (None, &[], &rules(Wanted::Filter("tcp".into())), "(tcp)"),
            (
                Some("tcp"),
                &["10.1.2.3:8899"],
                &rules(Wanted::Pods(pods(["10.0.0.1", "10.0.0.2"]))),
                &*format!("(tcp) and (ip host 10.0.0.1 or ip host 10.0.0.2) and {own}"),
            ),
            (
                None,
                &[],
                &rules(Wanted::Pods(shared)),
                "(ip host 10.0.0.1 or (ip host 10.9.0.1 and (tcp port 80 or udp port 53)))",
            ),
            (
                None,
                &[],
                &rules(Wanted::Pods(pods(["10.0.0.1", "10.0.0.2", "10.0.1.7"]))),
                "(ip net 10.0.0.0/30 or ip net 10.0.1.4/30)",
            ),
        ] {
            let text = text(typed, servers, rules);
            assert_eq!(text, expected);
            if text != "*" && text != "-" {
                Capture::dead(Linktype::ETHERNET).unwrap().compile(&text, true).unwrap();
            }
        }
        let networks = of(None, &[], &rules(Wanted::Pods(pods(["10.0.0.1", "10.0.0.2", "10.0.0.7"]))), 2);
        assert!(networks.coarse);
        let far = of(None, &[], &rules(Wanted::Pods(pods(["10.0.0.1", "192.0.2.1"]))), 1);
        assert_eq!((far.program, far.coarse), (Program::All, true), "no network has both");
    }

    /// A frame that libpcap's programs accept or refuse by its addresses.
    fn frame(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
        let mut frame = [&[0; 12][..], &[8, 0, 0x45], &[0; 3 + 4 + 1], &[17], &[0; 2]].concat();
        frame.extend(from.octets());
        frame.extend(to.octets());
        frame.extend([0; 8]);
        frame
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Whatever number fits, no targeted pod is refused, and one that is exact lets nobody else through.
        #[test]
        fn no_target_is_refused(
            addresses in proptest::collection::btree_set(any::<u16>(), 1..40),
            others in proptest::collection::vec(any::<u16>(), 10),
            terms in 1usize..50,
        ) {
            let ip = |low: &u16| Ipv4Addr::from(0x0a00_0000 | u32::from(*low));
            let pods = Pods { addresses: addresses.iter().map(|low| ip(low).into()).collect(), ..Pods::default() };
            let filter = of(None, &[], &rules(Wanted::Pods(pods)), terms);
            let Program::Text(text) = filter.program else { panic!("{filter:?}") };
            let program = Capture::dead(Linktype::ETHERNET).unwrap().compile(&text, true).unwrap();
            let stranger = Ipv4Addr::new(192, 0, 2, 1);
            for low in &addresses {
                prop_assert!(program.filter(&frame(ip(low), stranger)));
                prop_assert!(program.filter(&frame(stranger, ip(low))));
            }
            prop_assert!(!program.filter(&frame(stranger, stranger)));
            if !filter.coarse {
                for other in others.iter().filter(|other| !addresses.contains(other)) {
                    prop_assert!(!program.filter(&frame(ip(other), stranger)));
                }
            }
        }
    }
}
