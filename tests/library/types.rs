//! `kubeshark.d.ts`: what the program prints, and that the library keeps to it.

use std::{env, fs, path::PathBuf, process::Command, time::Duration};

use support::{
    Scratch,
    program::{self, Ran},
};

use crate::{kubeshark, script};

#[test]
fn the_program_prints_what_lies_beside_the_scripts() {
    let ran =
        program::run(Command::new(kubeshark()).args(["scripts", "types"]), b"", Duration::from_secs(30));
    assert_eq!(ran.code, Some(0));
    let there = fs::read_to_string(script("kubeshark.d.ts")).expect("a file");
    assert!(
        String::from_utf8_lossy(&ran.stdout) == there,
        "kubeshark scripts types > scripts/kubeshark.d.ts"
    );
}

/// TypeScript's compiler over a folder with a `tsconfig.json`; nothing, and a note, where it is missing.
fn checked(folder: &std::path::Path) -> Option<Ran> {
    let tsc = env::var_os("KUBESHARK_TSC").map(PathBuf::from).filter(|path| path.is_file());
    let Some(tsc) = tsc else {
        program::missing(
            "types of scripts: not checked (KUBESHARK_TSC names no program; `make test` installs one where npm is)",
        );
        return None;
    };
    Some(program::run(Command::new(tsc).arg("-p").arg(folder), b"", Duration::from_mins(1)))
}

#[test]
fn scripts_keep_to_the_types() {
    let Some(ran) = checked(&support::root().join("scripts")) else { return };
    assert_eq!(ran.code, Some(0), "{}", String::from_utf8_lossy(&ran.stdout));
    let wrong = Scratch::new();
    for name in ["kubeshark.d.ts", "tsconfig.json"] {
        wrong.file(name, &fs::read(script(name)).expect("a file"));
    }
    let code = "/** @param {Item} data */\nfunction onItemCaptured(data) { vendor.slack(data.strem); }\n";
    wrong.file("wrong.js", code.as_bytes());
    let ran = checked(wrong.path()).expect("a compiler");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_ne!(ran.code, Some(0), "{said}");
    assert!(said.contains("'strem' does not exist") && said.contains("wrong.js(2,"), "{said}");
}
