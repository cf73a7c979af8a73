use std::{collections::BTreeMap, time::Duration};

use api::{
    UnixNanos,
    messages::{PodRef, Transport},
};
use proptest::prelude::*;

use super::*;

const TCP_80: Port = Port { transport: Transport::Tcp, number: 80 };

fn identity(kind: IdentityKind, name: &str) -> Identity {
    let namespace = if kind == IdentityKind::Node { "" } else { "shop" };
    let pod = |name: &str| PodRef {
        name: name.trim_end_matches(['\'', '*']).into(),
        uid: name.into(),
        labels: BTreeMap::new(),
        owner: None,
        node: "node-1".into(),
        host_network: name.ends_with('*'),
    };
    Identity {
        kind,
        name: name.trim_end_matches(['\'', '*']).into(),
        namespace: namespace.into(),
        pod: (kind == IdentityKind::Pod).then(|| pod(name)),
        service: None,
        endpoint_slice: None,
    }
}

/// `svc:web` is a service, `node:one` a node, `a` a pod, `a'` another pod of that name, `a*` one on its node's network.
pub(crate) fn called(name: &str) -> Identity {
    match name.split_once(':') {
        Some(("svc", name)) => identity(IdentityKind::Service, name),
        Some((_, name)) => identity(IdentityKind::Node, name),
        None => identity(IdentityKind::Pod, name),
    }
}

/// `10.0.0.1` or `10.0.0.1:80`.
fn key(text: &str) -> NameKey {
    let (ip, port) = text.split_once(':').map_or((text, None), |(ip, _)| (ip, Some(TCP_80)));
    NameKey { ip: ip.parse().unwrap(), port }
}

/// Seconds to nanoseconds: `5.0` is a whole second, and so an uncertain one.
fn nanos(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64 * 1_000_000
}

/// `-` is nobody.
fn news(changes: &[(f64, &str, &str)]) -> (Vec<Identity>, Vec<NameChange>) {
    let mut identities = Vec::new();
    let changes = changes.iter().map(|&(at, of, who)| {
        let identity = (who != "-").then(|| {
            identities.push(called(who));
            identities.len() as u32 - 1
        });
        NameChange { at: UnixNanos(nanos(at)), key: key(of), identity }
    });
    let changes = changes.collect();
    (identities, changes)
}

fn table(changes: &[(f64, &str, &str)]) -> Table {
    let mut table = Table::new(NameLimits::default());
    let (identities, changes) = news(changes);
    table.change(identities, &changes);
    table
}

/// `web.shop by ip`; `?` where it is disputed, `-` where nobody is known.
fn found(table: &Table, ip: &str, number: u16, at: i64) -> String {
    match table.find(ip.parse().unwrap(), Port { number, ..TCP_80 }, at) {
        Found::Named(Named { who, by }, _) => {
            let by = match by {
                Mechanism::Ip => "ip",
                Mechanism::IpAndPort => "port",
                Mechanism::Shared => "node",
            };
            let later = who.identity().pod.as_ref().filter(|pod| pod.uid.ends_with('\'')).map_or("", |_| "'");
            format!("{}{later} by {by}", who.identity().name)
        }
        Found::Disputed => "?".into(),
        Found::Unknown => "-".into(),
    }
}

fn asked(table: &Table, questions: &[(f64, &str)]) {
    for (at, expected) in questions {
        assert_eq!(found(table, "10.0.0.1", 80, nanos(*at)), *expected, "at {at}");
    }
}

