//! `kubeshark script-host`: the process in which scripts run. A worker or a hub starts it, not a person.

use std::{
    env,
    io::{self, Read, Write},
};

use outlets::{Endpoints, Outlets};

use crate::exit::{Failure, Outcome};

/// Longest script that is checked, in bytes.
const MOST: u64 = 16 << 20;

/// Run scripts for the worker that starts this
#[derive(clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    /// Only say whether the script on standard input can be parsed, and if not, why
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.check {
        return check();
    }
    let endpoints = Endpoints::from_vars(|name| env::var(name).ok());
    let config = outlets::Config { endpoints, ..outlets::Config::default() };
    let outlets = Outlets::new(config).map_err(|error| Failure::of(&error))?;
    scripting::serve(outlets).map_err(|error| Failure::of(&error))
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
