//! Every capture gives its entries, with any number of threads. `UPDATE_GOLDEN=1` writes what it gives now.

use std::{env, fs};

use support::{captures, engine};

fn entries(input: &std::path::Path, threads: usize) -> String {
    let (printed, _, result) = engine::print(input, "", threads);
    result.unwrap_or_else(|error| panic!("{}: {error}", input.display()));
    printed
}

#[test]
fn captures_give_their_entries() {
    let mut faults = Vec::new();
    for case in captures::all() {
        let input = case.input().expect("a capture");
        let given = entries(&input, 1);
        for threads in [2, 3] {
            assert_eq!(
                entries(&input, threads),
                given,
                "{}: {threads} threads give something else",
                case.name
            );
        }
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(case.entries(), &given).expect("a writable checkout");
        }
        let expected = fs::read_to_string(case.entries()).unwrap_or_default();
        if expected != given {
            faults.push(difference(&case.name, &expected, &given));
        }
    }
    assert!(faults.is_empty(), "{}\nIf that is meant, run again with UPDATE_GOLDEN=1.", faults.join("\n"));
}

/// The first line that differs.
fn difference(name: &str, expected: &str, given: &str) -> String {
    let (mut expected, mut given) = (expected.lines(), given.lines());
    for line in 1.. {
        match (expected.next(), given.next()) {
            (None, None) => break,
            (expected, given) if expected != given => {
                return format!(
                    "{name}, line {line}:\n  expected {}\n  given    {}",
                    expected.unwrap_or("the end"),
                    given.unwrap_or("the end")
                );
            }
            _ => {}
        }
    }
    format!("{name}: line ends differ")
}
