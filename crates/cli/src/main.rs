//! The `kubeshark` command: arguments go in; an exit code, and what the command prints, come out.
//!
//! One file per subcommand in `commands/`. The worker and the hub are two of them.

mod asking;
mod capturing;
mod commands;
mod exit;
mod kubernetes;
mod ledger;
mod logging;
mod query;
mod scripts;
mod serving;
mod settings;

use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};

use crate::exit::Outcome;

const LONG_ABOUT: &str = "\
Sees the API traffic of Kubernetes, and of this machine: packets become HTTP and DNS transactions, which you watch,
filter and keep as JSON.";

const EXAMPLES: &str = "\
Examples:
  kubeshark tap                              watch the pods of a cluster
  kubeshark tap --pcap traffic.pcap          serve what a capture holds
  kubeshark tap -i any                       watch this machine, live
  wscat --connect ws://127.0.0.1:8899/api/wsFull -x 'http and response.status == 500' -w 1000
  kubeshark dissect traffic.pcap             print what a capture holds, one JSON entry per line";

/// The C library's allocator makes threads wait for each other, and costs a fifth more (docs/decisions/002-allocator.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What was typed.
#[derive(Parser)]
#[command(name = "kubeshark", version, about = LONG_ABOUT, after_help = EXAMPLES, max_term_width = 110)]
struct Args {
    /// Say more on stderr: -v for notes, -vv for everything. `RUST_LOG` says it in detail
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

/// The command table.
#[derive(Subcommand)]
enum Command {
    Tap(Box<commands::tap::Args>),
    Dissect(commands::dissect::Args),
    Worker(commands::worker::Args),
    Hub(commands::hub::Args),
    Scripts(commands::scripts::Args),
    Console(commands::console::Args),
    Proxy(commands::proxy::Args),
    Check(commands::check::Args),
    Logs(commands::logs::Args),
    Clean(commands::clean::Args),
    Config(commands::config::Args),
    License(commands::license::Args),
    ScriptHost(commands::script_host::Args),
    Kfl(commands::kfl::Args),
    Version(commands::version::Args),
    Completions(commands::completions::Args),
}

fn main() -> ExitCode {
    // Of wrong usage clap says what is wrong on stderr, and leaves with 2.
    let args = Args::parse();
    logging::start(args.verbose);
    exit::leave(run(args.command))
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Tap(args) => commands::tap::run(*args),
        Command::Dissect(args) => commands::dissect::run(args),
        Command::Worker(args) => commands::worker::run(args),
        Command::Hub(args) => commands::hub::run(args),
        Command::Scripts(args) => commands::scripts::run(args),
        Command::Console(args) => commands::console::run(&args),
        Command::Proxy(args) => commands::proxy::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Logs(args) => commands::logs::run(&args),
        Command::Clean(args) => commands::clean::run(&args),
        Command::Config(args) => commands::config::run(&args),
        Command::License(args) => commands::license::run(&args),
        Command::ScriptHost(args) => commands::script_host::run(&args),
        Command::Kfl(args) => commands::kfl::run(&args),
        Command::Version(args) => commands::version::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_table_is_sound() {
        super::Args::command().debug_assert();
    }
}
