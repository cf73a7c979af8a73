//! Captures of the world, where there are some, and damaged ones: none may crash the program or keep it busy.

use std::{env, fs, path::Path, process::Command, time::Duration};

use support::{Scratch, corpus, mutate, program};

/// No capture may take longer.
const LIMIT: Duration = Duration::from_secs(10);

/// The program reads it, or says why it can't.
fn survives(file: &Path) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubeshark"));
    let ran = program::run(command.arg("dissect").arg(file), b"", LIMIT);
    match ran.code {
        Some(0) => Ok(()),
        Some(1) if ran.stderr.contains("error: ") => Ok(()),
        code => Err(format!("exit code {code:?}: {}", ran.stderr)),
    }
}

#[test]
fn every_capture_is_survived() {
    let Some(folder) = corpus::folder("survival") else { return };
    let found = corpus::all(&folder);
    let faults: Vec<_> = found.iter().filter_map(|file| Some((file, survives(file).err()?))).collect();
    println!("{} captures", found.len());
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_damaged_capture_is_survived() {
    let scratch = Scratch::new();
    let n = mutate::captures("survival of damage", &|name, capture| {
        let file = scratch.file(&name.replace('/', "_"), capture);
        if let Err(fault) = survives(&file) {
            let kept = env::temp_dir().join("kubeshark-damaged.pcap");
            fs::copy(&file, &kept).expect("room for a temporary file");
            panic!("{name}, kept as {}: {fault}", kept.display());
        }
        fs::remove_file(file).expect("our own file");
    });
    println!("{n} damaged captures");
}
