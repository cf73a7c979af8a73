//! `kubeshark completions`

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::exit::Outcome;

/// Print the completions of a shell
///
/// For bash: kubeshark completions bash > ~/.local/share/bash-completion/completions/kubeshark
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Whose completions
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Outcome {
    // By way of memory: clap_complete panics when it can't write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Args::command(), "kubeshark", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}
