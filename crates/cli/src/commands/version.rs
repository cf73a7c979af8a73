//! `kubeshark version`

use std::io::{self, Write};

use crate::exit::Outcome;

/// Print the version
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> Outcome {
    writeln!(io::stdout(), "kubeshark {}", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}
