//! The list of fields that ships with crate `api` is what the entries of all golden captures can have.

use std::{collections::BTreeSet, env, fs, sync::Arc};

use api::{
    Mechanism, Named, Somebody,
    messages::{Identity, IdentityKind, Owner, PodRef},
};
use kfl::Schema;

/// No capture has names: those of a cluster are added here.
const HEADER: &str = "\
# Every path of an entry; made by tests/kfl/schema.rs from the golden captures (UPDATE_GOLDEN=1), not by hand.
# `*` is any name, `[]` the items of a list, and of what stands before a `?` nobody knows yet what lies below.
";

#[test]
fn the_list_of_fields_is_that_of_the_entries() {
    let mut paths = BTreeSet::new();
    for case in support::captures::all() {
        for entry in super::entries(&case.name) {
            Schema::learn(&mut paths, &entry);
        }
    }
    named(&mut paths);
    let learnt = paths.iter().fold(HEADER.to_owned(), |text, path| text + path + "\n");
    let file = support::root().join("crates/api/src/fields.txt");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &learnt).unwrap();
    }
    assert_eq!(fs::read_to_string(file).unwrap(), learnt, "UPDATE_GOLDEN=1 rewrites it");
}

/// Learns the ends of entries in a cluster.
fn named(paths: &mut BTreeSet<String>) {
    let pod = PodRef {
        name: "front-0".into(),
        uid: "1".into(),
        labels: [("app".to_owned(), "front".to_owned())].into(),
        owner: Some(Owner { kind: "StatefulSet".into(), name: "front".into() }),
        node: "node-1".into(),
        host_network: false,
    };
    let identity = Identity {
        kind: IdentityKind::Pod,
        name: "front-0".into(),
        namespace: "shop".into(),
        pod: Some(pod),
        service: Some("front".into()),
        endpoint_slice: Some("front-x".into()),
    };
    let named = Named { who: Arc::new(Somebody::new(identity)), by: Mechanism::Shared };
    let mut entry = super::entries("demo").remove(0);
    entry.src.named = Some(named.clone());
    entry.dst.named = Some(named);
    Schema::learn(paths, &entry);
}

#[test]
fn a_field_that_no_entry_has_is_told_with_its_nearest_neighbour() {
    let warnings = |query: &str| -> Vec<String> {
        let found = kfl::explain(query, &api::explaining(0)).unwrap();
        found.warnings.iter().map(|warning| warning.render(query)).collect()
    };
    for (query, expected) in [
        (
            "response.staus == 500",
            "1:1: no entry has a field `response.staus`\n1 | response.staus == 500\n  | ^^^^^^^^^^^^^^\nhelp: did you mean `response.status`?",
        ),
        (
            "status == 500",
            "1:1: no entry has a field `status`\n1 | status == 500\n  | ^^^^^^\nhelp: did you mean `response.status`?",
        ),
        (
            "status_code == 500",
            "1:1: no entry has a field `status_code`\n1 | status_code == 500\n  | ^^^^^^^^^^^\nhelp: in KFL2 it is a name of `response.status`; write that",
        ),
        (
            "redact(\"request.header\")",
            "1:8: no entry has a field at this path, so it hides nothing\n1 | redact(\"request.header\")\n  |        ^^^^^^^^^^^^^^^^\nhelp: did you mean `request.headers`?",
        ),
    ] {
        assert_eq!(warnings(query), [expected], "{query}");
    }
    for query in [
        "http and response.status == 500",
        "request.headers[\"X-Any\"] == \"a\"",
        "src.pod.metadata.name == \"x\"",
        "dst.pod.metadata.labels[\"app\"] == \"x\" and src.pod.spec.nodeName == \"x\" and dst.ambiguous",
        "dst.service.metadata.name == \"x\" and dst.endpointSlice.metadata.namespace == \"x\"",
        "src.workload.kind == \"x\" and src.node.name == \"x\" and src.resolutionMechanism == \"ip\"",
        "request.questions[0].name == \"x\"",
        "request.questions.*.name == \"x\"",
        "src..name == \"x\"",
        "response.content.text.json().a.b == 1",
        "dns and error and timestamp > minutes(-5) and now() > 1",
        "redact(\"request.headers['Cookie']\", \"..password\", \"request.postData.text.json().a\")",
    ] {
        assert!(warnings(query).is_empty(), "{query}: {:?}", warnings(query));
    }
}

/// Every variable of KFL2 reads fields that entries have, and every macro too.
#[test]
fn variables_and_macros_read_real_fields() {
    for variable in api::VARIABLES {
        let queries: Vec<String> = match variable.source {
            kfl::Source::Paths(paths) => paths.iter().map(|path| (*path).to_owned()).collect(),
            kfl::Source::Times(path, _) => vec![path.to_owned()],
            kfl::Source::Query(query) => vec![query.to_owned()],
        };
        for query in queries.iter().map(String::as_str) {
            let found = kfl::explain(query, &kfl::Options { macros: &[], ..api::explaining(0) }).unwrap();
            let unknown: Vec<_> =
                found.warnings.iter().filter(|warning| warning.message().starts_with("no entry")).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}", variable.name);
        }
    }
    for (word, query) in api::MACROS {
        let found = kfl::explain(query, &kfl::Options { macros: &[], ..api::explaining(0) }).unwrap();
        assert!(found.warnings.iter().all(|warning| !warning.message().starts_with("no entry")), "{word}");
    }
}
