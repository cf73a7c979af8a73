//! `kubeshark scripts`: delivers a folder to a hub, lists what a hub runs, tries scripts over a capture.

mod deliver;
mod list;
mod test;
mod types;

use std::path::PathBuf;

use clap::Subcommand;

use crate::{
    asking::Hub,
    exit::{Failure, Outcome},
    scripts::Env,
    serving,
};

const NO_FOLDER: &str = "\
which scripts? Name a folder, which is delivered to the hub and watched for changes
  kubeshark scripts ./scripts
or say `kubeshark scripts list` for what the hub runs, `kubeshark scripts test` to try scripts over a capture";

const EXAMPLES: &str = "\
Examples:
  kubeshark scripts ./scripts                        deliver a folder to the hub, and watch it
  kubeshark scripts ./scripts --env SLACK_WEBHOOK=https://hooks.slack.com/…
  kubeshark scripts list                             what the hub runs, and how it fares
  kubeshark scripts test alert.js --pcap FILE        try a script over a capture
  kubeshark scripts types > kubeshark.d.ts           tell an editor what scripts can call

A hub that watches a folder itself needs no delivery: `kubeshark tap --scripts ./scripts`.";

/// Deliver scripts to a hub, or see what it runs
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    deliver: Deliver,
}

#[derive(Subcommand)]
enum Command {
    /// Show what the hub runs, and how it fares on each worker
    List(List),
    Test(test::Args),
    /// Print what scripts can call, for editors: kubeshark.d.ts
    Types,
}

#[derive(clap::Args)]
struct Deliver {
    /// Folders of scripts: every *.js in them
    #[arg(value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    env: Env,
    #[command(flatten)]
    hub: Hub,
    /// Deliver once and leave, instead of watching
    #[arg(long)]
    once: bool,
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    hub: Hub,
}

pub(crate) fn run(args: Args) -> Outcome {
    match args.command {
        Some(Command::List(list)) => serving::run(list::run(list.hub)),
        Some(Command::Test(args)) => test::run(&args),
        Some(Command::Types) => types::run(),
        None if args.deliver.folders.is_empty() => Err(Failure::Usage(NO_FOLDER.into())),
        None => serving::run(deliver::run(args.deliver)),
    }
}