#[test]
fn an_address_is_whose_it_was_at_the_time() {
    const IP: &str = "10.0.0.1";
    for (changes, questions) in [
        // Before anybody is known to have it, nobody had it.
        (&[(5.5, IP, "a")][..], &[(5.4, "-"), (5.5, "a by ip"), (900.0, "a by ip")][..]),
        // Handed on at known times, within a second, told in either order.
        (
            &[(5.1, IP, "a"), (6.25, IP, "-"), (6.5, IP, "b")],
            &[(6.2, "a by ip"), (6.3, "-"), (6.5, "b by ip")],
        ),
        (
            &[(6.5, IP, "b"), (6.25, IP, "-"), (5.1, IP, "a")],
            &[(6.2, "a by ip"), (6.3, "-"), (6.5, "b by ip")],
        ),
        // Within the same whole second: it is not known until that is over.
        (
            &[(1.0, IP, "a"), (6.0, IP, "-"), (6.0, IP, "b")],
            &[(5.999, "a by ip"), (6.0, "?"), (6.999, "?"), (7.0, "b by ip")],
        ),
        // In the second after: it is known throughout.
        (
            &[(1.0, IP, "a"), (6.0, IP, "-"), (7.0, IP, "b")],
            &[(6.999, "a by ip"), (7.0, "b by ip"), (8.0, "b by ip")],
        ),
        // It ends in a second that is told, and nobody follows.
        (&[(1.0, IP, "a"), (6.0, IP, "-")], &[(6.999, "a by ip"), (7.0, "-")]),
        // A whole second, then a moment within it that is known: what went before is over.
        (&[(1.0, IP, "a"), (6.0, IP, "-"), (6.5, IP, "b")], &[(6.4, "a by ip"), (6.5, "b by ip")]),
        // Of the same time what is told last is right.
        (&[(6.0, IP, "a"), (6.0, IP, "-")], &[(6.5, "-"), (7.0, "-")]),
        (&[(1.0, IP, "a"), (6.0, IP, "b"), (6.0, IP, "a")], &[(6.5, "a by ip"), (7.0, "a by ip")]),
        // The same pod, of which something was changed; one of the same name that came later.
        (&[(1.0, IP, "a"), (6.0, IP, "a")], &[(6.5, "a by ip")]),
        (&[(1.0, IP, "a"), (6.0, IP, "a'")], &[(5.5, "a by ip"), (6.5, "?"), (7.0, "a' by ip")]),
    ] {
        asked(&table(changes), questions);
        // To hear it all again changes nothing.
        asked(&table(&[changes, changes].concat()), questions);
    }
}

#[test]
fn a_port_speaks_within_the_life_of_its_address() {
    const IP: &str = "10.0.0.1";
    const PORT: &str = "10.0.0.1:80";
    for (changes, questions) in [
        // A pod behind a service, and its other ports.
        (&[(1.5, IP, "a"), (1.5, PORT, "a")][..], &[(80, "a by port"), (81, "a by ip")][..]),
        // A service's own address.
        (&[(1.5, IP, "svc:web"), (1.5, PORT, "svc:web")], &[(80, "web by port"), (81, "web by ip")]),
        // What is left of a pod that is gone does not name the next one.
        (&[(1.5, IP, "a"), (1.5, PORT, "a"), (2.5, IP, "b")], &[(80, "b by ip"), (81, "b by ip")]),
        (&[(1.5, IP, "a"), (1.5, PORT, "a"), (2.5, IP, "-")], &[(80, "-"), (81, "-")]),
        (&[(1.5, PORT, "a")], &[(80, "-"), (81, "-")]),
        // A pod on its node's network has its ports; the rest is somebody's on that node.
        (&[(1.5, IP, "node:n"), (1.5, PORT, "a*")], &[(80, "a by port"), (81, "n by node")]),
        // A service that is open on every node.
        (&[(1.5, IP, "node:n"), (1.5, PORT, "svc:web")], &[(80, "web by port"), (81, "n by node")]),
        // Where nodes may not be asked for.
        (&[(1.5, PORT, "a*")], &[(80, "a by port"), (81, "-")]),
        // Two on one node want the port in the same second.
        (
            &[(1.5, IP, "node:n"), (2.0, PORT, "a*"), (3.0, PORT, "-"), (3.0, PORT, "b*")],
            &[(80, "n by node"), (81, "n by node")],
        ),
    ] {
        let table = table(changes);
        for (port, expected) in questions {
            assert_eq!(found(&table, "10.0.0.1", *port, nanos(3.5)), *expected, "{changes:?} port {port}");
        }
    }
}

