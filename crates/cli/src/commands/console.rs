//! `kubeshark console`

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::time::sleep;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{
    asking::Hub,
    exit::{Failure, Outcome},
    serving,
};

/// How long it is from one attempt to reach the hub to the next.
const PAUSE: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  kubeshark console
  kubeshark console --hub 127.0.0.1:8899 2>errors.log

Lines of console.log go to stdout, those of console.error, and what is wrong with scripts, to stderr. A hub that goes away
is waited for.";

/// Follow what scripts write to their console
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    hub: Hub,
    /// How many of the last lines to show first
    #[arg(long, value_name = "N", default_value_t = 100)]
    tail: u64,
}

pub(crate) fn run(args: &Args) -> Outcome {
    serving::run(async {
        tokio::select! {
            stopped = serving::asked_to_stop() => stopped.map_err(|error| Failure::of(&error)),
            outcome = follow(args) => outcome,
        }
    })
}

/// Ends only when nobody reads our output any longer.
async fn follow(args: &Args) -> Outcome {
    let (mut tail, mut told) = (args.tail, false);
    loop {
        match connect_async(format!("ws://{}/api/scripts/logs?tail={tail}", args.hub.hub)).await {
            Ok((mut socket, _)) => {
                if told {
                    say(&format!("{} is back", args.hub.hub))?;
                }
                // Who comes back has seen what there was.
                tail = 0;
                while let Some(Ok(message)) = socket.next().await {
                    if let Message::Text(line) = message {
                        print(&line)?;
                    }
                }
                say(&format!("{} is away; waiting for it", args.hub.hub))?;
                told = true;
            }
            Err(error) if !told => {
                say(&format!("no hub answers at {}: {error}; waiting for one", args.hub.hub))?;
                told = true;
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Red is for people: a file gets the line as it is.
pub(crate) fn print(line: &str) -> io::Result<()> {
    // The mark stands before the text, which may hold anything.
    let error = line.split_once(']').is_some_and(|(mark, _)| mark.ends_with(":ERROR"));
    let line = printable(line);
    if !error {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        return out.flush();
    }
    let mut out = io::stderr().lock();
    if out.is_terminal() { writeln!(out, "\x1b[31m{line}\x1b[0m") } else { writeln!(out, "{line}") }
}

/// What a stranger sent, and a script repeats, must not drive the terminal.
pub(crate) fn printable(text: &str) -> String {
    let visible =
        |char: char| if char.is_control() && !matches!(char, '\n' | '\t') { '\u{fffd}' } else { char };
    text.chars().map(visible).collect()
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "kubeshark: {text}")
}
