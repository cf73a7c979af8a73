//! `kubeshark kfl`

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use kfl::{Explanation, Filter, Language};

use crate::{
    exit::{Failure, Outcome},
    query::{self, Spelling},
};

const EXAMPLES: &str = "\
Examples:
  kubeshark dissect traffic.pcap | kubeshark kfl match 'http and response.status == 500'
  kubeshark kfl match --lang v2 'status_code >= 500 && method in [\"PUT\", \"POST\"]' entries.ndjson
  kubeshark kfl explain 'http and request.headers[\"Host\"] == \"shop\" or timestamp > minutes(-5)'

`match` exits as grep does: with 0 when something matched, with 1 when nothing did, with 2 when the query or the input
makes no sense.";

/// Try filters without a capture
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say whether a query makes sense, where it does not, and what is likely not meant
    Check(Query),
    /// Say what a query means: its parentheses, macros, times, fields, and the traps that it steps into
    Explain(Query),
    /// Print the lines of NDJSON that match a query, altered where the query alters them
    ///
    /// The lines are JSON objects of any kind, for instance what `kubeshark dissect` prints.
    Match {
        #[command(flatten)]
        query: Query,
        /// The lines; `-` is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
}

#[derive(clap::Args)]
struct Query {
    /// The query
    #[arg(value_name = "QUERY")]
    text: String,
    #[command(flatten)]
    spelling: Spelling,
}

pub(crate) fn run(args: &Args) -> Outcome {
    match &args.action {
        Action::Check(query) => {
            let explanation = query.explain()?;
            warn(&mut io::stdout(), query, &explanation)
        }
        Action::Explain(query) => explain(&mut io::stdout(), query, &query.explain()?),
        Action::Match { query, file } => matching(&query.compile()?, file),
    }
}

impl Query {
    fn compile(&self) -> Result<Filter, Failure> {
        query::compile(&self.text, self.spelling)
    }

    fn explain(&self) -> Result<Explanation, Failure> {
        let options = self.spelling.of(api::explaining(query::now()));
        kfl::explain(&self.text, &options).map_err(|error| query::refused(&error, &self.text))
    }
}

fn explain(out: &mut dyn Write, query: &Query, found: &Explanation) -> Outcome {
    let language = if found.language == Language::V2 { "KFL2" } else { "KFL as of 2023" };
    writeln!(out, "language  {language}")?;
    let grouped = if found.grouped.is_empty() { "everything" } else { &found.grouped };
    writeln!(out, "means     {grouped}")?;
    for (word, expansion) in &found.macros {
        writeln!(out, "macro     {word} is {expansion}")?;
    }
    for (typed, millis) in &found.moments {
        let time = api::UnixNanos(millis.saturating_mul(1_000_000));
        writeln!(out, "time      {typed} is {millis}, {time}")?;
    }
    for field in &found.fields {
        writeln!(out, "reads     {}", field.path)?;
    }
    warn(out, query, found)
}

fn warn(out: &mut dyn Write, query: &Query, found: &Explanation) -> Outcome {
    for warning in &found.warnings {
        writeln!(out, "warning: {}", warning.render(&query.text))?;
    }
    Ok(())
}

fn matching(filter: &Filter, file: &Path) -> Outcome {
    let name = file.display();
    let lines: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let opened =
            File::open(file).map_err(|error| Failure::Usage(format!("cannot open {name}: {error}")))?;
        Box::new(BufReader::new(opened))
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut left = filter.limit().unwrap_or(u64::MAX);
    let mut matched = false;
    for (index, line) in lines.lines().enumerate() {
        if left == 0 {
            break;
        }
        let refused = |why: String| Failure::Usage(format!("{name}, line {}: {why}", index + 1));
        let line = line.map_err(|error| refused(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let record: serde_json::Value =
            serde_json::from_str(&line).map_err(|error| refused(error.to_string()))?;
        if !record.is_object() {
            return Err(refused("not a JSON object".to_owned()));
        }
        if filter.matches(&record) {
            if filter.alters() {
                writeln!(out, "{}", kfl::json::to_string(&filter.altered(&record)))?;
            } else {
                writeln!(out, "{line}")?;
            }
            left -= 1;
            matched = true;
        }
    }
    out.flush()?;
    if matched { Ok(()) } else { Err(Failure::Nothing) }
}
