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

#[test]
fn numbers_are_given_once() {
    let scripts = scripts();
    assert_eq!(scripts.add(None, "// A".into(), true), Ok(0));
    assert_eq!(scripts.add(Some("B".into()), "1".into(), false), Ok(1));
    scripts.remove(1).unwrap();
    assert_eq!(scripts.add(None, "2".into(), true), Ok(2));
    assert_eq!(delivered(&scripts), [(0, "// A".into()), (2, "2".into())]);
    assert_eq!(scripts.list()[&0].title, "A");
    let error = scripts.remove(1).unwrap_err().to_string();
    assert_eq!(error, "there is no script 1; there are [0, 2]");
}

#[test]
fn an_edit_changes_what_it_names() {
    let scripts = scripts();
    let mut changes = scripts.changes();
    let index = scripts.add(Some("A".into()), "1".into(), true).unwrap();
    changes.borrow_and_update();
    scripts.edit(index, Edit { active: Some(false), ..Edit::default() }).unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(delivered(&scripts), []);
    assert_eq!(scripts.list()[&index].title, "A");
    scripts.edit(index, Edit { code: Some("// C".into()), active: Some(true), title: None }).unwrap();
    assert_eq!(scripts.list()[&index].title, "C");
    assert_eq!(delivered(&scripts), [(index, "// C".into())]);
}

#[test]
fn there_is_room_for_so_much() {
    let scripts = scripts();
    let long = |size: usize| format!("//{}", "x".repeat(size - 2));
    assert!(matches!(
        scripts.add(None, long(101), true),
        Err(ScriptError::TooLarge { size: 101, most: 100 })
    ));
    let index = scripts.add(None, long(100), true).unwrap();
    assert!(matches!(
        scripts.add(None, long(51), true),
        Err(ScriptError::AllTooLarge { size: 151, most: 150 })
    ));
    // Its own old text makes room for the new one.
    scripts.edit(index, Edit { code: Some(long(99)), ..Edit::default() }).unwrap();
    scripts.add(None, "1".into(), true).unwrap();
    scripts.add(None, "1".into(), true).unwrap();
    assert_eq!(scripts.add(None, "1".into(), true), Err(ScriptError::TooMany(3)));
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
