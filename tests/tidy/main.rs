//! The order of the house: which crate may use which, and that nothing lies about alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use support::captures::{self, Case, files, name_of};

/// A crate uses crates of lower levels only. Those that are not built yet have their place already.
const LEVELS: &[(&str, u8)] = &[
    ("kfl", 0),
    ("flow", 0),
    ("api", 1),
    ("outlets", 1),
    ("dissect", 2),
    ("web", 2),
    ("scripting", 2),
    ("worker", 3),
    ("hub", 3),
    ("cli", 4),
];

/// They stay free of sockets, clocks and threads.
const PURE: &[&str] = &["kfl", "flow", "api", "dissect"];

fn level(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names under every `[dependencies]`, `[build-dependencies]` and their like of a manifest.
fn dependencies(manifest: &str, with_dev: bool) -> Vec<String> {
    let mut names = Vec::new();
    let mut reading = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let section = section.rsplit('.').next().unwrap_or(section);
            reading = section.ends_with("dependencies") && (with_dev || section != "dev-dependencies");
        } else if reading && let Some((key, _)) = line.split_once('=') {
            names.push(key.trim().split('.').next().unwrap_or(key).to_owned());
        }
    }
    names
}

fn crates() -> Vec<(String, String)> {
    let directories = files(&support::root().join("crates")).into_iter().filter(|path| path.is_dir());
    directories.map(|directory| (name_of(&directory), read(&directory.join("Cargo.toml")))).collect()
}

#[test]
fn arrows_point_down() {
    let crates = crates();
    assert!(crates.len() >= 8, "where are the crates?");
    for (name, manifest) in &crates {
        let own = level(name).unwrap_or_else(|| panic!("crates/{name} has no level"));
        for used in dependencies(manifest, false) {
            let Some(other) = level(&used) else { continue };
            assert!(other < own, "{name} (level {own}) must not use {used} (level {other})");
        }
    }
}

#[test]
fn pure_crates_have_no_runtime() {
    for (name, manifest) in crates().iter().filter(|(name, _)| PURE.contains(&name.as_str())) {
        for banned in ["tokio", "axum", "pcap", "mio"] {
            assert!(
                !dependencies(manifest, true).iter().any(|used| used == banned),
                "{name} must not use {banned}"
            );
        }
    }
}

#[test]
fn manifests_are_read_as_cargo_reads_them() {
    let manifest = "[dependencies]\na.workspace = true\nb = \"1\"\n[features]\nc = []\n[dev-dependencies]\nd = { path = \"x\" }\n[target.'cfg(unix)'.dependencies]\ne = \"1\"\n";
    assert_eq!(dependencies(manifest, false), ["a", "b", "e"]);
    assert_eq!(dependencies(manifest, true), ["a", "b", "d", "e"]);
}

/// The names of every protocol in a document of the project.
fn documents() -> String {
    files(&support::root().join("docs"))
        .iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
        .map(|path| read(path))
        .collect()
}

#[test]
fn every_protocol_is_whole() {
    let source = support::root().join("crates/dissect/src");
    let library = read(&source.join("lib.rs"));
    let table =
        library.split("DISSECTORS").last().and_then(|rest| rest.split("];").next()).unwrap_or_default();
    let documents = documents();
    let seen = protocols_in_captures();
    // What the protocols share has directories too, which declare no protocol.
    let is_protocol = |path: &PathBuf| path.is_dir() && read(&path.join("mod.rs")).contains("SPEC: Spec");
    let protocols: Vec<_> = files(&source).into_iter().filter(is_protocol).collect();
    assert!(protocols.len() >= 2, "where are the protocols?");
    assert_eq!(dissect::DISSECTORS.len(), protocols.len(), "one row of DISSECTORS per directory");
    for directory in protocols {
        let name = name_of(&directory);
        assert!(
            library.contains(&format!("{name}::SPEC")) && !table.is_empty(),
            "{name} is not in DISSECTORS"
        );
        let tests = ["tests.rs", "tests/mod.rs"].map(|file| directory.join(file));
        assert!(tests.iter().any(|file| file.is_file()), "{name} has no tests.rs");
        assert!(documents.contains(&name), "{name} has no line in docs/");
        let spoken = name.trim_end_matches(|c: char| c.is_ascii_digit());
        assert!(seen.contains(spoken), "no capture speaks {name}");
    }
}

