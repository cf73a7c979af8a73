//! `kubeshark scripts types`

use std::io::{self, Write};

use crate::exit::Outcome;

pub(super) fn run() -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(scripting::reference::declarations().as_bytes())?;
    Ok(out.flush()?)
}
