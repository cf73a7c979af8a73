//! `ok/*.kfl` beside the tree that each gives, `err/*.kfl` beside the error. `UPDATE_FIXTURES=1` writes them anew.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use kfl::{Filter, Options};
use std::{env, fs, path::Path};

fn each(directory: &str, run: impl Fn(&str) -> String) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(directory);
    let mut queries: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "kfl"))
        .collect();
    queries.sort();
    assert!(queries.len() >= 5, "too few fixtures in {}", directory.display());
    for query in queries {
        let found = run(fs::read_to_string(&query).unwrap().trim_end_matches('\n'));
        let beside = query.with_extension("txt");
        if env::var_os("UPDATE_FIXTURES").is_some() {
            fs::write(&beside, found).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        assert_eq!(found, expected, "{}", query.display());
    }
}

#[test]
fn trees() {
    each("ok", |query| kfl::tree(query).unwrap());
}

#[test]
fn errors() {
    each("err", |query| {
        let error = Filter::new(query, &Options::new(&[("http", "protocol.name == \"http\"")], 0)).err();
        error.unwrap_or_else(|| panic!("accepted: {query}")).render(query) + "\n"
    });
}
