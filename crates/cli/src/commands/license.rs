//! `kubeshark license`

use std::io::{self, Write};

use crate::{exit::Outcome, settings};

/// Print the license key of the settings; there is nothing to unlock
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: settings::Args,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let settings = args.settings.load()?;
    writeln!(io::stdout(), "{}", settings.text("license").unwrap_or_default())?;
    Ok(())
}
