use serde_json::json;

use super::*;

fn scripts() -> Scripts {
    let limits =
        Limits { scripts: 3, script_bytes: 100, scripts_bytes: 150, env_bytes: 50, ..Limits::default() };
    Scripts::new(&limits, None, Vec::new())
}

/// The numbers and texts that workers are to run.
fn delivered(scripts: &Scripts) -> Vec<(u32, String)> {
    match scripts.delivery() {
        ToWorker::Scripts { scripts, .. } => {
            scripts.into_iter().map(|script| (script.index, script.code)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn written(name: &str, code: &str) -> Vec<Change> {
    vec![Change::Written { path: name.into(), title: "title".into(), code: code.into() }]
}

fn add(scripts: &Scripts, title: Option<String>, code: String, active: bool) -> Result<u32, ScriptError> {
    scripts.order(Order::Add { title, code, active })
}

#[test]
fn numbers_are_given_once() {
    let scripts = scripts();
    assert_eq!(add(&scripts, None, "// A".into(), true), Ok(0));
    assert_eq!(add(&scripts, Some("B".into()), "1".into(), false), Ok(1));
    scripts.order(Order::Remove(1)).unwrap();
    assert_eq!(add(&scripts, None, "2".into(), true), Ok(2));
    assert_eq!(delivered(&scripts), [(0, "// A".into()), (2, "2".into())]);
    assert_eq!(scripts.list()[&0].title, "A");
    let error = scripts.order(Order::Remove(1)).unwrap_err().to_string();
    assert_eq!(error, "there is no script 1; there are [0, 2]");
}

#[test]
fn an_edit_changes_what_it_names() {
    let scripts = scripts();
    let mut changes = scripts.changes();
    let index = add(&scripts, Some("A".into()), "1".into(), true).unwrap();
    changes.borrow_and_update();
    scripts.order(Order::Edit(index, Edit { active: Some(false), ..Edit::default() })).unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(delivered(&scripts), []);
    assert_eq!(scripts.list()[&index].title, "A");
    scripts
        .order(Order::Edit(index, Edit { code: Some("// C".into()), active: Some(true), title: None }))
        .unwrap();
    assert_eq!(scripts.list()[&index].title, "C");
    assert_eq!(delivered(&scripts), [(index, "// C".into())]);
}

#[test]
fn there_is_room_for_so_much() {
    let scripts = scripts();
    let long = |size: usize| format!("//{}", "x".repeat(size - 2));
    assert!(matches!(
        add(&scripts, None, long(101), true),
        Err(ScriptError::TooLarge { size: 101, most: 100 })
    ));
    let index = add(&scripts, None, long(100), true).unwrap();
    assert!(matches!(
        add(&scripts, None, long(51), true),
        Err(ScriptError::AllTooLarge { size: 151, most: 150 })
    ));
    // Its own old text makes room for the new one.
    scripts.order(Order::Edit(index, Edit { code: Some(long(99)), ..Edit::default() })).unwrap();
    add(&scripts, None, "1".into(), true).unwrap();
    add(&scripts, None, "1".into(), true).unwrap();
    assert_eq!(add(&scripts, None, "1".into(), true), Err(ScriptError::TooMany(3)));
    let Ok(env) = serde_json::from_value(json!({ "A": "x".repeat(60) })) else { panic!() };
    assert!(matches!(scripts.set_env(env), Err(ScriptError::EnvTooLarge { .. })));
}

#[test]
fn what_does_not_fit_leaves_the_last_good_text() {
    let scripts = scripts();
    let long = "x".repeat(101);
    scripts.apply(written("x/a.js", &long));
    assert_eq!(delivered(&scripts), []);
    scripts.apply(written("x/a.js", "1"));
    scripts.apply(written("x/a.js", &long));
    assert_eq!(delivered(&scripts), [(0, "1".into())]);
    assert!(scripts.list()[&0].error.is_some());
    let lines = scripts.console.read(0).texts;
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.starts_with("[hub:ERROR] x/a.js: ")), "{lines:?}");
    scripts.apply(written("x/a.js", "2"));
    assert_eq!(scripts.list()[&0].error, None);
}

#[test]
fn files_come_move_and_go() {
    let scripts = scripts();
    scripts.apply(written("x/a.js", "1"));
    scripts.apply(written("x/b.js", "2"));
    scripts.apply(vec![Change::Moved { from: "x/a.js".into(), to: "x/c.js".into() }]);
    scripts.apply(vec![Change::Removed("x/b.js".into())]);
    assert_eq!(delivered(&scripts), [(0, "1".into())]);
    scripts.apply(written("x/c.js", "3"));
    assert_eq!(delivered(&scripts), [(0, "3".into())]);
    assert_eq!(scripts.list()[&0].path.as_deref(), Some(Path::new("x/c.js")));
    let Ok(env) = serde_json::from_value(json!({ "A": 1 })) else { panic!() };
    scripts.apply(vec![Change::Env(env)]);
    assert_eq!(scripts.names(), ["A"]);
}

#[test]
fn a_release_keeps_scripts_and_says_which_run() {
    let scripts = Scripts::new(&Limits::default(), None, Vec::new());
    let written = |code: &str| Written { title: String::new(), code: code.into(), active: true };
    let released = |all: &[(u32, &str)], titles: &[&str]| Released {
        scripts: all.iter().map(|(index, code)| (*index, written(code))).collect(),
        enabled: true,
        titles: titles.iter().map(|title| (*title).to_owned()).collect(),
    };
    let running = || match scripts.delivery() {
        ToWorker::Scripts { scripts, .. } => {
            scripts.iter().map(|script| (script.index, script.title.clone())).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let first = released(&[(1, "// one"), (4, "// four")], &[]);
    scripts.release(first.clone());
    assert_eq!(running(), [(1, "one".into()), (4, "four".into())]);
    // A request is tried on what the release says, and nothing is changed yet.
    let order = Order::Add { title: None, code: "// five".into(), active: true };
    let (index, second) = scripts.rehearse(&first, order).unwrap();
    assert_eq!((index, running().len(), second.scripts.len()), (5, 2, 3));
    assert!(matches!(scripts.rehearse(&first, Order::Remove(2)), Err(ScriptError::Unknown { index: 2, .. })));
    scripts.release(second);
    assert_eq!(running().len(), 3);
    // Another hub removed two, and somebody chose by titles.
    scripts.release(released(&[(4, "// four"), (5, "// five")], &["iv"]));
    assert_eq!(running(), [(5, "five".into())]);
    scripts.release(Released { enabled: false, ..released(&[(4, "// four")], &[]) });
    assert_eq!(running(), []);
    // Its number is not given again as long as this hub runs.
    let order = Order::Add { title: None, code: "1".into(), active: true };
    assert_eq!(scripts.rehearse(&first, order).unwrap().0, 6);
}
