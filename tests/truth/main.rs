//! HTTP/1 and DNS of a corpus whose truth others told: every difference is known, and `docs/correctness.md` says of each
//! who is right and why.

mod compare;

use std::{collections::BTreeMap, fmt::Write};

use compare::{Answer, Protocol};
use support::{captures, corpus, engine};

/// The share of transactions that must be right.
const ENOUGH: f64 = 0.995;

/// Of one protocol: as the truth has them, missing, extra; and of the latter two, those where we are right.
#[derive(Clone, Copy, Default)]
struct Total {
    matched: usize,
    differ: usize,
    ours: usize,
}

#[test]
fn the_corpus_reads_as_others_read_it() {
    let Some(folder) = corpus::folder("truth") else { return };
    let mut known = corpus::known(&Protocol::ALL.map(Protocol::name));
    let (mut totals, mut told) = (BTreeMap::<&str, Total>::new(), String::new());
    for (file, truth) in corpus::captures(&folder) {
        let name = captures::name_of(&file);
        let (entries, _, _) = engine::dissect_file(&file);
        for protocol in Protocol::ALL {
            let Some(Answer { matched, missing, extra }) = compare::hold(protocol, &truth, &entries) else {
                continue;
            };
            let total = totals.entry(protocol.name()).or_default();
            total.matched += matched;
            if missing.is_empty() && extra.is_empty() {
                continue;
            }
            total.differ += missing.len() + extra.len();
            match known.iter().position(|it| it.file == name && it.what == protocol.name()) {
                Some(place) if known.remove(place).ours => total.ours += missing.len() + extra.len(),
                Some(_) => {}
                None => {
                    writeln!(told, "{name}: {}\n  missing {missing:?}\n  extra   {extra:?}", protocol.name())
                        .expect("memory");
                }
            }
        }
    }
    let mut transactions = Total::default();
    for (protocol, Total { matched, differ, ours }) in totals {
        println!(
            "{protocol}: {matched} as the truth, {differ} not; in {ours} of these we are right, or as right"
        );
        if protocol != "bodies" {
            transactions.matched += matched + ours;
            transactions.differ += differ - ours;
        }
    }
    let right = transactions.matched as f64 / (transactions.matched + transactions.differ).max(1) as f64;
    println!("HTTP/1, orphaned responses and DNS: {right:.4} right");
    assert!(right >= ENOUGH, "{right:.4} of HTTP/1 and DNS is right");
    assert!(told.is_empty(), "differences that docs/correctness.md does not explain:\n{told}");
    for corpus::Known { file, what, .. } in known {
        assert!(!folder.join(&file).is_file(), "docs/correctness.md explains what is no more: {file} {what}");
    }
}
