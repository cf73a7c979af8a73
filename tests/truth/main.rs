//! HTTP/1 and DNS of a corpus whose truth others told: every difference is known, and `docs/correctness.md` says of each
//! who is right and why.

mod compare;

use std::{collections::BTreeMap, fmt::Write};

use compare::{Answer, Protocol};
use support::{captures, corpus, engine};

/// Differences that are understood: the file, and what is compared. `docs/correctness.md` lists the same.
fn known() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(support::root().join("docs/correctness.md")).expect("docs/correctness.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let name = |row: &str| {
        let (file, rest) = row.split_once("` | ")?;
        let (what, _) = rest.split_once(" |")?;
        Some((file.to_owned(), what.to_owned()))
    };
    rows.filter_map(name).collect()
}

/// The share of transactions that must be right.
const ENOUGH: f64 = 0.995;

#[test]
fn the_corpus_reads_as_others_read_it() {
    let Some(folder) = corpus::folder("truth") else { return };
    let mut known = known();
    let (mut totals, mut told) = (BTreeMap::<&str, [usize; 4]>::new(), String::new());
    for (file, truth) in corpus::captures(&folder) {
        let name = captures::name_of(&file);
        let (entries, _, _) = engine::dissect_file(&file);
        for protocol in Protocol::ALL {
            let Some(Answer { matched, missing, extra }) = compare::hold(protocol, &truth, &entries) else { continue };
            let total = totals.entry(protocol.name()).or_default();
            let place = known.iter().position(|it| it.0 == name && it.1 == protocol.name());
            total[0] += matched;
            if missing.is_empty() && extra.is_empty() {
                continue;
            }
            total[1] += missing.len();
            total[2] += extra.len();
            match place {
                Some(place) => {
                    total[3] += missing.len().max(extra.len());
                    known.remove(place);
                }
                None => writeln!(told, "{name}: {}\n  missing {missing:?}\n  extra   {extra:?}", protocol.name())
                    .expect("memory"),
            }
        }
    }
    for (protocol, [matched, missing, extra, explained]) in &totals {
        let score = (matched + explained) as f64 / (matched + explained.max(missing).max(extra)).max(1) as f64;
        println!(
            "{protocol}: {matched} as the truth, {missing} missing and {extra} extra, {explained} of them explained: {score:.4}"
        );
        if score < ENOUGH {
            writeln!(told, "{protocol}: {score:.4} is less than {ENOUGH}").expect("memory");
        }
    }
    assert!(told.is_empty(), "differences that docs/correctness.md does not explain:\n{told}");
    assert!(known.is_empty(), "docs/correctness.md explains differences that are no more: {known:?}");
}
