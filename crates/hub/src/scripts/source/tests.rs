use std::{env, process};

use super::*;

/// A folder that is removed with its value.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("kubeshark-hub-source-{}-{name}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn config(&self) -> SourceConfig {
        SourceConfig { folders: vec![self.0.clone()], ..SourceConfig::default() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What changed, in short.
fn told(changes: Vec<Change>) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    changes
        .into_iter()
        .map(|change| match change {
            Change::Written { path, title, code } => format!("written {} {title:?} {code:?}", name(&path)),
            Change::Moved { from, to } => format!("moved {} {}", name(&from), name(&to)),
            Change::Removed(path) => format!("removed {}", name(&path)),
            Change::Env(env) => format!("env {}", Value::Object(env)),
            Change::Unreadable(error) => format!("unreadable {error}"),
        })
        .collect()
}

#[test]
fn a_folder_is_followed() {
    let place = Place::new("followed");
    place.write("b.js", "// Second\n1");
    place.write("a.js", "1");
    for ignored in [".a.js.swp", ".#a.js", "#a.js#", "a.js~", "notes.txt"] {
        place.write(ignored, "not a script");
    }
    fs::create_dir_all(place.0.join("below.js")).unwrap();
    let (mut sources, changes) = Sources::open(place.config()).unwrap();
    assert_eq!(
        told(changes),
        ["env {}", "written a.js \"a\" \"1\"", "written b.js \"Second\" \"// Second\\n1\""]
    );
    assert!(sources.look().is_empty());

    // A change counts when it has stood still from one look to the next.
    place.write("a.js", "22");
    assert!(sources.look().is_empty());
    place.write("a.js", "333");
    assert!(sources.look().is_empty());
    assert_eq!(told(sources.look()), ["written a.js \"a\" \"333\""]);
    assert!(sources.look().is_empty());

    // Editors write beside it and rename.
    let beside = place.write(".a.js.new", "4444");
    fs::rename(beside, place.0.join("a.js")).unwrap();
    assert!(sources.look().is_empty());
    assert_eq!(told(sources.look()), ["written a.js \"a\" \"4444\""]);

    // Removed and written anew between two looks is no removal.
    fs::remove_file(place.0.join("b.js")).unwrap();
    assert!(sources.look().is_empty());
    place.write("b.js", "// Second\n1");
    assert!(sources.look().is_empty());
    assert!(sources.look().is_empty());

    fs::rename(place.0.join("b.js"), place.0.join("c.js")).unwrap();
    assert!(sources.look().is_empty());
    assert_eq!(told(sources.look()), ["moved b.js c.js"]);

    fs::remove_file(place.0.join("c.js")).unwrap();
    assert!(sources.look().is_empty());
    assert_eq!(told(sources.look()), ["removed c.js"]);
    assert!(sources.look().is_empty());
}

#[test]
fn scripts_stay_when_their_folder_is_out_of_sight() {
    let place = Place::new("sight");
    place.write("a.js", "1");
    let (mut sources, _) = Sources::open(place.config()).unwrap();
    let away = place.0.with_extension("away");
    fs::rename(&place.0, &away).unwrap();
    let first = told(sources.look());
    assert_eq!(first.len(), 1);
    assert!(first[0].starts_with("unreadable") && first[0].contains("stay as they are"), "{first:?}");
    assert!(sources.look().is_empty() && sources.look().is_empty(), "once is enough");
    fs::rename(&away, &place.0).unwrap();
    assert!(sources.look().is_empty() && sources.look().is_empty());
}

#[test]
fn variables_come_from_a_file_and_from_the_command_line() {
    let place = Place::new("env");
    let file = place.write("env.json", r#"{"A": 1, "B": 2}"#);
    let config = SourceConfig {
        folders: Vec::new(),
        env: vec![("B".into(), "mine".into())],
        env_file: Some(file.clone()),
    };
    let (mut sources, changes) = Sources::open(config.clone()).unwrap();
    assert_eq!(told(changes), [r#"env {"A":1,"B":"mine"}"#]);
    fs::write(&file, "C=3\nD=4").unwrap();
    assert!(sources.look().is_empty());
    assert_eq!(told(sources.look()), [r#"env {"B":"mine","C":"3","D":"4"}"#]);
    fs::write(&file, "oops").unwrap();
    assert!(sources.look().is_empty());
    let told = told(sources.look());
    assert!(told[0].contains("env.json") && told[0].contains("line 1"), "{told:?}");
    assert!(matches!(Sources::open(config), Err(SourceError::Env { .. })), "at the start it is an error");
    let nowhere = SourceConfig { folders: vec![place.0.join("nowhere")], ..SourceConfig::default() };
    let error = Sources::open(nowhere).unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
}