#[test]
fn the_last_second_is_told() {
    const IP: &str = "10.0.0.1";
    let ending = |changes: &[(f64, &str, &str)], at| {
        let found = table(changes).find([10, 0, 0, 1].into(), TCP_80, nanos(at));
        matches!(found, Found::Named(_, true))
    };
    let ended = [(1.5, IP, "a"), (5.5, IP, "-")];
    for (at, expected) in [(4.4, false), (4.5, true), (5.4, true), (5.5, false)] {
        assert_eq!(ending(&ended, at), expected, "{at}");
    }
    let followed = [ended[0], ended[1], (5.75, IP, "b")];
    assert!(!ending(&followed, 5.4), "who came then is known");
}

#[test]
fn a_mapped_address_is_the_same() {
    let table = table(&[(1.5, "10.0.0.1", "a")]);
    assert_eq!(found(&table, "::ffff:10.0.0.1", 1, nanos(2.0)), "a by ip");
}

#[test]
fn whoever_knows_all_is_right_about_the_present() {
    let mut table = table(&[
        (1.5, "10.0.0.1", "a"),
        (1.5, "10.0.0.2", "b"),
        (1.5, "10.0.0.3", "c"),
        (4.5, "10.0.0.3", "-"),
    ]);
    // A hub that comes back at 9 stamps otherwise what happened, and misses two pods; the last news came at 7.
    let (identities, changes) = news(&[(4.25, "10.0.0.3", "-"), (4.375, "10.0.0.3", "d")]);
    table.replace(identities, &changes, nanos(7.1));
    for (ip, at, expected) in [
        ("10.0.0.1", 7.0, "a by ip"),
        ("10.0.0.1", 7.1, "-"),
        ("10.0.0.2", 7.2, "-"),
        ("10.0.0.3", 4.2, "c by ip"),
        ("10.0.0.3", 4.3, "-"),
        ("10.0.0.3", 4.6, "d by ip"),
    ] {
        assert_eq!(found(&table, ip, 80, nanos(at)), expected, "{ip} at {at}");
    }
}

#[test]
fn it_is_bounded() {
    let limits =
        NameLimits { keys: 4, changes: 3, remember: Duration::from_secs(10), ..NameLimits::default() };
    let mut table = Table::new(limits);
    let hear = |table: &mut Table, changes: &[(f64, &str, &str)]| {
        let (identities, changes) = news(changes);
        table.change(identities, &changes);
    };
    hear(&mut table, &[(1.5, "10.0.0.1", "a"), (1.5, "10.0.0.1:80", "a"), (1.5, "10.0.0.2:80", "b*")]);
    assert_eq!((table.keys(), table.refused()), (4, 0));
    hear(&mut table, &[(1.5, "10.0.0.3", "c"), (1.5, "10.0.0.2:80", "d*"), (2.5, "10.0.0.1", "-")]);
    assert_eq!((table.keys(), table.refused()), (4, 1));
    // Of many changes the newest stay: of the time before nothing is known any longer.
    hear(&mut table, &[(3.5, "10.0.0.1", "e"), (4.5, "10.0.0.1", "-")]);
    asked(&table, &[(1.6, "-"), (3.6, "e by ip"), (4.6, "-")]);
    // What ended is remembered for a while, and its room given back.
    table.forget(nanos(14.0));
    asked(&table, &[(3.6, "e by ip")]);
    table.forget(nanos(14.5));
    assert_eq!((found(&table, "10.0.0.1", 80, nanos(3.6)), table.keys()), ("-".into(), 4));
    hear(&mut table, &[(15.5, "10.0.0.1:80", "-"), (15.5, "10.0.0.2:80", "-")]);
    table.forget(nanos(30.0));
    assert_eq!((table.keys(), table.addresses.len()), (0, 0));
}

