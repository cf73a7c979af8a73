//! `kubeshark dissect`

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    os::fd::AsFd,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use worker::{CaptureStats, DissectConfig, DissectError, Input, Limits, Progress};

use crate::{
    capturing,
    exit::{Failure, Outcome},
    ledger,
    query::{self, Spelling},
    serving,
};

const EXAMPLES: &str = "\
Examples:
  kubeshark dissect traffic.pcap
  kubeshark dissect --kfl 'http and response.status == 500' traffic.pcap.gz | jq .request.path
  kubeshark dissect -o table --bpf 'port 53' monday.pcapng tuesday.pcapng
  tcpdump -w - -U | kubeshark dissect -o table -

Entries go to stdout, in the order in which they were complete; what became of every packet goes to stderr at the end.
It exits with 0 when the input was read to its end, with 1 when it was damaged or foreign, after everything before that
was printed, and with 2 when the command line makes no sense. CTRL+C ends the input where it is: what was read is
printed, the counts too, and it exits with 130.";

/// Print the entries of captures
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Captures: pcap or pcapng, plain or compressed by gzip or zstd; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only entries that this query lets through
    #[arg(long, value_name = "QUERY", default_value = "")]
    kfl: String,
    #[command(flatten)]
    spelling: Spelling,
    /// What to print
    #[arg(short, long, value_enum, default_value_t = Output::Ndjson)]
    output: Output,
    /// Threads that dissect [default: one per core]; the output is the same for any number
    #[arg(long, value_name = "N", env = "KUBESHARK_THREADS", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,
    /// Only packets that this BPF filter lets through
    #[arg(long, value_name = "FILTER")]
    bpf: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Entries as JSON, one a line
    Ndjson,
    /// Entries as lines to read
    Table,
    /// Only what was counted, every row of it
    Summary,
}

pub(crate) fn run(args: Args) -> Outcome {
    let stop = serving::interrupted().map_err(|error| Failure::of(&error))?;
    let config = DissectConfig {
        filter: query::compile(&args.kfl, args.spelling)?.into(),
        inputs: args.files.into_iter().map(capturing::input).collect(),
        output: match args.output {
            Output::Ndjson => worker::Output::Ndjson,
            Output::Table => worker::Output::Table,
            Output::Summary => worker::Output::Summary,
        },
        threads: args.threads.map_or_else(super::worker::cores, usize::from),
        bpf: args.bpf,
        limits: Limits::default(),
        stop: Arc::clone(&stop),
    };
    // Rust's own stdout flushes at every line.
    let mut out = BufWriter::with_capacity(1 << 16, File::from(io::stdout().as_fd().try_clone_to_owned()?));
    let bar = Bar::start(&config);
    let (report, result) = worker::dissect(&config, &mut out, &|progress| bar.show(progress));
    bar.finish();
    let flushed = out.flush();
    let outcome = match result {
        // CTRL+C goes to a whole pipeline: whoever read us may have gone of it as well.
        Ok(()) | Err(DissectError::Output(_)) if stop.load(Ordering::Relaxed) => Err(Failure::Interrupted),
        Ok(()) => flushed.map_err(Failure::from),
        Err(DissectError::Output(error)) => Err(error.into()),
        Err(DissectError::Capture(error)) => Err(capturing::failure(&error)),
    };
    match args.output {
        Output::Summary => ledger::write(&mut io::stdout(), &report, true)?,
        // Who has seen enough does not want to know.
        _ if matches!(outcome, Err(Failure::ReaderGone)) => {}
        // Nothing was read, and why is all that there is to say.
        _ if matches!(outcome, Err(Failure::Failed(_) | Failure::Usage(_)))
            && report.ledger.capture == CaptureStats::default() => {}
        // Nobody is left to be told when stderr is closed.
        _ => drop(ledger::write(&mut io::stderr(), &report, false)),
    }
    outcome
}

/// A progress bar on stderr: only where a person looks at it, and entries don't run through it.
struct Bar {
    bar: ProgressBar,
    /// Bytes of the inputs before each.
    before: Vec<u64>,
}

impl Bar {
    fn start(config: &DissectConfig) -> Self {
        let mut before = Vec::new();
        let mut total = Some(0);
        for input in &config.inputs {
            before.push(total.unwrap_or(0));
            let size = match input {
                Input::File(path) => fs::metadata(path).ok().map(|file| file.len()),
                _ => None,
            };
            total = total.zip(size).map(|(total, size)| total + size);
        }
        let seen = io::stderr().is_terminal()
            && (config.output == worker::Output::Summary || !io::stdout().is_terminal());
        let (bar, template) = match total {
            _ if !seen => return Self { bar: ProgressBar::hidden(), before },
            Some(total) => (
                ProgressBar::new(total),
                "{bar:30} {percent:>3} %  {binary_bytes_per_sec}, {eta} left, {msg}",
            ),
            None => (ProgressBar::no_length(), "{spinner} {binary_bytes}, {binary_bytes_per_sec}, {msg}"),
        };
        // The templates are ours; were one wrong, the bar would look plain.
        Self {
            bar: bar.with_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            ),
            before,
        }
    }

    fn show(&self, progress: Progress) {
        let before = self.before.get(progress.input).copied().unwrap_or(0);
        self.bar.set_position(before + progress.bytes);
        self.bar.set_message(format!("{} packets", progress.packets));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
