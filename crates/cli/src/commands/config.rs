//! `kubeshark config`

use std::io::{self, Write};

use crate::{exit::Outcome, settings};

const EXAMPLES: &str = "\
Examples:
  kubeshark config                               the settings as `tap` takes them
  kubeshark config --set tap.regex='front.*'     with one laid over
  kubeshark config -r                            write all of them, explained, to ~/.kubeshark/config.yaml

They are read from ./kubeshark.yaml, else from ~/.kubeshark/config.yaml; what these do not say is the chart's own.";

/// Print the settings of a cluster, as YAML
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: settings::Args,
    /// Write the chart's own settings to ~/.kubeshark/config.yaml; a file that is there is kept as config.yaml.old
    #[arg(short, long)]
    regenerate: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut out = io::stdout();
    if args.regenerate {
        let path = settings::regenerate()?;
        writeln!(out, "{}", path.display())?;
        return Ok(());
    }
    out.write_all(scripting::yaml(args.settings.load()?.values()).as_bytes())?;
    Ok(())
}