#[test]
fn a_change_that_speaks_of_nobody_in_the_message_is_left_out() {
    let mut table = Table::new(NameLimits::default());
    let change = NameChange { at: UnixNanos(0), key: key("10.0.0.1"), identity: Some(7) };
    table.change(Vec::new(), &[change]);
    assert_eq!(table.keys(), 0);
}

/// Steps of a quarter of a second; the fourth ones are whole seconds.
fn quarters(step: u8) -> i64 {
    i64::from(step) * SECOND / 4
}

proptest! {
    /// Against a definition: a change may have happened at its time, or, with a whole second, at any time within it. Whoever
    /// may have had the address last, over all orders that keep to the list, may have it; two of them are a dispute.
    #[test]
    fn it_answers_as_the_definition(
        changes in proptest::collection::vec((0u8..24, 0u8..4), 0..10),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 10),
        at in 0u8..30,
    ) {
        // Learnt in any order, but of equal times in the order in which they happened.
        let mut happened = changes;
        happened.sort_by_key(|(step, _)| *step);
        happened.dedup_by_key(|(step, _)| *step);
        let mut learnt = happened.clone();
        for (index, other) in order.iter().enumerate().take(learnt.len()) {
            let other = other.index(learnt.len());
            learnt.swap(index, other);
        }
        let mut table = Table::new(NameLimits::default());
        for (step, who) in &learnt {
            let identities = vec![called(&format!("p{who}"))];
            let identity = (*who > 0).then_some(0);
            let at = UnixNanos(quarters(*step));
            table.change(identities, &[NameChange { at, key: key("10.0.0.1"), identity }]);
        }
        let now = quarters(at);
        let may_be_last = |last: usize| {
            let before = |step: u8| quarters(step) <= now;
            let may_come = |step: u8| step.is_multiple_of(4) && quarters(step) + SECOND > now;
            happened.iter().take(last).all(|(step, _)| before(*step))
                && happened.iter().skip(last).all(|(step, _)| !before(*step) || may_come(*step))
        };
        let mut possible: Vec<u8> = (0..=happened.len())
            .filter(|last| may_be_last(*last))
            .map(|last| last.checked_sub(1).map_or(0, |last| happened[last].1))
            .filter(|who| *who > 0)
            .collect();
        possible.sort_unstable();
        possible.dedup();
        let expected = match possible[..] {
            [] => "-".to_owned(),
            [who] => format!("p{who} by ip"),
            _ => "?".to_owned(),
        };
        prop_assert_eq!(found(&table, "10.0.0.1", 80, now), expected);
    }

    /// Any changes at all, within its bounds.
    #[test]
    fn it_stays_within_its_bounds(
        changes in proptest::collection::vec((0u8..40, 0u8..12, any::<bool>(), 0u8..4, any::<bool>()), 0..200),
    ) {
        let limits = NameLimits { keys: 9, changes: 3, remember: Duration::from_secs(2), ..NameLimits::default() };
        let mut table = Table::new(limits);
        for (step, ip, port, who, whole) in changes {
            let key = key(&format!("10.0.0.{ip}{}", if port { ":80" } else { "" }));
            let identity = (who > 0).then_some(0);
            let change = NameChange { at: UnixNanos(quarters(step)), key, identity };
            let identities = vec![called(&format!("p{who}"))];
            if whole {
                table.replace(identities, &[change], quarters(step));
                table.forget(quarters(step));
            } else {
                table.change(identities, &[change]);
            }
            let keys: usize = table.addresses.values().map(|address| 1 + address.ports.len()).sum();
            prop_assert_eq!(keys, table.keys());
            prop_assert!(keys <= 9);
            let mut longest = 0;
            table.each(|_, history| {
                longest = longest.max(history.0.len());
                assert!(history.0.is_sorted_by_key(|change| change.at));
            });
            // One more where the last one was told to have ended.
            prop_assert!(longest <= 4, "{longest}");
        }
    }
}
