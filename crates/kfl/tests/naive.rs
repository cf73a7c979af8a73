//! The compiled filter against the plainest evaluator of the language: the same answer for every query and record.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod evaluator;

use evaluator::{Query, matches, typed};
use kfl::{Filter, Options};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4_i64).prop_map(Value::from),
        prop::sample::select(&[0.5, 1.0, 2.5]).prop_map(Value::from),
        "[a-b0-2]{0,2}".prop_map(Value::from),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let inner = scalar().prop_recursive(3, 24, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    });
    prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|fields| json!(fields))
}

fn steps() -> impl Strategy<Value = Vec<String>> {
    ("[a-c]", vec(prop_oneof![3 => "[a-c]", 1 => Just("*".to_owned())], 0..3))
        .prop_map(|(first, rest)| [vec![first], rest].concat())
}

fn query() -> impl Strategy<Value = Query> {
    let leaf = prop_oneof![
        1 => scalar().prop_map(Query::Literal),
        3 => steps().prop_map(Query::Path),
        1 => (steps(), "[a-b0-2]{0,1}").prop_map(|(steps, part)| Query::Contains(steps, part)),
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        let group = |query| Box::new(Query::Group(Box::new(query)));
        // A bare operand now and then, so that a missing field can reach further than its own comparison.
        let side = prop_oneof![
            steps().prop_map(|steps| Box::new(Query::Path(steps))),
            inner.clone().prop_map(group)
        ];
        let operator = prop::sample::select(&["==", "!=", "<", "<=", ">", ">="]);
        let compare = prop_oneof![
            (side.clone(), operator, scalar().prop_map(|literal| Box::new(Query::Literal(literal))))
                .prop_map(|(left, operator, right)| Query::Compare(left, operator, right)),
            (side.clone(), prop::sample::select(&["==", "!=", "<", ">="]), side.clone())
                .prop_map(|(left, operator, right)| Query::Compare(left, operator, right)),
            (side.clone(), "[ab]?[01]?").prop_map(|(side, pattern)| Query::Matches(side, pattern)),
        ];
        let term = prop_oneof![compare.clone(), side.clone().prop_map(Query::Not), side.prop_map(|q| *q)];
        let and = vec(term.clone(), 2..4).prop_map(Query::And);
        prop_oneof![compare, and.clone(), vec(prop_oneof![and, term], 2..4).prop_map(Query::Or)]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn same_answer(query in query(), record in document()) {
        let text = typed(&query);
        let filter = Filter::new(&text, &Options::new(&[], 0)).unwrap();
        let expected = matches(&query, &record);
        prop_assert_eq!(filter.matches(&record), expected, "{} on {}", text, record);
    }
}