/// `protocol.name` of every entry that the captures give.
fn protocols_in_captures() -> BTreeSet<String> {
    let entries: Vec<String> = captures::all().iter().map(|case| read(&case.entries())).collect();
    let entries = entries.iter().flat_map(|text| text.lines());
    entries
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an entry"))
        .filter_map(|entry| entry["protocol"]["name"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn no_orphan_fixtures() {
    let cases = captures::all();
    assert!(cases.len() >= 10, "where are the captures?");
    for Case { name, directory } in &cases {
        let held: BTreeSet<_> = files(directory).iter().map(|path| name_of(path)).collect();
        let input = Case::named(name).input().unwrap_or_else(|| panic!("{name} needs one capture"));
        let expected = BTreeSet::from(["README.md".to_owned(), "entries.json".to_owned(), name_of(&input)]);
        assert_eq!(held, expected, "{name}");
        let readme = read(&directory.join("README.md"));
        for part in ["Purpose", "Origin", "Licence"] {
            assert!(readme.contains(part), "{name}/README.md does not tell its {part}");
        }
        assert!(fs::metadata(&input).expect("a file").len() < 100_000, "{name} is too large for a checkout");
    }
}

/// The bounds of a struct as `Debug` prints it, `name: value` with a dot between the levels.
fn bounds(printed: &str, prefix: &str, out: &mut BTreeMap<String, String>) {
    let inner = printed.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).expect("a struct").0;
    let mut rest = inner.trim();
    while let Some((name, after)) = rest.split_once(": ") {
        let mut depth = 0;
        let end = after.find(|c| {
            depth += i32::from(matches!(c, '{' | '(')) - i32::from(matches!(c, '}' | ')'));
            depth == 0 && c == ','
        });
        let (value, more) = end.map_or((after, ""), |end| (&after[..end], &after[end + 1..]));
        let name = format!("{prefix}{}", name.trim());
        if value.contains('{') {
            bounds(value, &format!("{name}."), out);
        } else {
            let values = value.trim_matches(['(', ')']).split(", ").map(plain);
            out.insert(name, values.collect::<Vec<_>>().join(", "));
        }
        rest = more.trim();
    }
}

/// A number, or a time in milliseconds, whatever its unit: `4 KiB`, `4,096` and `4096` are the same.
fn plain(text: &str) -> String {
    let text = text.trim().replace(',', "");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().unwrap_or_else(|_| panic!("{text:?} is no number"));
    match text[end..].trim() {
        "" => format!("{number}"),
        "KiB" => format!("{}", number * 1024.0),
        "MiB" => format!("{}", number * 1024.0 * 1024.0),
        "GiB" => format!("{}", number * 1024.0 * 1024.0 * 1024.0),
        "ms" => format!("{number} ms"),
        "s" => format!("{} ms", number * 1000.0),
        unit => panic!("{text:?}: what is {unit:?}?"),
    }
}

/// The first two cells of the rows of a table that follow a line with `heading`.
fn table(document: &str, heading: &str) -> Vec<(String, String)> {
    let (_, section) = document.split_once(heading).unwrap_or_else(|| panic!("no {heading}"));
    let rows = section.lines().skip_while(|line| !line.starts_with("| `"));
    let cells = |row: &str| {
        let mut cells = row.split(" | ").map(|cell| cell.trim_matches(['|', ' ']).to_owned());
        Some((cells.next()?, cells.next()?))
    };
    rows.take_while(|line| line.starts_with('|')).filter_map(cells).collect()
}

#[test]
fn limits_are_documented_as_they_are() {
    let document = read(&support::root().join("docs/limits.md"));
    for (name, printed) in [
        ("flow::Limits", format!("{:?}", flow::Limits::default())),
        ("dissect::Limits", format!("{:?}", dissect::Limits::default())),
        ("worker::StoreLimits", format!("{:?}", worker::StoreLimits::default())),
        ("worker::PacketLimits", format!("{:?}", worker::PacketLimits::default())),
        ("worker::NameLimits", format!("{:?}", worker::NameLimits::default())),
        ("scripting::Options", format!("{:?}", scripting::Options::default())),
        ("hub::Limits", format!("{:?}", hub::Limits::default())),
    ] {
        let mut are = BTreeMap::new();
        bounds(&printed, "", &mut are);
        assert!(are.len() >= 2, "{printed}");
        let heading = format!("`{name}`");
        let told: BTreeMap<_, _> = table(&document, &heading)
            .into_iter()
            .map(|(limit, value)| {
                let values: Vec<_> = value.split(", ").map(plain).collect();
                (limit.trim_matches('`').to_owned(), values.join(", "))
            })
            .collect();
        assert_eq!(told, are, "docs/limits.md, {heading}");
    }
}

#[test]
fn fixed_sizes_are_documented_as_they_are() {
    let document = read(&support::root().join("docs/limits.md"));
    let rows = table(&document, "## Fixed sizes");
    assert!(rows.len() > 10, "{rows:?}");
    for (what, value) in rows {
        let (name, file) = what.split_once(" in ").unwrap_or_else(|| panic!("{what}: in which file?"));
        let [name, file, value] = [name, file, &value].map(|cell| cell.trim_matches('`'));
        let source = read(&support::root().join(file));
        let is = source.lines().find_map(|line| {
            let (_, rest) = line.split_once(&format!("const {name}: "))?;
            rest.split_once(" = ")?.1.strip_suffix(';')
        });
        assert_eq!(is, Some(value), "{name} in {file}");
    }
}

#[test]
fn limits_are_shown_by_rows_that_exist() {
    let document = read(&support::root().join("docs/limits.md"));
    let mut rows = BTreeSet::new();
    worker::Ledger::default().each(&mut |stage, row, _| {
        rows.insert(format!("{stage}.{row}"));
    });
    let stages: BTreeSet<_> =
        rows.iter().filter_map(|row| row.split('.').next().map(str::to_owned)).collect();
    let named = document.split('`').skip(1).step_by(2).filter(|word| {
        word.split_once('.')
            .is_some_and(|(stage, row)| stages.contains(stage) && !row.contains(['/', ' ', '.']))
    });
    let named: Vec<_> = named.collect();
    assert!(named.len() > 20, "{named:?}");
    for word in named {
        assert!(rows.contains(word), "docs/limits.md names {word}, which is no row of the ledger");
    }
}
