use std::sync::Arc;

use api::UnixNanos;

use super::{namer::is_private, *};
use crate::{names::table::tests::called, store::tests::entries};

/// A worker's names, and what hubs say to it.
struct Bench(Names);

impl Bench {
    fn new() -> Self {
        Self(Names::new(NameLimits { hubs: 2, ..NameLimits::default() }, NameHistory::default()))
    }

    /// A message about 127.0.0.1, which is whose the entries of these tests are; in whose name its link then speaks.
    fn hear(&self, link: Option<u64>, epoch: u64, from: u64, complete: bool, who: &[&str]) -> Option<u64> {
        let key = NameKey { ip: [127, 0, 0, 1].into(), port: None };
        let at = UnixNanos(-1);
        let changes =
            (0..who.len()).map(|index| NameChange { at, key, identity: Some(index as u32) }).collect();
        let identities = who.iter().map(|name| called(name)).collect();
        self.0.hear(link, &mut News { epoch, from, identities, changes, complete })
    }

    fn name(&self) -> String {
        let mut entry = entries(0..1).remove(0);
        let entry = Arc::get_mut(&mut entry).unwrap();
        self.0.namer().unwrap().name(entry);
        entry.dst.named.as_ref().map_or_else(String::new, |named| named.who.identity().name.clone())
    }

    fn row(&self, row: &str) -> u64 {
        self.0.json()["ends"][row].as_u64().unwrap()
    }
}

#[test]
fn after_a_gap_only_all_of_it_counts() {
    let bench = Bench::new();
    assert!(!bench.0.are_told());
    assert_eq!(bench.hear(None, 1, 5, false, &["a"]), None, "it has to begin with all of it");
    assert_eq!((bench.name(), bench.row("gaps")), (String::new(), 1));
    assert_eq!(bench.hear(None, 1, 5, true, &["a"]), Some(1));
    assert_eq!(bench.hear(Some(1), 1, 6, false, &["a'"]), Some(1));
    assert!(bench.0.are_told());
    assert_eq!(bench.hear(Some(1), 1, 8, false, &["b"]), Some(1));
    assert_eq!(bench.hear(Some(1), 1, 9, false, &["b"]), Some(1), "still waiting");
    assert_eq!(bench.row("gaps"), 3);
    bench.hear(Some(1), 1, 10, true, &["b"]);
    assert_eq!(bench.name(), "b");
    // Nothing new is news, too: it says that the hub is there.
    bench.hear(Some(1), 1, 11, false, &[]);
    assert_eq!((bench.name(), bench.row("gaps")), ("b".into(), 3));
}

#[test]
fn hubs_are_not_mixed_and_the_last_one_stays() {
    let bench = Bench::new();
    let first = bench.hear(None, 1, 1, true, &["a"]);
    let second = bench.hear(None, 2, 1, true, &["b"]);
    assert_eq!((first, second, bench.name()), (Some(1), Some(2), "b".into()));
    assert_eq!(bench.hear(None, 3, 1, true, &["c"]), None, "one too many");
    assert_eq!((bench.name(), bench.row("tooManyHubs")), ("b".into(), 1));
    // What the first goes on to say is its own.
    bench.hear(first, 1, 2, false, &["d"]);
    assert_eq!(bench.name(), "b");
    bench.0.leave(second);
    assert_eq!(bench.name(), "d");
    // A second connection to it keeps it.
    bench.hear(None, 1, 3, true, &["d"]);
    bench.0.leave(first);
    assert_eq!(bench.0.json()["connected"], true);
    bench.0.leave(Some(1));
    assert_eq!((bench.name(), bench.0.json()["connected"].clone()), ("d".into(), false.into()));
    // The next one goes on with what is known.
    bench.hear(None, 7, 1, true, &["e"]);
    assert_eq!((bench.name(), bench.0.json()["hubs"].clone()), ("e".into(), 1.into()));
    bench.0.leave(Some(99));
    assert_eq!(bench.name(), "e");
}

#[test]
fn addresses_of_pods_are_private() {
    for (ip, expected) in [
        ("10.0.0.2", true),
        ("::ffff:192.168.0.1", true),
        ("100.64.0.1", true),
        ("100.128.0.1", false),
        ("93.184.216.34", false),
        ("127.0.0.1", false),
        ("fd00::1", true),
        ("2001:db8::1", false),
    ] {
        assert_eq!(is_private(ip.parse().unwrap()), expected, "{ip}");
    }
}

#[test]
fn the_history_has_what_changed() {
    let bench = Bench::new();
    assert!(!bench.0.remember());
    bench.hear(None, 1, 1, true, &["a"]);
    assert!(bench.0.remember());
    assert!(!bench.0.remember(), "nothing is new");
    let json: Value = serde_json::from_str(&bench.0.history.json()).unwrap();
    let (_, names) = json.as_object().unwrap().iter().next().unwrap();
    assert_eq!(*names, json!({"127.0.0.1": {"FullAddress": "a.shop", "Namespace": "shop"}}));
    bench.hear(Some(1), 1, 2, false, &[]);
    assert!(!bench.0.remember());
}

#[test]
fn ends_are_counted_by_what_is_known_of_them() {
    let count = |names: &[&str]| {
        let bench = Bench::new();
        bench.hear(None, 1, 1, true, names);
        let mut entry = entries(0..1).remove(0);
        let entry = Arc::get_mut(&mut entry).unwrap();
        let namer = bench.0.namer().unwrap();
        namer.name(entry);
        namer.count(entry);
        ["named", "shared", "disputed", "unknown"].map(|row| bench.row(row))
    };
    assert_eq!(count(&["a"]), [2, 0, 0, 0]);
    assert_eq!(count(&["node:n"]), [0, 2, 0, 0]);
    assert_eq!(count(&[]), [0, 0, 0, 2]);
}
