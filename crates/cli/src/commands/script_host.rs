//! `kubeshark script-host`: the process in which scripts run. A worker or a hub starts it, not a person.

use std::io::{self, Read, Write};

use crate::{
    exit::{Failure, Outcome},
    scripts::Reach,
};

/// Longest script that is checked, in bytes.
const MOST: u64 = 16 << 20;

/// Run scripts for the worker that starts this
#[derive(clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    /// Only say whether the script on standard input can be parsed, and if not, why
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.check {
        return check();
    }
    scripting::serve(args.reach.outlets()?).map_err(|error| Failure::of(&error))
}

fn check() -> Outcome {
    let mut code = String::new();
    io::stdin().take(MOST).read_to_string(&mut code).map_err(|error| Failure::of(&error))?;
    match scripting::check(&code) {
        Ok(()) => Ok(()),
        Err(why) => {
            writeln!(io::stdout(), "{why}")?;
            Err(Failure::Nothing)
        }
    }
}
